"""Sessions in the database (`SESSION_ENGINE`), which end `SESSION_COOKIE_AGE` after signing in, however much is done.

Django would count from the last time that a session was saved.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

SIGNED_IN = "signed_in"
"""Where a session keeps when its user signed in: seconds since 1970."""


class SessionStore(db.SessionStore):
    """Django's, but who signed in longer ago than `SESSION_COOKIE_AGE`, or at an unknown time, is signed out.

    So sessions of an older version end, and a lower `SESSION_COOKIE_AGE` holds for those that there are.
    """

    def load(self) -> dict[str, Any]:
        session: dict[str, Any] = super().load()
        oldest = timezone.now().timestamp() - settings.SESSION_COOKIE_AGE
        if SESSION_KEY in session and session.get(SIGNED_IN, oldest) <= oldest:
            self._session_key = None
            return {}
        return session


@receiver(user_logged_in)
def end_in_time(request: HttpRequest, **kwargs: Any) -> None:
    now = timezone.now()
    request.session[SIGNED_IN] = now.timestamp()
    request.session.set_expiry(now + timedelta(seconds=settings.SESSION_COOKIE_AGE))


def forget_ended() -> None:
    """Delete the sessions that have ended."""
    SessionStore.clear_expired()
