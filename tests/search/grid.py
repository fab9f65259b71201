"""A simple model, quick and without weights, in the place of the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.exceptions import EmbedderUnavailable, PicturesRejected
from search.vision.embedders.base import Embedder


class Grid(Embedder):
    """The mean colours of an 8 x 8 grid. It can be told to fail."""

    calls = 0
    unavailable = False
    rejects: int | None = None

    def __init__(self, alias: str, *, name: str = "grid") -> None:
        super().__init__(alias)
        self.name = name

    @property
    def fingerprint(self) -> str:
        return self.name

    @property
    def dimensions(self) -> int:
        return 192

    @property
    def size(self) -> int:
        return 64

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        type(self).calls += len(squares)
        if self.unavailable:
            raise EmbedderUnavailable("The model is asleep.")
        cells = squares.reshape(-1, 8, 8, 8, 8, 3).mean(axis=(2, 4), dtype=np.float32).reshape(-1, 192) + 1
        rows: NDArray[np.float32] = cells / np.linalg.norm(cells, axis=1, keepdims=True)
        if self.rejects is not None and (refused := np.flatnonzero(squares[:, 32, 32, 0] == self.rejects)).size:
            rows[refused] = np.nan
            raise PicturesRejected(rows, dict.fromkeys(refused.tolist(), "The model does not take this picture."))
        return rows


def configured(name: str = "grid") -> dict[str, Any]:
    """What EMBEDDERS says of it; by another name it is another model."""
    return {"BACKEND": f"{__name__}.Grid", "OPTIONS": {"name": name}}
