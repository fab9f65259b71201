"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds for what takes a moment, on a busy machine."""


def until(condition: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> float:
    """Wait until something is so, and say how long that took; it is looked at every `pause` seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "It did not come about."
        time.sleep(pause)
    return time.monotonic() - began
