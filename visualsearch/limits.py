"""How much of a request is read: what is too long is refused before anything is made of it.

`search.web.bodies` bounds JSON, `visualsearch.security.BodyLimit` the bytes of a body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponseBase
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.translation import gettext as _

from search.web.clients import LONGEST_ACCEPT
from visualsearch.refusals import refusal
from visualsearch.security import in_admin, is_trusted_staff

LONGEST_COOKIES = 8_192
"""Bytes of the Cookie header; the site's own cookies take less than 500."""

MOST_ESCAPES = 64
"""Backslashes in it. Python before 3.11.10 takes quadratic time for them (CVE-2024-7592), a third of a second for
8 KB. None of the site's own cookies has any."""

MOST_PARAMETERS = 200
"""In an address. Outside of the admin: its addresses may name many rows."""

MOST_PARTS = 200
"""Of a form with a file. Each takes Python 0.05 ms, however small it is."""

MOST_STAFF_PARTS = 21_000
"""The same of staff's forms in the admin, where a list of products can be changed at once."""

_ENCODED = re.compile(rb"content-transfer-encoding:(?! ?(?:binary|8bit|7bit)\b).{9}", re.DOTALL)
"""A part that is not sent as it is, in lower case. Some clients name one of the encodings that change nothing."""

_LONGEST_ENCODED = 35
"""Bytes that this takes. At least as many follow it in any form: the last boundary."""


class HeaderLimits:
    """Middleware, before all that reads cookies: headers that are too long are not read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        too_much = _("The request headers are too large")
        cookies, query = request.META.get("HTTP_COOKIE", ""), request.META.get("QUERY_STRING", "")
        if len(cookies) > LONGEST_COOKIES or cookies.count("\\") > MOST_ESCAPES:
            sentence = _("Delete this site's cookies in your browser and try again.")
            return refusal(request, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, too_much, sentence)
        if len(request.META.get("HTTP_ACCEPT", "")) > LONGEST_ACCEPT:
            sentence = _("The Accept header is too long. Name a few types in it, or leave it out.")
            return refusal(request, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, too_much, sentence)
        if query.count("&") >= MOST_PARAMETERS and not in_admin(request.path_info):
            sentence = _("Shorten it, for example by removing some filters.")
            return refusal(request, HTTPStatus.REQUEST_URI_TOO_LONG, _("This address is too long"), sentence)
        return self.get_response(request)


class BoundedParts(FileUploadHandler):
    """Upload handler, the first of all: a form of too many parts, or one in base64, is not read to its end.

    Django counts fields, and must admit as many as the admin has. This counts boundaries, in the bytes as they come.
    No browser sends base64, which takes Python half a second for 13 MB.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, Any],  # noqa: N803 - Django's name
        content_length: int,
        boundary: Any,  # bytes; Django's stubs say str
        encoding: str | None = None,
    ) -> tuple[Any, Any]:
        request: HttpRequest = self.request  # type: ignore[assignment]
        staff = in_admin(request.path_info) and is_trusted_staff(request)
        counted = _Counted(input_data, b"--" + boundary, MOST_STAFF_PARTS if staff else MOST_PARTS)
        others = [handler for handler in request.upload_handlers if handler is not self]
        return MultiPartParser(META, counted, others, encoding).parse()  # type: ignore[arg-type]

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


class _Counted:
    """A stream of bytes in which something may stand only so often. Reading raises TooManyFieldsSent after that."""

    def __init__(self, stream: Any, what: bytes, most: int) -> None:
        self._stream = stream
        self._what = what
        self._left = most
        #: the end of what was read: what is counted may lie across two pieces
        self._end = b""
        #: likewise, in lower case
        self._head = b""

    def read(self, size: int | None = None) -> bytes:
        data: bytes = self._stream.read(size)
        seen = self._end + data
        self._left -= seen.count(self._what)
        if self._left < 0:
            raise TooManyFieldsSent("A form has too many parts.")
        self._end = seen[-(len(self._what) - 1) :]
        start = self._head + data.lower()
        if b"content-transfer-encoding" in start and _ENCODED.search(start):
            raise MultiPartParserError(_("Send files as they are, not in base64."))
        self._head = start[-_LONGEST_ENCODED:]
        return data
