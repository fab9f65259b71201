"""What something costs, for tests that bound it: other work on the machine does not count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Spent:
    """Seconds of processor time of this thread."""

    seconds = 0.0


@contextmanager
def processor_time() -> Iterator[Spent]:
    """Measures the processor time that its block takes in this thread."""
    spent, began = Spent(), time.thread_time()
    try:
        yield spent
    finally:
        spent.seconds = time.thread_time() - began
