"""A package's model on TensorFlow."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from endpoint.engines.base import Engine, EngineError
from modelarchive.archive import ModelArchive
from modelarchive.precision import Precision


class TensorFlowEngine(Engine):
    """The SavedModel's signature `pixels`, as TensorFlow itself runs it, in f32."""

    name = "tensorflow"
    precision = "f32"

    def __init__(self, package: ModelArchive, precision: Precision = "auto", threads: int = 0) -> None:
        if precision == "bf16":
            raise EngineError("TensorFlow computes in f32 here: use --precision auto, or --engine openvino.")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        super().__init__(package.manifest)
        if threads:
            try:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
            except RuntimeError as error:
                raise EngineError("TensorFlow has already started, and its number of threads is fixed.") from error
        try:
            self._model = tf.saved_model.load(str(package.saved_model))
            self._embed = self._model.signatures["pixels"]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise EngineError(f"TensorFlow cannot load the model in {package.saved_model}: {error}") from error
        self._failures = tf.errors.OpError

    def _rows(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            (output,) = self._embed(pixels=squares).values()
            rows: NDArray[np.float32] = output.numpy()
        except self._failures as error:
            raise EngineError(f"TensorFlow could not embed {len(squares)} images: {error}") from error
        return rows
