"""How blocks become a document's vector and a query's vector.

A photo has two blocks, each of unit length: `style` (the embedding, or its projection) and `colour`. A
document weighs them alike; a query leans towards one or the other. Since every document has the same
length, inner product, cosine and Euclidean distance rank alike, and one index serves every position of the
colour slider.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float32]


class Rows(Protocol):
    """Rows (n, d) of float16 or float32: an array, or what reads them from elsewhere as they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[np.floating[Any]]: ...


DEFAULT_COLOUR_WEIGHT = 0.2
# Beyond this the results keep the colour and lose the kind of thing: precision falls off a cliff.
MAX_COLOUR_WEIGHT = 0.5

# Rocchio's feedback (Rocchio 1971; Manning et al., "Introduction to Information Retrieval", 9.1.1). On held-out
# photos of clothes two likes and two dislikes raise the next ten's precision from .84 to .91; twice these weights
# gain .01 more, and move farther from the picture that the shopper came with (docs/measurements.md).
LIKED_WEIGHT = 0.75
DISLIKED_WEIGHT = 0.35

_DOCUMENT_LENGTH = float(np.sqrt(2.0))  # two blocks of unit length


def unit(rows: ArrayLike) -> Floats:
    """Scale each row, or one vector, to unit length.

    Takes floats (..., d) and gives float32 of the same shape. A row of zeros has no direction and stays zero.
    """
    values = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    scaled: Floats = values / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


def document(style: ArrayLike, colour: ArrayLike) -> Floats:
    """The vectors to index: `[style ; colour]`.

    `style` (n, w) and `colour` (n, c) have unit rows; the answer is float32 (n, w + c) with rows of length
    √2, every value within ±1, so that it may be stored as float16.
    """
    return np.concatenate([np.asarray(style, np.float32), np.asarray(colour, np.float32)], axis=-1)


def query(style: ArrayLike, colour: ArrayLike, weight: float = DEFAULT_COLOUR_WEIGHT) -> Floats:
    """The vector to search with: `[(1 - weight) style ; weight colour]`, float32 (w + c,).

    `style` (w,) and `colour` (c,) are of unit length. `weight` runs from 0 (colour does not count) to
    `MAX_COLOUR_WEIGHT` (both count the same); anything else raises ValueError.
    """
    if not 0 <= weight <= MAX_COLOUR_WEIGHT:  # also refuses NaN
        msg = f"The colour weight must be between 0 and {MAX_COLOUR_WEIGHT:g}, but it is {weight:g}."
        raise ValueError(msg)
    return np.concatenate(
        [(1 - weight) * np.asarray(style, np.float32), weight * np.asarray(colour, np.float32)], axis=-1
    )


def scale(vector: ArrayLike) -> Floats:
    """A query's vector, scaled so that its inner product with a document is their cosine: the `score`."""
    scaled: Floats = unit(vector) / np.float32(_DOCUMENT_LENGTH)
    return scaled


def refine(style: ArrayLike, liked: ArrayLike = (), disliked: ArrayLike = ()) -> Floats:
    """A query's style, moved towards what the shopper liked and away from what they disliked.

    `style` (w,), `liked` (m, w) and `disliked` (j, w) have unit rows; either list may be empty. The answer is
    float32 (w,) of unit length. The colour block is left alone: it has a slider of its own.
    """
    start = np.asarray(style, np.float32)
    moved = start + LIKED_WEIGHT * _mean(liked, start) - DISLIKED_WEIGHT * _mean(disliked, start)
    return unit(moved)


def space(fingerprint: str, projection: str | None, colours: int | str) -> str:
    """Name the space that vectors live in; only vectors of one space may be compared.

    `fingerprint` is the embedder's, `projection` the digest of the projection (None where there is none) and
    `colours` the version of the colour block.
    """
    return f"{fingerprint} / projection {projection or 'none'} / colours {colours}"


def _mean(rows: ArrayLike, like: Floats) -> Floats:
    values = np.asarray(rows, np.float32)
    mean: Floats = values.mean(axis=0) if values.size else np.zeros_like(like)
    return mean
