"""Requests: the WSGI environment of an ASGI scope, and bodies that are read whole before a thread sees them.

Bodies above `IN_MEMORY` bytes go through temporary files.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from visualsearch.webserver.admission import Admission, Overloaded

Environ = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]

IN_MEMORY = 256 * 1024
"""Bytes of a body or an answer that are kept in memory: most pages and photos of a shop."""

HEAD_BYTES = 32 * 1024
"""Names and values of a request's headers."""

HEAD_FIELDS = 64
MOST_DIGITS = 18
"""Of a body's length, which fit in 64 bits."""

LINE_BYTES = 8190
"""Of a request's address. Those of results carry liked and disliked products."""


class Gone(Exception):
    """The client has closed its connection."""


def environment(scope: Any) -> Environ:
    """The WSGI environment (PEP 3333) of an ASGI scope, without a body.

    Header names with underscores are left out: WSGI could not tell them from the same names with hyphens, which are
    those that proxies set.
    """
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or [""])[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    for raw, value in scope["headers"]:
        if b"_" in raw:
            continue
        name = raw.decode("latin-1").upper().replace("-", "_")
        key = name if name in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{name}"
        text = value.decode("latin-1")
        if key in environ:
            # RFC 9110, 5.3; cookies are separated by semicolons (RFC 6265, 5.4).
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    if (count := environ.get("CONTENT_LENGTH", "")).isdecimal():
        # Parsers of integers differ about thousands of digits, and about zeros in front.
        digits = count.lstrip("0") or "0"
        environ["CONTENT_LENGTH"] = digits if len(digits) <= MOST_DIGITS else "9" * MOST_DIGITS
    return environ


def refused_by_head(scope: Any) -> HTTPStatus | None:
    """The status that refuses a request whose address or headers are too long."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LINE_BYTES:
        return HTTPStatus.REQUEST_URI_TOO_LONG
    headers = scope["headers"]
    if len(headers) > HEAD_FIELDS or sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return None


def length(environ: Environ) -> int:
    """Bytes that a request's body has by its headers; 0 where they do not say."""
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isdecimal() else 0


class Body:
    """A request's body: `file` has its `count` bytes. What of a stranger's is not in memory counts for `admission`.

    reader: the thread that reads it, which may outlive its client.
    """

    def __init__(self, admission: Admission, client: str | None) -> None:
        self.count = 0
        self.file: Any = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `kept`
        self.reader: Future[Any] | None = None
        self._admission = admission
        self._client = client

    @property
    def _stored(self) -> int:
        return max(0, self.count - IN_MEMORY)

    def write(self, data: bytes) -> None:
        """Raises Overloaded if there is no room for it."""
        before = self._stored
        self.count += len(data)
        if self._client is not None:
            try:
                self._admission.keep(self._client, self._stored - before)
            except Overloaded:
                self.count -= len(data)
                raise
        self.file.write(data)

    def close(self) -> None:
        self.file.close()
        if self._client is not None:
            self._admission.drop(self._client, self._stored)


@contextmanager
def kept(admission: Admission, client: str | None) -> Iterator[Body]:
    body = Body(admission, client)
    try:
        yield body
    finally:
        if body.reader is None or body.reader.done():
            body.close()
        else:  # the server is being stopped
            body.reader.add_done_callback(lambda _: body.close())


async def read(body: Body, receive: Receive, limit: int) -> bool:
    """Read a request's body; False if it has more than `limit` bytes. How slow it may come, its connection knows."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        if data := message.get("body", b""):
            if body.count + len(data) > limit:
                return False
            body.write(data)
        if not message.get("more_body", False):
            body.file.seek(0)
            return True


async def disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
