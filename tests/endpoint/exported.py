"""Unpacked packages of random weights, and what Keras itself computes with the same weights."""

from __future__ import annotations

import atexit
import importlib
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endpoint import export
from endpoint.architectures import ARCHITECTURES
from modelarchive import archive
from modelarchive.pooling import Pooling
from tests import drawing

if TYPE_CHECKING:
    import keras

_scratch = tempfile.TemporaryDirectory(prefix="exported-")
atexit.register(_scratch.cleanup)


def squares(size: int) -> NDArray[np.uint8]:
    """Two pictures, uint8 (2, size, size, 3)."""
    drawn = (drawing.picture("shirt", size=(size, size)), drawing.picture("hat", "#2050a0", size=(size, size)))
    return np.stack([np.asarray(picture) for picture in drawn])


@dataclass(frozen=True, eq=False)
class Exported:
    """A network, its package as a container finds it, and what Keras makes of two pictures with the same weights."""

    network: keras.Model
    folder: Path
    squares: NDArray[np.uint8]  # (2, size, size, 3)
    features: NDArray[np.float32]  # (2, h, w, dimensions), the last feature map
    rows: NDArray[np.float32]  # (2, dimensions), by the layer of Keras's own average pooling

    def signature(self, name: str) -> Any:
        """A signature of the SavedModel, as TensorFlow Serving calls it."""
        import tensorflow as tf

        called = self._loaded.signatures[name]
        return lambda values: called(tf.constant(values))["embeddings"].numpy()

    @cached_property
    def _loaded(self) -> Any:
        import tensorflow as tf

        return tf.saved_model.load(str(self.folder / archive.VERSION))


def exported(architecture: str, size: int, pooling: Pooling = "mean") -> Exported:
    import keras

    network = export.backbone(architecture, "none", size=size)
    module = importlib.import_module(f"keras.applications.{ARCHITECTURES[architecture].module}")
    pixels = squares(size)
    features = network(module.preprocess_input(pixels.astype(np.float32)), training=False)
    rows = keras.layers.GlobalAveragePooling2D()(features)
    folder = Path(tempfile.mkdtemp(dir=_scratch.name))
    export.save(network, architecture, pooling, folder)
    return Exported(network, folder, pixels, features.numpy(), rows.numpy())


def on_openvino(folder: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows of an unpacked package by OpenVINO, in single precision."""
    import openvino as ov

    with archive.unpacked(folder) as opened:
        compiled = ov.Core().compile_model(opened.graph(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rows: NDArray[np.float32] = compiled(pixels)[0]
    return rows
