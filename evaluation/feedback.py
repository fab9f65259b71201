"""Do likes and dislikes bring more of a category?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.held_out import DEPTH, WEIGHTS
from evaluation.metrics import Bools, Floats, Indices, precision_at, rank
from evaluation.photos import Fold, Photos, Progress, labels_of, queries_of, require_queries, style
from search.vision import vectors

JUDGED = 2
"""Right results that a simulated shopper likes, and wrong ones that they dislike, among the first ten."""
_BLOCK = 256
"""Queries that are judged at a time."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """What q queries found before and after a shopper had liked and disliked some of their first ten results.

    P@10 of the next ten, both times of the same candidates: of those that were not judged, as the shop shows
    them, and of those that were not among the first ten at all.
    """

    weight: float
    liked: Indices  # (q,) how many
    disliked: Indices  # (q,) how many
    before: Floats  # (q,)
    after: Floats  # (q,)
    unseen_before: Floats  # (q,)
    unseen_after: Floats  # (q,)

    @property
    def full(self) -> Bools:
        """The queries that had enough right and enough wrong results to judge: (q,)."""
        return np.asarray((self.liked == JUDGED) & (self.disliked == JUDGED), np.bool_)


def feedback(
    photos: Photos,
    parts: Sequence[Fold],
    weights: Sequence[float] = WEIGHTS,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Feedback]:
    """Like the first two right results and dislike the first two wrong ones of the first ten, and search again.

    Asked as `held_out` asks, and right as it is there. A query with fewer than two right or two wrong results
    judges those that there are. A photo that was judged leaves the candidates with its whole product.

    Raises TooFewPhotos where no query is left.
    """
    labels = labels_of(photos.categories)
    found: dict[float, list[tuple[NDArray[Any], ...]]] = {weight: [] for weight in weights}
    for part, queries in zip(parts, queries_of(labels, parts, seed), strict=True):
        known = style(part.learnt, photos.embeddings[part.gallery])
        gallery = _Candidates(
            known,
            vectors.document(known, photos.colours[part.gallery]),
            labels[part.gallery],
            photos.products[part.gallery],
        )
        for start in range(0, len(queries), _BLOCK):
            block = queries[start : start + _BLOCK]
            asking = style(part.learnt, photos.embeddings[block])
            for weight in weights:
                found[weight].append(_judge(gallery, asking, photos.colours[block], labels[block], weight))
        if progress:
            progress(len(part.queries))
    require_queries(found)
    return [
        Feedback(weight, *(np.concatenate(column) for column in zip(*answers, strict=True)))
        for weight, answers in found.items()
    ]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The photos to search among, a row each."""

    style: NDArray[np.float32]
    documents: NDArray[np.float32]
    labels: Indices
    products: NDArray[np.integer]


def _judge(
    gallery: _Candidates,
    asking: NDArray[np.float32],
    asked_colours: NDArray[np.floating[Any]],
    wanted: Indices,
    weight: float,
) -> tuple[NDArray[Any], ...]:
    """The columns of `Feedback` of a block of queries."""
    scores = vectors.query(asking, asked_colours, weight) @ gallery.documents.T
    first = rank(scores, depth=DEPTH)
    right = gallery.labels[first] == wanted[:, None]
    liked = right & (right.cumsum(axis=1) <= JUDGED)
    disliked = ~right & ((~right).cumsum(axis=1) <= JUDGED)
    moved = np.stack(
        [
            vectors.refine(start, gallery.style[row[likes]], gallery.style[row[dislikes]])
            for start, row, likes, dislikes in zip(asking, first, liked, disliked, strict=True)
        ]
    )
    again = vectors.query(moved, asked_colours, weight) @ gallery.documents.T
    precisions = []
    for left_out in (liked | disliked, np.ones_like(right)):
        hidden = np.stack(
            [
                np.isin(gallery.products, gallery.products[row[gone]])
                for row, gone in zip(first, left_out, strict=True)
            ]
        )
        relevant = (gallery.labels == wanted[:, None]) & ~hidden
        for ranked in (rank(scores, DEPTH, hidden), rank(again, DEPTH, hidden)):
            precisions.append(precision_at(DEPTH, np.take_along_axis(relevant, ranked, axis=1)))
    return (liked.sum(axis=1), disliked.sum(axis=1), *precisions)
