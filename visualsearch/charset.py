"""Which charset a request names. Django reads the address with it before any middleware is asked."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from typing import Any

from django.utils.http import parse_header_parameters

UNREADABLE = "visualsearch.unreadable_charset"
"""The environment's key of a request whose charset is none of those that are read here."""

_READABLE = frozenset(
    {"ascii", "utf-8", "utf-8-sig", "shift_jis", "cp932", "euc_jp", "big5", "gbk", "gb18030", "euc_kr", "koi8-r"}
)
_FAMILIES = ("iso8859-", "cp125")

_LONGEST = 500
"""Characters of a Content-Type: reading its parameters takes quadratic time, and a boundary has 70 at the most."""


class ReadableCharset:
    """WSGI middleware: the name of a charset that is not read here is taken away, and the request marked.

    Python also has codecs that are of no text (hex, zlib), fail always (undefined) or make text that cannot be stored
    (unicode_escape). `visualsearch.security.Charset` answers what is marked.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE", "")
        if not _is_readable(content_type):
            environ = environ | {"CONTENT_TYPE": content_type.partition(";")[0][:_LONGEST], UNREADABLE: True}
        return self.application(environ, start_response)


def _is_readable(content_type: str) -> bool:
    if len(content_type) > _LONGEST:
        return False
    try:
        charset = parse_header_parameters(content_type)[1].get("charset", "utf-8")
    except (ValueError, LookupError):  # a parameter names a charset of its own, which is none
        return False
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        return True  # Django takes no notice of a name that is unknown
    except ValueError:
        return False
    return name in _READABLE or name.startswith(_FAMILIES)
