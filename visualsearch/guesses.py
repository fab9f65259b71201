"""How often passwords may be guessed: django-axes, with a count that is written before a password is checked.

Axes' own handler looks at its table, lets the password be hashed and then writes the failure down, so requests that
come at once all pass the look. Here a guess is counted first, and forgotten once its account has signed in. So the
limits hold under any concurrency, and a refused guess costs two queries and no hash.

Guesses are counted by the address of the client, as `client_key` gives it: for each account, so that strangers lock
out nobody but themselves, and over all accounts, whatever names they give.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.db.models import Case, F, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from search.web.clients import client_key

logger = logging.getLogger(__name__)

PER_ACCOUNT = 5
"""Guesses of one account's password from one address within `WINDOW`."""

PER_ADDRESS = 20
"""Guesses from one address within `WINDOW`, whatever accounts are named."""

WINDOW = timedelta(hours=1)
"""How long a guess counts. All guesses of one account from one address expire an hour after the last one."""


class GuessHandler(AxesDatabaseHandler):
    """Axes' handler (`AXES_HANDLER`): it is asked before a password is hashed, and told of sign-ins."""

    def is_allowed(self, request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> bool:
        if take(request.axes_ip_address, _username(credentials)):  # type: ignore[attr-defined]
            return True
        # For Axes' middleware, which answers with `locked_out`.
        request.axes_locked_out = True  # type: ignore[attr-defined]
        request.axes_credentials = credentials  # type: ignore[attr-defined]
        return False

    def user_login_failed(self, sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
        """It is counted already."""

    def user_logged_in(self, sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
        give_back(request.axes_ip_address, user.get_username())  # type: ignore[attr-defined]

    def user_logged_out(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """Nothing is kept of it."""


def address(request: HttpRequest) -> str:
    """The client for Axes' column of addresses (`AXES_CLIENT_IP_CALLABLE`): of a network, its first address."""
    return client_key(request).partition("/")[0]


def take(address: str, username: str) -> bool:
    """Count a guess of this account's password from this address; False where there have been too many.

    Each guess is committed before it is compared with the limits: of those that come at once the n-th sees n.
    """
    if retry_after(address, username):
        return False
    now = timezone.now()
    once_more = When(attempt_time__gt=now - WINDOW, then=F("failures_since_start") + 1)
    AccessAttempt.objects.update_or_create(
        ip_address=address,
        username=username,
        user_agent="",  # the client's to choose, and a part of what tells Axes' rows apart
        defaults={"failures_since_start": Case(once_more, default=Value(1)), "attempt_time": now},
        create_defaults={"failures_since_start": 1},
    )
    counted = _recent(address, now)
    return (
        sum(guesses for name, guesses, _last in counted if name == username) <= PER_ACCOUNT
        and sum(guesses for _name, guesses, _last in counted) <= PER_ADDRESS
    )


def retry_after(address: str, username: str) -> timedelta:
    """How long it takes until this account's password may be guessed from this address; zero if it may be now."""
    now = timezone.now()
    counted = _recent(address, now)
    left = sum(guesses for _name, guesses, _last in counted)
    until = now
    for name, guesses, last in counted:
        if left >= PER_ADDRESS or (name == username and guesses >= PER_ACCOUNT):
            until = last + WINDOW
        left -= guesses
    return until - now


def _recent(address: str, now: datetime) -> list[tuple[str, int, datetime]]:
    """Account, guesses and the time of the last, of the accounts guessed from this address; the oldest first."""
    rows = AccessAttempt.objects.filter(ip_address=address, attempt_time__gt=now - WINDOW).order_by("attempt_time")
    return list(rows.values_list("username", "failures_since_start", "attempt_time"))


def give_back(address: str, username: str) -> None:
    """Forget the guesses of an account that has signed in from this address; those of others still count."""
    AccessAttempt.objects.filter(ip_address=address, username=username).delete()


def forget_old() -> None:
    """Delete the guesses that no longer count."""
    AccessAttempt.objects.filter(attempt_time__lte=timezone.now() - WINDOW).delete()


def refuse(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any] | None) -> HttpResponse:
    """What Axes' middleware answers a refused guess with (`AXES_LOCKOUT_CALLABLE`)."""
    return locked_out(request, _username(credentials))


def locked_out(request: HttpRequest, username: str) -> HttpResponse:
    """The answer to one guess too many: 429, and the same whether or not there is such an account."""
    client = address(request)
    seconds = max(1, math.ceil(retry_after(client, username).total_seconds()))
    _log_once(client, seconds)
    context = admin.site.each_context(request) | {
        "title": _("Too many attempts to sign in"),
        "minutes": math.ceil(seconds / 60),
    }
    page = render(request, "admin/locked_out.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    page["Retry-After"] = str(seconds)
    return page


def _log_once(client: str, seconds: int) -> None:
    """One line for an address within `WINDOW`: it may send any number of refused guesses."""
    key = f"locked-out:{client}"
    # Asked first, since adding takes a write even where the key is there.
    if cache.get(key) is None and cache.add(key, True, WINDOW.total_seconds()):
        logger.warning("Too many guesses of passwords from %s; the next one may come in %d s.", client, seconds)


def _username(credentials: Mapping[str, Any] | None) -> str:
    return str((credentials or {}).get("username") or "")
