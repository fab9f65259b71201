"""What becomes of a page where the database is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from visualsearch.refusals import refusal

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)
"""What Django raises where a database is away, restarts, or is held by others for too long."""

LONG = 2.0
"""Seconds that a request has waited in vain if it fails after them."""

REST = 2.0
"""Seconds after that in which others fail at once, so that they do not all wait in their turn."""

RETRY_AFTER = "10"
"""Seconds."""


class DatabaseFaults:
    """Middleware: a view that met the database's error is answered with 503 and a sentence."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._rests_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.began = time.monotonic()  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, words: Any, named: Any) -> HttpResponse | None:
        return answer(request) if time.monotonic() < self._rests_until else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, AWAY):
            return None
        logger.warning("The database failed: %s", error)
        now = time.monotonic()
        if now - request.began > LONG:  # type: ignore[attr-defined]
            self._rests_until = now + REST
        return answer(request)


def answer(request: HttpRequest) -> HttpResponse:
    """503, in the form that is asked for. No database is needed for it."""
    response = refusal(request, HTTPStatus.SERVICE_UNAVAILABLE, _("The shop cannot be reached"), sentence())
    response["Retry-After"] = RETRY_AFTER
    return response


def sentence() -> str:
    return _("The shop cannot be reached for the moment. Try again in a minute.")
