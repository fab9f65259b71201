"""A circuit breaker: while a service is down, calls to it fail at once instead of holding a thread each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REST = 5.0
"""Seconds for which a breaker stays open by default."""


class Breaker:
    """Opens when a call fails, and refuses further calls for a while. One instance serves all threads.

    After `rest` seconds one caller is let through to probe the service. Its result closes
    the breaker or opens it again.

    rest: seconds; None means `REST`.
    """

    def __init__(self, rest: float | None = None) -> None:
        self._rest = rest
        self._lock = threading.Lock()
        self._reason = ""
        self._refuses_until = 0.0

    def refusal(self, probe_seconds: float = 0.0) -> str:
        """Return why the service must not be called now, or "" if it may be called.

        probe_seconds: how long other callers are refused while this one probes a service that was down.
        """
        with self._lock:
            now = time.monotonic()
            if not self._reason:
                return ""
            if now < self._refuses_until:
                return self._reason
            self._refuses_until = now + probe_seconds
            return ""

    def open(self, error: Exception) -> bool:
        """Refuse calls, because of this error. Return whether the breaker was closed before."""
        with self._lock:
            was_closed = not self._reason
            self._reason = str(error) or type(error).__name__
            self._refuses_until = time.monotonic() + (REST if self._rest is None else self._rest)
            return was_closed

    def close(self) -> bool:
        """Allow calls again. Return whether the breaker was open before."""
        with self._lock:
            was_open = bool(self._reason)
            self._reason = ""
            return was_open

    @contextmanager
    def guard(self, unavailable: type[Exception], timeout: float) -> Iterator[None]:
        """Wrap a call that takes at most `timeout` seconds.

        Raises `unavailable` while the breaker is open. The breaker opens only if the call raises `unavailable` after
        more than half of the timeout: a call that fails at once holds no thread.
        """
        if reason := self.refusal(probe_seconds=timeout):
            raise unavailable(reason)
        started = time.monotonic()
        try:
            yield
        except unavailable as error:
            if time.monotonic() - started > timeout / 2:
                self.open(error)
            else:
                self.close()
            raise
        except Exception:
            self.close()
            raise
        self.close()
