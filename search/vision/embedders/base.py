"""The contract of the models that search uses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from search.backends import Backend
from search.exceptions import EmbedderError, PicturesRejected

# A squared length may be off 1 by rounding only, which in half precision is about 1e-3.
TOLERANCE = 2e-3


class Embedder(Backend):
    """A model that turns square pictures into unit vectors. One instance serves all threads of a process.

    Its properties never change: if a remote model is replaced, the instance refuses every call and is `outdated`.
    Each property of a remote model may raise EmbedderError.
    """

    remote = False
    """Whether the model and its properties are reached over a network."""

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

    @property
    def batch_size(self) -> int:
        """How many squares the model takes at a time; callers gather at least as many where they can."""
        return 16

    @abstractmethod
    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed 1 to batch_size squares, uint8 (n, size, size, 3) RGB -> (n, dimensions), unit rows.

        Raises PicturesRejected, with the rows of the others, if the model permanently rejects some pictures.
        """

    def embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed squares, uint8 (n, size, size, 3) RGB -> float32 (n, dimensions), unit rows.

        n may be any number. Raises ValueError for squares of another dtype or shape, PicturesRejected with the rows
        of the others if the model rejects some of the pictures, and EmbedderError if it cannot be called or does not
        answer with n unit vectors.
        """
        expected = (self.size, self.size, 3)
        if squares.dtype != np.uint8 or squares.ndim != 4 or squares.shape[1:] != expected:  # noqa: PLR2004
            got = f"{squares.dtype} {squares.shape}"
            raise ValueError(f"Squares have to be uint8 (n, {self.size}, {self.size}, 3), not {got}.")
        vectors = np.empty((len(squares), self.dimensions), np.float32)
        reasons: dict[int, str] = {}
        for start in range(0, len(squares), self.batch_size):
            batch = squares[start : start + self.batch_size]
            refused: dict[int, str] = {}
            try:
                rows = self._embed(batch)
            except PicturesRejected as rejected:
                rows, refused = rejected.vectors, rejected.reasons
                reasons |= {start + place: reason for place, reason in refused.items()}
            vectors[start : start + len(batch)] = self._verified(rows, len(batch), refused)
        if reasons:
            raise PicturesRejected(vectors, reasons)
        return vectors

    def warm(self) -> None:
        """Load the model now, by embedding a grey square, so that no shopper waits for it."""
        self.embed(np.full((1, self.size, self.size, 3), 127, np.uint8))

    def refresh_manifest(self) -> None:
        """Find out now whether the model was replaced, and be `outdated` if so; nothing if it does not answer."""

    def mark_stale(self) -> None:
        """The model may have been replaced: find out soon, not now."""

    def _verified(self, vectors: NDArray[np.float32], n: int, refused: Collection[int]) -> NDArray[np.float32]:
        if vectors.shape != (n, self.dimensions):
            expected = f"({n}, {self.dimensions})"
            raise EmbedderError(f"The model {self.alias!r} answered with shape {vectors.shape}, not {expected}.")
        rows = np.delete(vectors, list(refused), axis=0) if refused else vectors
        # NaN and infinity fail the comparison too.
        if not np.all(np.abs(np.einsum("ij,ij->i", rows, rows) - 1) <= TOLERANCE):
            raise EmbedderError(f"The model {self.alias!r} answered with vectors that are not of unit length.")
        return vectors
