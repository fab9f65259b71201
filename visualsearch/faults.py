"""What is answered where no view does: a page, or a problem for the API's clients."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import DataError, NotSupportedError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views import csrf, defaults

from search.web.clients import prefers_json
from visualsearch.problems import in_api, respond
from visualsearch.refusals import refusal
from visualsearch.security import in_admin

logger = logging.getLogger(__name__)

UNREADABLE = (
    IncorrectLookupParameters,
    FieldDoesNotExist,
    FieldError,
    ValidationError,
    DataError,
    NotSupportedError,
    ProgrammingError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What Django's admin and the apps beside it raise for a key, a lookup, a number or a format that none of their own
links and forms holds. Which one, and whether any, differs between databases."""

BAD_VALUES = (IncorrectLookupParameters, FieldDoesNotExist, ValidationError, DataError, OverflowError, ValueError)
"""Those of them that a form's values raise; the admin reads a field's name from one of them (`_to_field`)."""

OWN = {"catalogue", "demo", "evaluation", "resilience", "search", "visualsearch"}
"""The project's packages: what they raise themselves is a mistake in them."""

EXPENSIVE = ("__regex", "__iregex")
"""Ends of lookups that no page of the admin uses, and that may take for ever: SQLite asks Python's `re`."""


class HandMadeAddresses:
    """Middleware: an address of the admin that cannot be read is answered with 404, and a form with 400, whichever
    view stumbles over it.

    The admin reads lookups and keys from what is sent to it, so that there are more of them than forms could check.
    What the project's own code raises stays an error of the server. Each error is logged in full, for it may be a
    mistake of ours all the same; and with `DEBUG` it is shown.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        if in_admin(request.path_info) and any(name.endswith(EXPENSIVE) for name in request.GET):
            return self._answer(request)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match = request.resolver_match
        written = request.GET or request.POST or (match and (match.kwargs or match.args))
        unreadable = BAD_VALUES if request.method == "POST" else UNREADABLE
        if settings.DEBUG or not (written and in_admin(request.path_info) and isinstance(error, unreadable)):
            return None
        if _raised_by(error) in OWN:
            return None
        logger.error("A request to the admin could not be read: %s %s", request.method, request.path, exc_info=error)
        return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.method == "POST":
            status, title = HTTPStatus.BAD_REQUEST, _("This form cannot be read")
            sentence = _("Some of its values are not valid. Go back, reload the page and try again.")
        else:
            status, title = HTTPStatus.NOT_FOUND, _("Page not found")
            sentence = _("Part of this address is not valid. Go back and use the links on the page.")
        return refusal(request, status, title, sentence)


def _raised_by(error: Exception) -> str:
    """The package whose code raised an error."""
    *_outer, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refuses: it names a host that is not the site's, or has too many parts."""
    if in_api(request.path_info):
        sentence = _("Something in this request is not as it should be. See /api/docs/ for what to send.")
    else:
        sentence = _("Something in it is not as it should be. Go back, reload the page and try again.")
    return refusal(request, HTTPStatus.BAD_REQUEST, _("This request cannot be understood"), sentence)


def server_error(request: HttpRequest) -> HttpResponse:
    """A mistake of ours. Nothing that can fail belongs here."""
    if in_api(request.path_info):
        return respond(
            HTTPStatus.INTERNAL_SERVER_ERROR, _("The mistake is ours and has been noted. Try again in a minute.")
        )
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token; the script of the page shows why in place."""
    if prefers_json(request):
        sentence = _("This page was open for too long. Reload it and try again; cookies must be allowed.")
        return JsonResponse({"error": sentence}, status=HTTPStatus.FORBIDDEN)
    return csrf.csrf_failure(request, reason)
