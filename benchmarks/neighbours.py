"""Vectors with realistic neighbours, for indexes larger than any catalogue at hand.

A folder's photos, or made-up ones in groups, are the beginning; every row is one of them with noise in both blocks,
as another photo of the same thing is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

Floats = NDArray[np.float32]

NOISE = 0.6
"""Length of the noise beside a block of unit length: the cosine of two rows of one photo is about .74."""

_GROUPS, _PHOTOS, _STYLE, _COLOUR = 60, 3_000, 256, 125
SLIDER = (0.0, 0.2, 0.5)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Style (n, w) and colour (n, c), rows of unit length, and the group that each row is of."""

    style: Floats
    colour: Floats
    group: NDArray[np.int64]

    def noisy(self, count: int, seed: int) -> Blocks:
        """Rows of these with noise."""
        rng = np.random.default_rng(seed)
        chosen = rng.integers(0, len(self.group), count)
        return Blocks(
            _unit(self.style[chosen] + _noise(rng, count, self.style.shape[1])),
            _unit(np.abs(self.colour[chosen] + _noise(rng, count, self.colour.shape[1]))),
            self.group[chosen],
        )

    def documents(self) -> Floats:
        from search.vision import vectors

        return vectors.document(self.style, self.colour)

    def queries(self, weight: float) -> Floats:
        from search.vision import vectors

        return np.stack(
            [
                vectors.scale(vectors.query(style, colour, weight))
                for style, colour in zip(self.style, self.colour, strict=True)
            ]
        )


def made_up() -> Blocks:
    """Photos that nobody took: groups of different sizes, each about its own middle."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, _GROUPS + 1)
    group = rng.choice(_GROUPS, _PHOTOS, p=share / share.sum())
    middle = _unit(rng.normal(size=(_GROUPS, _STYLE)))
    # Few directions say most of what tells photos of a group apart.
    spread = rng.normal(size=(_PHOTOS, 24)) @ rng.normal(size=(24, _STYLE)) / np.sqrt(24 * _STYLE)
    colour = np.sqrt(rng.dirichlet(np.full(_COLOUR, 0.05), _PHOTOS))
    return Blocks(_unit(middle[group] + 1.2 * spread), _unit(colour), group.astype(np.int64))


def of_folder(folder: Path) -> Blocks:
    """A folder's photos, one folder a class, in the space that they teach."""
    from benchmarks.folder import files_of, photos_of
    from search.vision import vectors
    from search.vision.embedders import embedders

    photos, _lab = photos_of(files_of(folder), embedders["default"])
    learnt = photos.fit(np.arange(len(photos)))
    embeddings = photos.embeddings.astype(np.float32)
    style = vectors.unit(embeddings) if learnt is None else learnt.apply(embeddings)
    _names, group = np.unique(np.array(photos.categories, dtype=str), return_inverse=True)
    return Blocks(style, photos.colours.astype(np.float32), group.astype(np.int64))


def best(rows: Floats, query: Floats, among: NDArray[np.bool_], k: int) -> set[int]:
    """The ids, from 1 on, of the k rows of the highest inner product."""
    places = np.flatnonzero(among)
    scores = rows[places] @ query if not among.all() else rows @ query
    top = np.argpartition(-scores, min(k, len(scores)) - 1)[:k]
    return set((places[top] + 1).tolist())


def _noise(rng: np.random.Generator, count: int, width: int) -> Any:
    return rng.normal(scale=NOISE / np.sqrt(width), size=(count, width))


def _unit(rows: NDArray[Any]) -> Floats:
    from search.vision import vectors

    return vectors.unit(rows)
