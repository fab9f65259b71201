"""Whether somebody waits for a model's answer, and since when: a model that is elsewhere then gives up sooner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_since: ContextVar[float | None] = ContextVar("haste", default=None)


@contextmanager
def haste() -> Iterator[None]:
    """While this lasts, in this thread, all questions to a model share the time that a shopper waits for it."""
    token = _since.set(time.monotonic()) if _since.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _since.reset(token)


def since() -> float | None:
    """When somebody began to wait, by `time.monotonic`; None where nobody does."""
    return _since.get()
