"""Errors of the API as problem details (RFC 9457), each with the status that says whose turn it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.views import exception_handler, set_rollback

from catalogue.serializers import MAX_REPEATED, PROBLEM
from search.web.errors import DATABASE_ERRORS, answer_to

logger = logging.getLogger(__name__)

MOST_ERRORS = 10
"""That a problem names, so that a request of many mistakes is not answered by more than it was."""

MOST_BYTES = 1_200
"""Of the errors that a problem names, as JSON. They stand in it twice, by field and in its sentence."""

LONGEST_ERROR = 300
"""Letters of one error."""

CONTENT_TYPE = PROBLEM

SAMPLE = ("/postImage", "/postURL")
"""The addresses of `search.web.sample`."""


def in_api(path: str) -> bool:
    """Whether an address is the API's, or one of the sample's whose clients it serves too."""
    return path.startswith("/api/") or path in SAMPLE


def problem(status: int, detail: str, **members: Any) -> dict[str, Any]:
    """The members of a problem: `about:blank` says that the status itself is the type."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": int(status), "detail": _sound(detail)} | members


def respond(status: int, detail: str, **members: Any) -> JsonResponse:
    """A problem as an answer, where no view of the API gives it."""
    return _answer(problem(status, detail, **members))


def _answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> JsonResponse:
    # As UTF-8: escaped, each letter that is not of ASCII would take six bytes or twelve.
    plain = {"ensure_ascii": False}
    return JsonResponse(
        body, status=body["status"], headers=headers, content_type=CONTENT_TYPE, json_dumps_params=plain
    )


def _sound(text: str) -> str:
    """What a client sent may come back in a sentence, and JSON can hold what UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def handler(error: Exception, context: dict[str, Any]) -> JsonResponse | None:
    """Django REST framework's exception handler: known errors become problems, bugs stay errors of the server."""
    headers: dict[str, str] = {}
    if isinstance(error, DATABASE_ERRORS):
        return None  # `ErrorAnswers` answers it: it counts how long such requests have waited
    if (answer := answer_to(error)) is not None:
        body = problem(answer.status, str(answer.sentence), **({"code": answer.code} if answer.code else {}))
        headers = answer.headers
        if answer.hides_message:
            logger.warning("An API request could not be answered: %s: %s", type(error).__name__, error)
    elif isinstance(error, RecursionError):
        body = problem(HTTPStatus.BAD_REQUEST, _("The body is nested too deeply. See /api/docs/ for what to send."))
    elif isinstance(error, SuspiciousOperation):
        body = problem(HTTPStatus.BAD_REQUEST, _("The body has too many parts. See /api/docs/ for what to send."))
    elif isinstance(error, exceptions.ValidationError):
        errors = _named(error.detail)
        detail = " ".join(f"{e['field']}: {e['detail']}" if e["field"] else e["detail"] for e in errors)
        body = problem(error.status_code, detail, errors=errors)
    else:
        if isinstance(error, (Http404, PermissionDenied)):
            error = (
                exceptions.NotFound(*error.args[:1]) if isinstance(error, Http404) else exceptions.PermissionDenied()
            )
        plain = exception_handler(error, context)
        if plain is None:
            return None
        body = problem(plain.status_code, _sentence(error))
        headers = {
            name: value for name, value in plain.items() if name in {"Retry-After", "Allow", "WWW-Authenticate"}
        }
    set_rollback()
    # Not by the view's renderer: the schema's writes YAML, the documentation's a page.
    return _answer(body, headers)


def _sentence(error: Exception) -> str:
    """What to do about one of the framework's own errors."""
    if isinstance(error, exceptions.UnsupportedMediaType):
        return _("Send JSON (application/json) or a form (multipart/form-data).")
    if isinstance(error, exceptions.MethodNotAllowed):
        return _("This address does not answer to this method; its Allow header names those it does.")
    return str(getattr(error, "detail", ""))


def _named(detail: Any) -> list[dict[str, str]]:
    """The first errors of a validation, as many as fit into a problem; one at the least."""
    named: list[dict[str, str]] = []
    size = 0
    for field, text in islice(_flatten(detail), MOST_ERRORS):
        error = {"field": _sound(field)[:MAX_REPEATED], "detail": _sound(text)[:LONGEST_ERROR]}
        size += len(json.dumps(error, ensure_ascii=False).encode())
        if named and size > MOST_BYTES:
            break
        named.append(error)
    return named


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Validation errors, however nested, as (field, sentence)."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, ".".join(filter(None, [path, name])))
    elif isinstance(detail, list):
        for value in detail:
            yield from _flatten(value, path)
    else:
        yield path, str(detail)


@csrf_exempt
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    """The answer for an address below /api/ that does not exist."""
    return respond(HTTPStatus.NOT_FOUND, _("There is nothing at this address. See /api/docs/ for those there are."))
