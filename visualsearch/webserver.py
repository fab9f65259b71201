"""The web server's threads, held by no client for longer than it deserves, and its memory."""

from __future__ import annotations

import ctypes
import errno
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

PATIENCE = 10.0
"""Seconds that a client may take for its request, and more for what it sends: as many as at `SLOWEST`."""

SLOWEST = 20_000
"""Bytes a second: 10 MB from a slow phone take eight minutes."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h


class PatientSocket:
    """A client's socket for one request: a read that takes too long ends as if the client had gone."""

    def __init__(self, client: Any) -> None:
        self._socket = client
        self._until = time.monotonic() + PATIENCE

    def recv(self, size: int) -> bytes:
        usual = self._socket.gettimeout()
        # Never 0, which would mean not to wait at all.
        left = max(0.001, self._until - time.monotonic())
        if usual is not None and usual < left:
            return bytes(self._socket.recv(size))
        try:
            self._socket.settimeout(left)
            data = bytes(self._socket.recv(size))
        except TimeoutError:
            with suppress(OSError):
                # gunicorn would wait for the end of what such a client sends, and serve nobody meanwhile.
                self._socket.shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError(errno.ECONNRESET, "The client was too slow.") from None
        finally:
            self._socket.settimeout(usual)
        self._until += len(data) / SLOWEST
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, which would wait for ever for the rest of a request that has begun.

    A proxy that takes requests in whole before it passes them on is still better; where there is none, a few clients
    that send nothing must not hold all threads.
    """

    def handle(self, conn: TConn) -> Any:
        if conn.parser is None:  # made where it is first read from
            conn.init = partial(_init, conn, conn.init)
        else:
            _be_patient(conn)
        return super().handle(conn)


def _init(conn: TConn, init: Any) -> None:
    fresh = conn.parser is None
    init()
    if fresh:
        _be_patient(conn)


def _be_patient(conn: TConn) -> None:
    if not conn.is_http2:
        conn.parser.unreader.sock = PatientSocket(conn.sock)


def give_memory_back() -> None:
    """Have glibc give large pictures' memory back when they are done with: by itself it keeps some for each thread.

    Other libraries for C have no such switches and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, 2)
    mallopt(_M_MMAP_THRESHOLD, 1 << 20)
