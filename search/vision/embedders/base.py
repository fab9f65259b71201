"""What every model behind search promises."""

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

    What it says of itself never changes once it was said: where the model behind it is exchanged, the instance goes
    on refusing and is `outdated`. Each of its properties may raise EmbedderError where it has to ask for it.
    """

    remote = False
    """Whether it takes a network to ask the model, also what it is."""

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
        """How many squares the model is given at a time; callers gather at least as many where they can."""
        return 16

    @abstractmethod
    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed 1 to batch_size squares, uint8 (n, size, size, 3) RGB -> (n, dimensions), unit rows.

        Raises PicturesRejected, with the rows of the others, where the model refuses some of the pictures for good.
        """

    def embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed squares, uint8 (n, size, size, 3) RGB -> float32 (n, dimensions), unit rows.

        Any n will do. Raises ValueError for squares of another dtype or shape, PicturesRejected with the rows of
        the others where the model refuses some of the pictures, and EmbedderError where it cannot be asked or
        answers with something that is not n unit vectors.
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

    def ask_anew(self) -> None:
        """Find out now whether the model has been exchanged: then this is `outdated`. Nothing where it is away."""

    def doubt(self) -> None:
        """Something speaks for the model having been exchanged: find out soon, not now."""

    def _verified(self, vectors: NDArray[np.float32], n: int, refused: Collection[int]) -> NDArray[np.float32]:
        if vectors.shape != (n, self.dimensions):
            expected = f"({n}, {self.dimensions})"
            raise EmbedderError(f"The model {self.alias!r} answered with shape {vectors.shape}, not {expected}.")
        rows = np.delete(vectors, list(refused), axis=0) if refused else vectors
        # NaN and infinity fail the comparison too.
        if not np.all(np.abs(np.einsum("ij,ij->i", rows, rows) - 1) <= TOLERANCE):
            raise EmbedderError(f"The model {self.alias!r} answered with vectors that are not of unit length.")
        return vectors
