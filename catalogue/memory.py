"""A share of memory that threads take from, and wait for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Exhausted(Exception):
    """There was not enough left, and none came back in time."""


class Budget:
    """Bytes that a process may use for something at once. What is taken is an estimate: nothing is allocated here.

    Threads get their shares in the order in which they ask, so that one that needs much is not passed over for ever.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """Threads that wait for their share."""
        return len(self._queue)

    @contextmanager
    def taking(self, amount: int, wait: float | None = None) -> Iterator[None]:
        """Hold `amount` bytes, or all there are if that is less, for the duration of a block.

        Waits up to `wait` seconds for them, or as long as it takes, and raises Exhausted after that.
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
                self._changed.notify_all()  # the next one may be content with less
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
