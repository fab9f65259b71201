"""A package's model on OpenVINO."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endpoint.engines.base import Engine, EngineError, Precision
from endpoint.package import Package

if TYPE_CHECKING:
    import openvino as ov

# `import openvino` reports itself to its makers unless this package, which it can do without, is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVinoEngine(Engine):
    """The signature `pixels`, compiled for this processor; TensorFlow is not needed."""

    name = "openvino"

    def __init__(self, package: Package, precision: Precision = "auto", threads: int = 0) -> None:
        from openvino import Core

        super().__init__(package.manifest)
        core = Core()
        self.precision = _precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        # One batch at a time, on all cores.
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        graph = package.graph()
        try:
            self._request: ov.InferRequest = core.compile_model(graph, "CPU", config).create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile the model: {error}") from error

    def _rows(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            rows: NDArray[np.float32] = self._request.infer([squares], share_inputs=True, share_outputs=True)[0]
        except RuntimeError as error:
            raise EngineError(f"OpenVINO could not embed {len(squares)} images: {error}") from error
        return rows


def _precision(wanted: Precision, capabilities: list[str]) -> str:
    offers_bf16 = "BF16" in capabilities
    if wanted == "bf16" and not offers_bf16:
        raise EngineError("This processor has no bf16: take --precision auto or f32.")
    return "bf16" if offers_bf16 and wanted != "f32" else "f32"
