"""What every model behind search promises."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from search.backends import Backend
from search.exceptions import EmbedderError

# A squared length may be off 1 by rounding only, which in half precision is about 1e-3.
TOLERANCE = 2e-3


class Embedder(Backend):
    """A model that turns square pictures into unit vectors. One instance serves all threads of a process."""

    batch_size = 16
    """How many squares the model is given at a time; callers gather at least as many where they can."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What makes vectors comparable: model, digest of the weights, preprocessing version, pooling."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of an embedding."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the squares, in pixels."""

    @abstractmethod
    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed 1 to batch_size squares, uint8 (n, size, size, 3) RGB -> (n, dimensions), unit rows."""

    def embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed squares, uint8 (n, size, size, 3) RGB -> float32 (n, dimensions), unit rows.

        Any n will do. Raises ValueError for squares of another dtype or shape, and EmbedderError where the
        model cannot be asked or answers with something that is not n unit vectors.
        """
        expected = (self.size, self.size, 3)
        if squares.dtype != np.uint8 or squares.ndim != 4 or squares.shape[1:] != expected:  # noqa: PLR2004
            got = f"{squares.dtype} {squares.shape}"
            raise ValueError(f"Squares have to be uint8 (n, {self.size}, {self.size}, 3), not {got}.")
        vectors = np.empty((len(squares), self.dimensions), np.float32)
        for start in range(0, len(squares), self.batch_size):
            batch = slice(start, start + self.batch_size)
            vectors[batch] = self._verified(self._embed(squares[batch]), len(squares[batch]))
        return vectors

    def warm(self) -> None:
        """Load the model now, by embedding a grey square, so that no shopper waits for it."""
        self.embed(np.full((1, self.size, self.size, 3), 127, np.uint8))

    def _verified(self, vectors: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        if vectors.shape != (n, self.dimensions):
            expected = f"({n}, {self.dimensions})"
            raise EmbedderError(f"The model {self.alias!r} answered with shape {vectors.shape}, not {expected}.")
        # NaN and infinity fail the comparison too.
        if not np.all(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) <= TOLERANCE):
            raise EmbedderError(f"The model {self.alias!r} answered with vectors that are not of unit length.")
        return vectors
