"""Waits for other threads and processes."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds to wait, on a busy machine."""


def until(condition: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> float:
    """Wait until the condition holds, checking every `pause` seconds. Return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"The condition did not hold within {seconds} seconds."
        time.sleep(pause)
    return time.monotonic() - began
