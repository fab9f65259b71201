"""The contract of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from modelarchive.manifest import Manifest


class EngineError(Exception):
    """A model cannot be loaded or cannot answer; a sentence."""


class Engine(ABC):
    """A loaded model. One thread at a time calls it; it uses all cores by itself."""

    name: ClassVar[str]
    #: what it computes in: "f32" or "bf16"
    precision: str

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB, uint8 (n, size, size, 3) -> float32 (n, dimensions), not of unit length.

        Raises ValueError (another shape or dtype) and EngineError.
        """
        size = self.manifest.size
        if squares.shape[1:] != (size, size, 3) or squares.dtype != np.uint8:
            raise ValueError(f"uint8 (n, {size}, {size}, 3) is expected, not {squares.dtype} {squares.shape}.")
        rows = self._rows(squares)
        if rows.shape != (len(squares), self.manifest.dimensions):
            raise EngineError(
                f"The model answers {rows.shape} to {len(squares)} images, but its manifest says that it has "
                f"{self.manifest.dimensions} dimensions: export the package again."
            )
        return rows

    @abstractmethod
    def _rows(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed; the next call may overwrite the returned array. Raises EngineError."""
