"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h


def give_memory_back() -> None:
    """Have glibc return the memory of large pictures to the system; by default it keeps some for each thread.

    Other C libraries have no such switches and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, 2)
    mallopt(_M_MMAP_THRESHOLD, 1 << 20)
