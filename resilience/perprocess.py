"""Objects that do not survive a fork: connections, thread pools, loaded models."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Makes an object when a process first asks for it, and keeps it for all threads of that process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._objects: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's object. An error of `make` is raised, and the next call tries again."""
        process = os.getpid()
        with self._lock:
            if process not in self._objects:
                self._objects[process] = self._make()
            return self._objects[process]
