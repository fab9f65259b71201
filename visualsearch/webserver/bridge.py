"""ASGI to WSGI: a request is read whole, answered in a thread, and its answer is written by the event loop.

The thread gets the whole body as a file and gives back the whole answer: it waits for no client. Bodies above
`IN_MEMORY` bytes go through temporary files, and so do answers, except files that are on disk anyway.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote
from wsgiref.util import FileWrapper

from visualsearch.webserver.admission import RETRY_AFTER, Admission, Overloaded
from visualsearch.webserver.requests import (
    IN_MEMORY,
    Body,
    Environ,
    Gone,
    Receive,
    disconnected,
    environment,
    kept,
    length,
    read,
    refused_by_head,
)

WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Send = Callable[[Any], Awaitable[None]]

CHUNK = 64 * 1024
"""Bytes that are written at a time; asyncio's own mark for a full buffer."""

MOST_DRAINED = 64_000_000
"""Bytes. A client that sends less is still read after a refusal, so that it sees the answer; a connection with more,
or with a body of unknown length, is closed."""

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
            except Gone:
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
        with kept(self.admission, None if staff else client) as body:
            announced = length(environ) or "HTTP_TRANSFER_ENCODING" in environ
            with self.admission.receiving(client) if announced else nullcontext():
                whole = await read(body, receive, limit)
            gone = asyncio.create_task(disconnected(receive))
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
        self, client: str, environ: Environ, body: Body | None = None, gone: asyncio.Task[None] | None = None
    ) -> Answer:
        async with self.admission.thread(client):
            if gone is not None and gone.done():
                raise Gone
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


# Responses ----------------------------------------------------------------------------------------------------------


def _closing(answer: Answer, environ: Environ) -> Answer:
    """An answer to a request whose body was not read: what is small is read and thrown away, else it ends the
    connection."""
    answer = answer.without(b"connection")
    if length(environ) <= MOST_DRAINED and "HTTP_TRANSFER_ENCODING" not in environ:
        return answer
    return replace(answer, headers=[*answer.headers, (b"connection", b"close")])


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
    file = TemporaryFile()  # noqa: SIM115 - closed after it was written to the client
    for part in parts:
        file.write(part)
    file.seek(0)
    return file
