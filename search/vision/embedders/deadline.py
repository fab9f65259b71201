"""The deadline of a shopper's request, which a remote model observes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_since: ContextVar[float | None] = ContextVar("request_deadline", default=None)


@contextmanager
def request_deadline() -> Iterator[None]:
    """Within this block, in this thread, all calls of a model share the time that a shopper waits."""
    token = _since.set(time.monotonic()) if _since.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _since.reset(token)


def since() -> float | None:
    """When a shopper began to wait, by `time.monotonic`; None if nobody waits."""
    return _since.get()
