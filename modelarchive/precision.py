"""Which precision OpenVINO uses on this processor, for the model server and for the site's own model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import openvino as ov

Precision = Literal["auto", "f32", "bf16"]
"""auto is bf16 where that is faster (`prefers_bf16`)."""


class PrecisionError(ValueError):
    """The processor lacks the precision that was asked for; a sentence."""


def configuration(core: ov.Core, precision: Precision, threads: int) -> dict[str, str]:
    """OpenVINO's options: one batch at a time on all cores, since somebody waits for it.

    threads: of one batch; 0 is one per core. Raises PrecisionError.
    """
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _chosen(core, precision)}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    return config


def prefers_bf16(core: ov.Core) -> bool:
    """Whether this processor is faster in bf16 than in f32.

    Having the instructions is not enough: AMD's take .4 to .65 of the time of f32, but Intel's of AVX-512 take 1.35
    (EfficientNet-Lite0) to 1.6 times as long (ResNet50); with Intel it is AMX that makes bf16 fast. Measured on an
    EPYC with AVX-512 BF16 and on a Xeon with the same and no AMX.
    """
    if "BF16" not in _offered(core):
        return False
    return "Intel" not in core.get_property("CPU", "FULL_DEVICE_NAME") or "amx_bf16" in _flags()


def _chosen(core: ov.Core, wanted: Precision) -> str:
    if wanted == "bf16" and "BF16" not in _offered(core):
        raise PrecisionError("This processor has no bf16.")
    return "bf16" if wanted == "bf16" or (wanted == "auto" and prefers_bf16(core)) else "f32"


def _offered(core: ov.Core) -> list[str]:
    capabilities: list[str] = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return capabilities


def _flags() -> frozenset[str]:
    """The features of the first processor on Linux; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
