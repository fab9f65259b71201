"""ASGI to WSGI: a request is read whole, answered in a thread, and its answer is written by the event loop.

The thread gets the whole body as a file and gives back the whole answer: it waits for no client. Bodies above
`IN_MEMORY` bytes go through temporary files, and so do answers, except files that are on disk anyway.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any
from urllib.parse import quote, unquote_to_bytes
from wsgiref.util import FileWrapper

from visualsearch.webserver.admission import RETRY_AFTER, Admission, Overloaded

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

IN_MEMORY = 256 * 1024
"""Bytes of a body or an answer that are kept in memory: most pages and photos of a shop."""

CHUNK = 64 * 1024
"""Bytes that are written at a time; asyncio's own mark for a full buffer."""

MOST_DRAINED = 64_000_000
"""Bytes. A client that sends less is still read after a refusal, so that it sees the answer; a connection with more,
or with a body of unknown length, is closed."""

HEAD_BYTES = 32 * 1024
"""Names and values of a request's headers."""

HEAD_FIELDS = 64
MOST_DIGITS = 18
"""Of a body's length, which fit in 64 bits."""

LINE_BYTES = 8190
"""Of a request's address. Those of results carry liked and disliked products."""

READY_SECONDS = 1.0
"""How long an answer of the readiness probe is given again, however often it is asked."""

READY_PATIENCE = 5.0
"""Seconds for that answer."""

BEFORE_BODY = "visualsearch.before_body"
"""Key of the WSGI environment: the body was not read yet. Whoever refuses it by its headers answers with an error;
100 (Continue) has it read, and the application is asked once more."""


@dataclass(frozen=True)
class Answer:
    """A response. `rest` continues `body`, from its current position."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    rest: IO[bytes] | None = None

    def without(self, name: bytes) -> Answer:
        return replace(self, headers=[header for header in self.headers if header[0].lower() != name])


ALIVE = Answer(HTTPStatus.OK, [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")], b"ok")
"""The liveness probe asks whether the event loop turns, and waits for nothing else."""


class _Gone(Exception):
    """The client has closed its connection."""


class Bridge:
    """The ASGI application that runs a WSGI application.

    admission: its threads and queues.
    threads: how many requests the application answers at once, as `admission` knows.
    body_limit: bytes of a body that is read without asking the application first (`BEFORE_BODY`).
    client_of: a WSGI environment -> whom its request is counted for.
    refuse: makes the answer for a WSGI environment, a status and seconds to wait, if there are.
    log: gets a line for each answer, if given.
    """

    def __init__(
        self,
        application: WSGI,
        admission: Admission,
        *,
        threads: int,
        body_limit: int,
        client_of: Callable[[Environ], str],
        refuse: Callable[[Environ, HTTPStatus, int | None], Answer],
        log: logging.Logger | None = None,
    ) -> None:
        self.admission = admission
        self._application = application
        self._threads = ThreadPoolExecutor(threads, "request")
        # Of large answers' files, and of the readiness probe: neither waits for requests.
        self._files = ThreadPoolExecutor(2, "file")
        self._probe = ThreadPoolExecutor(1, "probe")
        self._body_limit = body_limit
        self._client_of = client_of
        self._refuse = refuse
        self._log = log
        self._ready: asyncio.Task[Answer] | None = None
        self._ready_until = 0.0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Only HTTP is served here, no {scope['type']}.")
        environ = environment(scope)
        probe = environ["PATH_INFO"] if environ["REQUEST_METHOD"] in {"GET", "HEAD"} else ""
        if probe == "/healthz":
            await self._write(ALIVE, environ, send)
        elif (status := refused_by_head(scope)) is not None:
            await self._write(_closing(self._refuse(environ, status, None), environ), environ, send)
        elif probe == "/readyz":
            await self._write(await self._readiness(environ), environ, send)
        else:
            try:
                await self._serve(environ, receive, send)
            except Overloaded:
                refusal = self._refuse(environ, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER)
                await self._write(_closing(refusal, environ), environ, send)
            except _Gone:
                pass

    async def _serve(self, environ: Environ, receive: Receive, send: Send) -> None:
        client = self._client_of(environ)
        self.admission.check(client)
        staff = False
        if length(environ) > self._body_limit:
            answer = await self._answer(client, environ | {BEFORE_BODY: True})
            if answer.status != HTTPStatus.CONTINUE:
                await self._write(_closing(answer, environ), environ, send)
                return
            staff = True
        limit = length(environ) if staff else self._body_limit
        with _kept(self.admission, None if staff else client) as body:
            announced = length(environ) or "HTTP_TRANSFER_ENCODING" in environ
            with self.admission.receiving(client) if announced else nullcontext():
                whole = await _read(body, receive, limit)
            gone = asyncio.create_task(_disconnected(receive))
            try:
                if whole:
                    environ["wsgi.input"] = body.file
                    if body.count or "CONTENT_LENGTH" in environ:
                        environ["CONTENT_LENGTH"] = str(body.count)
                    environ.pop("HTTP_TRANSFER_ENCODING", None)  # its length is known now
                    answer = await self._answer(client, environ, body, gone)
                else:
                    answer = self._refuse(environ, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None)
                    answer = replace(answer, headers=[*answer.headers, (b"connection", b"close")])
            except BaseException:
                gone.cancel()
                raise
        try:
            await self._write(answer, environ, send, gone)
        finally:
            gone.cancel()

    async def _answer(
        self, client: str, environ: Environ, body: _Body | None = None, gone: asyncio.Task[None] | None = None
    ) -> Answer:
        async with self.admission.thread(client):
            if gone is not None and gone.done():
                raise _Gone
            work = self._threads.submit(self._called, environ)
            if body is not None:
                body.reader = work
            return await asyncio.wrap_future(work)

    async def _readiness(self, environ: Environ) -> Answer:
        """One question at a time, asked by a thread of its own, answers all who ask meanwhile."""
        loop = asyncio.get_running_loop()
        if self._ready is None or (self._ready.done() and loop.time() > self._ready_until):

            async def ask() -> Answer:
                answer = await loop.run_in_executor(self._probe, self._called, environ | {"REQUEST_METHOD": "GET"})
                self._ready_until = loop.time() + READY_SECONDS
                return answer

            self._ready = loop.create_task(ask())
        try:
            async with asyncio.timeout(READY_PATIENCE):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            return self._refuse(environ, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER)

    def _called(self, environ: Environ) -> Answer:
        """Call the application; in a thread."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [status, headers]

        result = self._application(environ, start_response)
        try:
            body, rest = (b"", None) if environ["REQUEST_METHOD"] == "HEAD" else _drained(result)
        finally:
            if (close := getattr(result, "close", None)) is not None:
                close()
        status, fields = started
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return Answer(int(status[:3]), headers, body, rest)

    async def _write(
        self, answer: Answer, environ: Environ, send: Send, gone: asyncio.Task[None] | None = None
    ) -> None:
        headers, rest = answer.headers, answer.rest
        if self._log is not None:
            path = "?".join(filter(None, [quote(environ["PATH_INFO"].encode("latin-1")), environ["QUERY_STRING"]]))
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            self._log.info(f'{self._client_of(environ)} {now} "{environ["REQUEST_METHOD"]} {path}" {answer.status}')
        if rest is None and answer.body and not any(name.lower() == b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", str(len(answer.body)).encode())]
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body, "more_body": rest is not None})
            while rest is not None and not (gone is not None and gone.done()):
                part = await asyncio.get_running_loop().run_in_executor(self._files, rest.read, CHUNK)
                await send({"type": "http.response.body", "body": part, "more_body": bool(part)})
                if not part:
                    break
        finally:
            if rest is not None:
                rest.close()


# Requests -----------------------------------------------------------------------------------------------------------


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
            # RFC 9110, 5.3; cookies are parted by semicolons (RFC 6265, 5.4).
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


def _closing(answer: Answer, environ: Environ) -> Answer:
    """An answer to a request whose body was not read: what is small is read and thrown away, else it ends the
    connection."""
    answer = answer.without(b"connection")
    if length(environ) <= MOST_DRAINED and "HTTP_TRANSFER_ENCODING" not in environ:
        return answer
    return replace(answer, headers=[*answer.headers, (b"connection", b"close")])


class _Body:
    """A request's body: `file` has its `count` bytes. What of a stranger's is not in memory counts for `admission`.

    reader: the thread that reads it, which may outlive its client.
    """

    def __init__(self, admission: Admission, client: str | None) -> None:
        self.count = 0
        self.file: Any = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `_kept`
        self.reader: Future[Answer] | None = None
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
def _kept(admission: Admission, client: str | None) -> Iterator[_Body]:
    body = _Body(admission, client)
    try:
        yield body
    finally:
        if body.reader is None or body.reader.done():
            body.close()
        else:  # the server is being stopped
            body.reader.add_done_callback(lambda _: body.close())


async def _read(body: _Body, receive: Receive, limit: int) -> bool:
    """Read a request's body; False if it has more than `limit` bytes. How slow it may come, its connection knows."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        if data := message.get("body", b""):
            if body.count + len(data) > limit:
                return False
            body.write(data)
        if not message.get("more_body", False):
            body.file.seek(0)
            return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# Responses ----------------------------------------------------------------------------------------------------------


def _drained(result: Iterable[bytes]) -> tuple[bytes, IO[bytes] | None]:
    """The body of a WSGI response: its beginning, and a file with the rest if there is more than `IN_MEMORY`."""
    if isinstance(result, FileWrapper):
        beginning = result.filelike.read(IN_MEMORY)
        return beginning, (_continued(result.filelike) if len(beginning) == IN_MEMORY else None)
    parts = iter(result)
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > IN_MEMORY:
            return bytes(body), _spooled(parts)
    return bytes(body), None


def _continued(file: Any) -> IO[bytes]:
    """The rest of a file, independent of it."""
    with suppress(AttributeError, OSError):  # it is not one of this machine's disk
        copy = os.fdopen(os.dup(file.fileno()), "rb")
        copy.seek(file.tell())
        return copy
    return _spooled(iter(lambda: file.read(CHUNK), b""))


def _spooled(parts: Iterable[bytes]) -> IO[bytes]:
    file = TemporaryFile()  # noqa: SIM115 - closed by whoever writes it to the client
    for part in parts:
        file.write(part)
    file.seek(0)
    return file
