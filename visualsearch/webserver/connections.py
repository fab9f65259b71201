"""A client's connection: how many there may be, and how slow they may be.

This module adds the limits that uvicorn lacks. A client has `PATIENCE` seconds for a request, and as many again
whenever it has kept up a rate of `SLOWEST` meanwhile; and `UNREAD_PATIENCE` seconds to start draining a full buffer.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE = 10.0
"""Seconds that a client may take for its request, and again after each in which it kept up the rate of `SLOWEST`."""

SLOWEST = 20_000
"""Bytes a second: 10 MB from a slow phone take eight minutes."""

UNREAD_PATIENCE = 30.0
"""Seconds. A third of `SEND_BUFFER`, which is when Linux calls it writable again, takes half of them at `SLOWEST`."""

SEND_BUFFER = 256 * 1024
"""Bytes that the system keeps for a client who reads slowly; Linux doubles it for its own needs."""

HEAD_BYTES = 64 * 1024
"""Bytes of a request that may come before its head ends. `bridge.HEAD_BYTES` is what a whole head may have."""

PIPELINE = 8
"""Requests that may wait on one connection. Browsers send none before the answer to the last."""

MOST_PIECES = 10_000
SMALLEST_PIECE = 100
"""Bytes of a body's chunks on average, once there are more than `MOST_PIECES`: each takes the event loop as long."""

LAST_REQUEST_SECONDS = 1.0
"""How long a process that is being stopped waits for the request of a connection that has just been made."""

SWEEP_SECONDS = 1.0
"""How often connections are looked at."""


@dataclass(frozen=True)
class Limits:
    """How many connections one process has."""

    connections: int = 1_000
    #: of them, those of one client; None where a proxy is the only client there is
    of_client: int | None = 128


class Register:
    """All connections of one process.

    client_of: an address -> whom its connections are counted for.
    """

    def __init__(self, limits: Limits, client_of: Callable[[str], str]) -> None:
        self.limits = limits
        self.client_of = client_of
        self.open: dict[Connection, str] = {}  # with their clients, oldest first
        self._of_client: Counter[str] = Counter()

    def add(self, connection: Connection, address: str) -> bool:
        """Whether there is room for another connection. If all are taken, one that needs no answer yet makes room."""
        client = self.client_of(address)
        most = self.limits.of_client
        if most is not None and self._of_client[client] >= most:
            return False
        if len(self.open) >= self.limits.connections:
            if (other := self._least()) is None:
                return False
            other.abort()
            self.remove(other)
        self.open[connection] = client
        self._of_client[client] += 1
        return True

    def _least(self) -> Connection | None:
        """The oldest idle connection, else one whose request is not whole yet, of the client who has most."""
        if (idle := next((other for other in self.open if other.idle), None)) is not None:
            return idle
        receiving = (other for other in self.open if other.receiving)
        return max(receiving, key=lambda other: self._of_client[self.open[other]], default=None)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; also one that was never added."""
        if (client := self.open.pop(connection, None)) is not None:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    async def sweep(self) -> None:
        """Close what is too slow, for as long as the process lives."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self.open):
                connection.check(now)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits. A subclass has the process's `register`."""

    register: Register

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # When the request that is being received began; None between requests.
        self._began: float | None = None
        self._received = 0
        self._counted = 0
        self._pieces = 0
        self._head_ended = False
        self._unread_since: float | None = None
        self._running: Any = None
        self._leaving = False
        self._closing_since: float | None = None

    @property
    def idle(self) -> bool:
        """No request is being answered, and none has come whole."""
        return not self._busy and not self._head_ended

    @property
    def receiving(self) -> bool:
        """A request has begun and is not whole yet."""
        return self._began is not None and not self._answering

    @property
    def _busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    # What uvicorn's loop calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.register.add(self, self.client[0] if self.client else ""):
            self._refuse(b"503 Service Unavailable", b"There are too many connections. Try again in a moment.\n")
            return
        if (raw := transport.get_extra_info("socket")) is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self.register.remove(self)
        if self._running is not None:
            # uvicorn tells only the last request that has come, which may be queued behind this one.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._began is None:
            self._begin()
        if not self._received:
            data = _without_upgrade(data)
        self._received += len(data)
        super().data_received(data)
        if self._began is not None and not self._head_ended and self._received > HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"The request's headers are too long.\n")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = None

    # What the parser calls ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINE:
            raise ValueError("Too many requests wait on one connection.")
        if self._began is None:
            self._begin()
        self._head_ended = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            raise ValueError("Upgrades are not supported.")  # the parser would take what follows for another protocol
        self._head_ended = True
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._pieces += 1
        if self._pieces > MOST_PIECES and self._received < self._pieces * SMALLEST_PIECE:
            raise ValueError("The body comes in too many pieces.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._began = None
        self._received = self._counted = self._pieces = 0
        self._head_ended = False
        if self.cycle.response_complete and not self.pipeline:
            # It was refused before it was whole, and what came since has stopped uvicorn's clock.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        """The process is being stopped: a connection that is new may bring its request, which others would lose."""
        if self._running is None and not self._leaving:
            self._leaving = True
            self.loop.call_later(LAST_REQUEST_SECONDS, self.shutdown)
        else:
            super().shutdown()

    # Patience -------------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Close the connection if its client is too slow. `now` is the event loop's time in seconds."""
        if self.transport.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since > PATIENCE:
                self.abort()
        elif self._unread_since is not None and now - self._unread_since > UNREAD_PATIENCE:
            self.abort()
        elif self._began is not None:
            if self.flow.read_paused:
                self._began += SWEEP_SECONDS  # the server keeps the client waiting: the clock stands still
            elif now - self._began > PATIENCE:
                if self._received - self._counted < PATIENCE * SLOWEST:
                    self._refuse(b"408 Request Timeout", b"The request came too slowly.\n")
                self._began, self._counted = now, self._received

    @property
    def _answering(self) -> bool:
        """Whether an answer is half written."""
        return self._running is not None and self._running.response_started and not self._running.response_complete

    def send_400_response(self, msg: str) -> None:
        if self._answering:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def abort(self) -> None:
        """Close at once; the system forgets what was not sent, which it would offer to the client for minutes."""
        if (raw := self.transport.get_extra_info("socket")) is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _begin(self) -> None:
        self._began = self.loop.time()
        self._received = self._counted = self._pieces = 0

    def _refuse(self, status: bytes, sentence: bytes) -> None:
        """Say why and close; an answer that was begun is only cut off."""
        if not self._answering:
            lines = [
                b"HTTP/1.1 " + status,
                b"content-type: text/plain; charset=utf-8",
                b"content-length: %d" % len(sentence),
                b"connection: close",
                *([b"retry-after: 5"] if status.startswith(b"503") else []),
            ]
            self.transport.write(b"\r\n".join([*lines, b"", sentence]))
        self.transport.close()


_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


def _without_upgrade(data: bytes) -> bytes:
    """The beginning of a request without its offer to speak another protocol (RFC 9110, 7.8), which may be ignored.

    Java's client makes one with each request over plain HTTP.
    """
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else _UPGRADE.sub(b"", data[:end]) + data[end:]
