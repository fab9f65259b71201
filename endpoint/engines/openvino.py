"""A package's model on OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endpoint.engines.base import Engine, EngineError
from modelarchive.archive import ModelArchive
from modelarchive.precision import Precision, PrecisionError, configuration

if TYPE_CHECKING:
    import openvino as ov


class OpenVinoEngine(Engine):
    """The signature `pixels`, compiled for this processor; TensorFlow is not needed."""

    name = "openvino"

    def __init__(self, package: ModelArchive, precision: Precision = "auto", threads: int = 0) -> None:
        from openvino import Core

        super().__init__(package.manifest)
        core = Core()
        try:
            config = configuration(core, precision, threads)
        except PrecisionError as error:
            raise EngineError(f"{error} Use --precision auto or f32.") from error
        self.precision = config["INFERENCE_PRECISION_HINT"]
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
