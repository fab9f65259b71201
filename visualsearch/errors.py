"""Answers errors that views raise: a page, JSON for the pages' scripts, a problem for API clients."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import add_never_cache_headers

from catalogue.files import StorageError
from resilience.breaker import Breaker
from search.web.clients import prefers_json
from search.web.errors import DATABASE_ERRORS, Answer, answer_to
from visualsearch.problems import in_api
from visualsearch.refusals import refusal
from visualsearch.security import in_admin

logger = logging.getLogger(__name__)

LONG = 2.0
"""Seconds after which a request that fails has held a thread for too long."""

REST = 2.0
"""Seconds for which other requests then fail at once, so that they do not all wait for the database."""


class ErrorAnswers:
    """Middleware: answers the errors of `search.web.errors`. Others stay errors of the server."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._database = Breaker(REST)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.started = time.monotonic()  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        error = OperationalError()
        return respond(request, error, answer_to(error)) if self._database.refusal() else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DATABASE_ERRORS) and time.monotonic() - request.started > LONG:  # type: ignore[attr-defined]
            self._database.open(error)
        if isinstance(error, Http404) and prefers_json(request) and not in_api(request.path_info):
            return JsonResponse({"error": str(error)}, status=HTTPStatus.NOT_FOUND)
        answer = answer_to(error)
        if answer is not None and answer.hides_message:
            logger.warning("A request could not be answered: %s: %s", type(error).__name__, error)
        return respond(request, error, answer)


def respond(request: HttpRequest, error: Exception, answer: Answer | None) -> HttpResponse | None:
    """Return the response to an error, or None for a bug. No database is needed if the database is what failed."""
    if answer is None:
        return None
    in_shop = not isinstance(error, (StorageError, *DATABASE_ERRORS))
    response = refusal(request, answer.status, str(answer.title), _sentence(request, error, answer), in_shop=in_shop)
    for name, value in answer.headers.items():
        response[name] = value
    add_never_cache_headers(response)
    response["X-Robots-Tag"] = "noindex"
    return response


def _sentence(request: HttpRequest, error: Exception, answer: Answer) -> str:
    """Staff read which part of the storage failed."""
    told = isinstance(error, StorageError) and in_admin(request.path_info) and request.user.is_staff
    return str(error) if told else str(answer.sentence)
