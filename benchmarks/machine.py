"""What a figure was measured on: speeds differ more between processors than between versions of the code."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def processor() -> str:
    """Return the processor's name, the cores this process may use, and whether it has bf16 instructions."""
    return f"{_name()}, {_cores()} cores, {'bf16' if has_bf16() else 'no bf16'}"


def has_bf16() -> bool:
    """Tell whether the processor multiplies bf16 numbers (AVX-512 BF16, AMX, or Arm's extension)."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_cpuinfo("flags|Features").split())


def _name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpuinfo(field: str) -> str:
    """Return the first value of a field in Linux's description of the processor; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf"^(?:{field})\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
