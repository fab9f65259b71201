"""A share of memory that threads take from, and wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Exhausted(Exception):
    """There was not enough left, and none came back in time."""


class Budget:
    """Bytes that a process may use for something at once. What is taken is an estimate: nothing is allocated here."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, amount: int, wait: float | None = None) -> Iterator[None]:
        """Hold `amount` bytes, or all there are if that is less, for the duration of a block.

        Waits up to `wait` seconds for them, or as long as it takes, and raises Exhausted after that.
        """
        amount = min(amount, self.total)
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= amount, wait):
                raise Exhausted
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
