"""Refusals that the event loop answers by itself: no thread, no database, no session."""

from __future__ import annotations

from http import HTTPStatus

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.utils import translation
from django.utils.translation import gettext as _

from catalogue.images import TooManyBytes
from search.web.clients import LONGEST_ACCEPT
from visualsearch.refusals import refusal
from visualsearch.webserver.bridge import Answer
from visualsearch.webserver.requests import Environ


def refuse(environ: Environ, status: HTTPStatus, retry_after: int | None) -> Answer:
    """A page, or a problem for the API's clients, in the language that the client asks for.

    status: 413, 414, 431 or 503. retry_after: seconds, or None.
    """
    request = WSGIRequest(_little(environ))
    language = translation.get_language_from_request(request)
    with translation.override(language):
        title, sentence = _words(status)
        code = TooManyBytes.code if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else ""
        response = refusal(request, status, title, sentence, code=code)
    response.headers["Content-Language"] = language
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    return Answer(status, headers, response.content)


def _little(environ: Environ) -> Environ:
    """What choosing the form and the language takes. Reading long headers would stop the event loop for everybody."""
    return {
        "REQUEST_METHOD": environ["REQUEST_METHOD"],
        "PATH_INFO": environ["PATH_INFO"],
        "HTTP_ACCEPT": environ.get("HTTP_ACCEPT", "")[:LONGEST_ACCEPT],
        "HTTP_ACCEPT_LANGUAGE": environ.get("HTTP_ACCEPT_LANGUAGE", "")[:LONGEST_ACCEPT],
        "wsgi.input": environ["wsgi.input"],
    }


def _words(status: HTTPStatus) -> tuple[str, str]:
    """Title and sentence."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        megabytes = settings.IMAGE_MAX_BYTES // 1_000_000
        return _("This picture is too large"), _("This is larger than %(limit)d MB. Send a smaller picture.") % {
            "limit": megabytes
        }
    if status == HTTPStatus.REQUEST_URI_TOO_LONG:
        return _("This address is too long"), _("Shorten it, for example by removing some filters.")
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return _("The request headers are too large"), _("Delete this site's cookies in your browser and try again.")
    return _("The shop is busy"), _(
        "The shop is getting more requests than it can handle. Try again in a few seconds."
    )
