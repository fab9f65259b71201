"""A circuit breaker: a service that hangs must not hold every thread of the web server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REST = 5.0
"""Seconds in which nobody is let through after one has waited in vain. Then one is, and the others wait for that."""


class Breaker:
    """Lets calls through until one of them has waited in vain; one instance serves all threads.

    unavailable: what calls raise where the service is away.
    """

    def __init__(self, unavailable: type[Exception]) -> None:
        self._unavailable = unavailable
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self._reason = ""

    @contextmanager
    def guarded(self, timeout: float) -> Iterator[None]:
        """Around a call of at most `timeout` seconds. Raises `unavailable`, as the one did that has waited.

        A call has waited in vain if it ends as unavailable after more than half of its time: a refusal that comes at
        once holds no thread.
        """
        began = time.monotonic()
        with self._lock:
            if self._reason:
                if began < self._closed_until:
                    raise self._unavailable(self._reason)
                self._closed_until = began + timeout
        try:
            yield
        except self._unavailable as error:
            nothing_done = time.monotonic() - began > timeout / 2
            self._note(str(error) if nothing_done else "")
            raise
        except Exception:
            self._note("")
            raise
        self._note("")

    def _note(self, reason: str) -> None:
        with self._lock:
            self._reason = reason
            self._closed_until = time.monotonic() + REST
