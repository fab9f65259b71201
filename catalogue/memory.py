"""A memory budget that threads share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Exhausted(Exception):
    """The memory was not available in time."""


class Budget:
    """Bytes that all threads together may use. Nothing is allocated here; amounts are estimates.

    Threads are served in the order in which they ask, so that a large request cannot starve.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """The number of waiting threads."""
        return len(self._queue)

    @contextmanager
    def taking(self, amount: int, wait: float | None = None) -> Iterator[None]:
        """Hold `amount` bytes (at most the total) for the duration of a block.

        Waits up to `wait` seconds for them, without a limit if None. Raises Exhausted.
        """
        amount = min(amount, self.total)
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                if not self._changed.wait_for(lambda: self._queue[0] is place and self._free >= amount, wait):
                    raise Exhausted
                self._free -= amount
            finally:
                self._queue.remove(place)
                self._changed.notify_all()  # the next thread may need less
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
