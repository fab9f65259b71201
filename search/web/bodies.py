"""JSON that strangers send: bounded before anything is made of it, and strict (RFC 8259).

Serializers answer each wrong element with an error of its own, so a small body could become a large answer. Here the
number of elements is counted in the text, before a single one is made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import parsers
from rest_framework.exceptions import APIException, ParseError

MOST_BYTES = 65_536
"""Of a body without its picture: fifty liked and fifty disliked SKUs and all filters take less than half of it."""

MOST_PARTS = 2_000
"""Commas and opening brackets in a body: more than elements, since a text may hold them too."""

DEEPEST = 4
"""Levels: `{"filters": {"category": ["hats"]}}` has three."""

LONGEST_NUMBER = 40
"""Characters of a number. Python reads longer ones in quadratic time."""

PICTURES = ("image_base64", "base64img")
"""Fields that hold a picture, which may be as large as pictures may be."""


class BodyTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = gettext_lazy("Without a picture, a JSON body may have at most 64 KB. Send less.")
    default_code = "too_large"


class BoundedJSONParser(parsers.JSONParser):
    """JSON within the limits of this module."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ParseError with a sentence on what is wrong, or `BodyTooLarge`."""
        encoding = (parser_context or {}).get("encoding") or settings.DEFAULT_CHARSET
        data = stream.read()
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            raise ParseError(_("The body is not valid UTF-8. Send JSON as UTF-8.")) from None
        found, letters = _read(text)
        picture = _picture(found)
        if len(data) > MOST_BYTES and (not picture or letters - len(picture) > MOST_BYTES):
            raise BodyTooLarge
        return found


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ParseError with a sentence for what is wrong or too much."""
    return _read(text)[0]


def _read(text: str) -> tuple[Any, int]:
    """The value of a JSON text, and the letters of all its texts."""
    if text.count(",") + text.count("[") + text.count("{") > MOST_PARTS:
        raise ParseError(_("The body has too many parts. See /api/docs/ for what to send."))
    try:
        found = _decoder.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ParseError(_json_error(text, error)) from None
    return found, _letters(found)


def _json_error(text: str, error: ValueError) -> str:
    if text.startswith("\ufeff"):
        return _("The body begins with a byte order mark. Send JSON without one.")
    if isinstance(error, json.JSONDecodeError):
        return _("Invalid JSON at line %(line)d, column %(column)d.") % {
            "line": error.lineno,
            "column": error.colno,
        }
    return str(error)  # of the functions below


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(_("A JSON object has a duplicate name. Send each name once."))
    return found


def _constant(name: str) -> float:
    raise ValueError(_("NaN and Infinity are not valid JSON. Send a number."))


def _integer(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _number(digits: str) -> float:
    _check_length(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(_("A number is too large."))
    return value


def _check_length(digits: str) -> None:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(_("A number has too many digits."))


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_int=_integer, parse_float=_number
)


def _letters(found: Any) -> int:
    """The letters of all texts in a value. Raises ParseError where it is too deep, or UTF-8 has no such text."""
    letters, values = 0, [found]
    for _level in range(DEEPEST + 1):
        inner: list[Any] = []
        for value in values:
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str):
                letters += len(value)
                _check_text(value)
        if not inner:
            return letters
        values = inner
    raise _too_deep()


def _check_text(value: str) -> None:
    if value.isascii():  # known without looking, and so are nearly all pictures
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ParseError(
            _("A string contains a lone surrogate, which is not a valid character. Leave it out.")
        ) from None


def _too_deep() -> ParseError:
    return ParseError(_("The body is nested too deeply. See /api/docs/ for what to send."))


def _picture(found: Any) -> str:
    """The picture in a body, or an empty text."""
    values = [found.get(name) for name in PICTURES] if isinstance(found, dict) else []
    return next((value for value in values if isinstance(value, str)), "")
