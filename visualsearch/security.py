"""What browsers may do with the site's pages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.utils.translation import gettext as _

from catalogue.images import TooManyBytes
from visualsearch.charset import UNREADABLE
from visualsearch.problems import in_api
from visualsearch.refusals import refusal
from visualsearch.webserver.bridge import BEFORE_BODY

PERMISSIONS = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
"""What no page asks a browser for. A photo is taken by a field for files, which needs none of it."""

DOCUMENTATION = "/api/docs/"

_DIGITS = 18
"""Of a Content-Length, as the web server passes it on. Python refuses to read thousands of them."""

_SESSION_KEY = re.compile(r"[a-z0-9]+")
"""As Django makes them."""


def in_admin(path: str) -> bool:
    """Whether an address is the admin's, in whichever language: /admin/..., /ja/admin/..."""
    first, _slash, rest = path.removeprefix("/").partition("/")
    languages = {code for code, _name in settings.LANGUAGES}
    return first == "admin" or (first in languages and rest.partition("/")[0] == "admin")


def is_trusted_staff(request: HttpRequest) -> bool:
    """Whether staff ask, with the second factor where it is required: their requests may be larger."""
    user = request.user
    return user.is_staff and (not settings.ADMIN_REQUIRE_OTP or user.is_verified())  # type: ignore[attr-defined]


def takes_files(path: str) -> bool:
    """Whether strangers may send a file to an address. The API's views read a body only where they take one."""
    languages = {code for code, _name in settings.LANGUAGES}
    return in_api(path) or path in {"/search/", *(f"/{code}/search/" for code in languages)}


class Charset:
    """Middleware: a request in a charset that nobody can read text with is answered with a sentence."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if UNREADABLE not in request.META:
            return self.get_response(request)
        title = _("This request cannot be understood")
        sentence = _("Its Content-Type names a charset that is not read here. Send it as UTF-8.")
        return refusal(request, HTTPStatus.BAD_REQUEST, title, sentence)


class BodyLimit:
    """Middleware: a request that says it is larger than any picture is answered before it is read.

    Staff send several photos at once, or a table with a zip of its photos, and their requests may be larger. The web
    server asks about those before it reads them (`BEFORE_BODY`).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Forms hold text, but for the one that a picture is sent with. The sample's clients send their pictures as
        # JSON, whatever they call it.
        urlencoded = request.content_type == "application/x-www-form-urlencoded" and not in_api(request.path_info)
        form = urlencoded or not takes_files(request.path_info)
        limit = settings.FORM_MAX_BYTES if form else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        text = request.headers.get("Content-Length", "")
        length = (int(text) if len(text) <= _DIGITS else sys.maxsize) if text.isdecimal() else 0
        if "Transfer-Encoding" in request.headers:
            # Django reads no body of unknown length: what was sent would be taken for nothing.
            status = HTTPStatus.LENGTH_REQUIRED
            title, sentence = _("Content-Length is missing"), _("Send the body with a Content-Length.")
            code = ""
        elif length <= limit:
            return self.get_response(request)
        elif in_admin(request.path_info) and is_trusted_staff(request):
            if length <= settings.STAFF_UPLOAD_MAX_BYTES:
                if BEFORE_BODY in request.META:
                    return HttpResponse(status=HTTPStatus.CONTINUE)
                return self.get_response(request)
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            title = _("This upload is too large")
            sentence = _(
                "This is larger than %(limit)d MB. Send it in parts, or ask whoever runs the site to import it there."
            ) % {"limit": settings.STAFF_UPLOAD_MAX_BYTES // 1_000_000}
            code = ""
        elif form and length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            title, sentence = _("This form is too large"), _("Send less text.")
            code = ""
        else:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            title = _("This picture is too large")
            sentence = _("This is larger than %(limit)d MB. Send a smaller picture.") % {
                "limit": settings.IMAGE_MAX_BYTES // 1_000_000
            }
            code = TooManyBytes.code
        response = refusal(request, status, title, sentence, code=code)
        response.headers["Connection"] = "close"
        return response


class Sessions(SessionMiddleware):
    """Middleware: Django's, but a cookie that holds no key of a session is none.

    A cookie may hold a NUL, and PostgreSQL refuses to be asked for one.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if not _SESSION_KEY.fullmatch(request.session.session_key or ""):
            request.session = self.SessionStore()


class NoNul:
    """Middleware: what is sent to the admin, as an address or a form, is refused where it holds a NUL, for PostgreSQL
    refuses to be asked for one.

    The shop's own pages read their addresses with forms, which refuse it themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        holds_nul = "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        if not (holds_nul and in_admin(request.path_info)):
            return self.get_response(request)
        title = _("This address cannot be read")
        return refusal(
            request,
            HTTPStatus.BAD_REQUEST,
            title,
            _("This address contains a character that is not allowed. Go back and type it again."),
        )

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        # Here, after what counts a body's bytes, and where a form that cannot be read is answered by Django.
        if not (in_admin(request.path_info) and any("\0" in text for text in _texts(request.POST))):
            return None
        title = _("This form cannot be read")
        return refusal(
            request,
            HTTPStatus.BAD_REQUEST,
            title,
            _("It contains a character that is not allowed. Go back and type the text again."),
        )


def _texts(form: QueryDict) -> Iterator[str]:
    """The names and the values of a form."""
    for name, values in form.lists():
        yield name
        yield from values


class ContentSecurityPolicy:
    """Middleware: pages take scripts, styles and the rest from the site alone, photos also from where they are kept.
    They may use nothing of the machine that they are shown on.

    A response that brings a policy of its own keeps it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        explains_itself = settings.DEBUG and response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
        if not explains_itself:
            styled = in_admin(request.path_info) or request.path_info.startswith(DOCUMENTATION)
            policy = self.styled_policy if styled else self.policy
            response.headers.setdefault("Content-Security-Policy", policy)
        return response

    @cached_property
    def styled_policy(self) -> str:
        """The admin's theme and Swagger UI write styles into their pages. Scripts come from the site's files alone,
        there too, and none is made of text (`static/js/expressions.js`)."""
        return f"{self.policy}; style-src 'self' 'unsafe-inline'"

    @cached_property
    def policy(self) -> str:
        # `blob:` is a picture that the shopper has just chosen, shown before it is sent.
        images = ["'self'", "data:", "blob:", *_origins_of_photos()]
        return (
            f"default-src 'self'; img-src {' '.join(images)}; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )


def _origins_of_photos() -> list[str]:
    """Where the storage of photos serves them, if that is another site."""
    if (origins := getattr(default_storage, "origins", None)) is not None:
        return list(origins)
    parts = urlsplit(default_storage.url("photo.jpg"))
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
