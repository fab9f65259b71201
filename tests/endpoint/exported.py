"""Packages of random weights, each made once in a session of tests; `model_package` is one by the command line."""

from __future__ import annotations

import atexit
import gzip
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from endpoint import export, package
from endpoint.architectures import ARCHITECTURES
from endpoint.pooling import Pooling
from tests import drawing

SMALL = "mobilenetv2"
"""The architecture with the fewest weights; its packages are packed as the command packs them."""

_scratch = tempfile.TemporaryDirectory(prefix="exported-")
atexit.register(_scratch.cleanup)


def squares(size: int) -> NDArray[np.uint8]:
    """Two pictures, uint8 (2, size, size, 3)."""
    drawn = (drawing.picture("shirt", size=(size, size)), drawing.picture("hat", "#2050a0", size=(size, size)))
    return np.stack([np.asarray(picture) for picture in drawn])


@dataclass(frozen=True, eq=False)
class Exported:
    """A package, and what Keras makes of `squares` with the same weights."""

    path: Path
    architecture: str
    rows: NDArray[np.float32]  # (2, dimensions), by `predict` of the network with Keras's own average pooling
    features: NDArray[np.float32]  # (2, h, w, dimensions), the last feature map

    @property
    def size(self) -> int:
        return ARCHITECTURES[self.architecture].size

    @property
    def squares(self) -> NDArray[np.uint8]:
        return squares(self.size)


@cache
def exported(architecture: str, pooling: Pooling = "mean") -> Exported:
    import importlib

    import keras

    network = export.backbone(architecture, "none")
    known = ARCHITECTURES[architecture]
    module = importlib.import_module(f"keras.applications.{known.module}")
    # The layer that Keras's own `pooling="avg"` puts there.
    rows = keras.layers.GlobalAveragePooling2D()(network.output)
    both = keras.Model(network.inputs, [rows, network.output])
    pixels = squares(known.size).astype(np.float32)
    rows, features = both.predict(module.preprocess_input(pixels), verbose=0)
    folder = Path(_scratch.name) / f"{architecture}-{pooling}"
    with nullcontext() if architecture == SMALL else patch.object(export, "_gzip", _stored):
        path = export.write(network, architecture, pooling, folder)
    return Exported(path, architecture, rows, features)


def _stored(raw: BinaryIO) -> gzip.GzipFile:
    """A gzip that does not compress: random weights of 100 MB take seconds and hardly shrink."""
    return gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=0, mtime=0, filename="")


@cache
def _loaded(folder: Path) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(folder / package.VERSION))


@cache
def unpacked(architecture: str, pooling: Pooling = "mean") -> Path:
    """The folder of a package, as a container finds it."""
    context = package.opened(exported(architecture, pooling).path)
    opened = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return opened.folder


def signature(folder: Path, name: str) -> Any:
    """A signature of the SavedModel of an unpacked package, as TensorFlow Serving calls it."""
    import tensorflow as tf

    called = _loaded(folder).signatures[name]
    return lambda values: called(tf.constant(values))["embeddings"].numpy()


def on_openvino(folder: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows by OpenVINO, in single precision."""
    import openvino as ov

    graph = package.Package(folder, package.read_manifest(folder)).graph()
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rows: NDArray[np.float32] = compiled(pixels)[0]
    return rows
