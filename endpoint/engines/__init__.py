"""What runs a package's model on this machine: `load("openvino", package).embed(squares)`."""

from __future__ import annotations

from typing import Literal

from endpoint.engines.base import Engine, EngineError
from modelarchive.archive import ModelArchive
from modelarchive.precision import Precision

__all__ = ["Engine", "EngineError", "EngineName", "Precision", "load"]

EngineName = Literal["openvino", "tensorflow"]


def load(name: EngineName, package: ModelArchive, precision: Precision = "auto", threads: int = 0) -> Engine:
    """Load a package's model into the engine of that name; the package's files may go afterwards.

    precision: "f32", "bf16", or "auto", which is bf16 where engine and processor are faster in it.
    threads: of one batch; 0 is one per core.

    Raises EngineError and `archive.ArchiveError`.
    """
    try:
        if name == "openvino":
            from endpoint.engines.openvino import OpenVinoEngine

            return OpenVinoEngine(package, precision, threads)
        from endpoint.engines.tensorflow import TensorFlowEngine

        return TensorFlowEngine(package, precision, threads)
    except ImportError as error:
        raise EngineError(f"The engine {name} is not installed here: {error}.") from error
