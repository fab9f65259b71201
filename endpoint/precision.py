"""What OpenVINO computes in on this processor, for the server's engine and for the site's own model alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import openvino as ov

Precision = Literal["auto", "f32", "bf16"]
"""auto is bf16 where there are instructions for it."""


class PrecisionError(ValueError):
    """The processor does not have what is wanted; a sentence."""


def configuration(core: ov.Core, precision: Precision, threads: int) -> dict[str, str]:
    """How a model is compiled: one batch at a time on all cores, for somebody waits; large ones keep them busy too.

    threads: of one batch; 0 is one per core. Raises PrecisionError.
    """
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _chosen(core, precision)}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    return config


def _chosen(core: ov.Core, wanted: Precision) -> str:
    offers_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if wanted == "bf16" and not offers_bf16:
        raise PrecisionError("This processor has no bf16.")
    return "bf16" if offers_bf16 and wanted != "f32" else "f32"
