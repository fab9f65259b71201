"""Which pictures does search take for something that the catalogue has?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.held_out import DEPTH
from evaluation.metrics import Bools, Indices, rank, similarities
from evaluation.photos import Fold, Photos, style
from search.vision.projection import Embeddings, Projection


def let_through(photos: Photos, parts: Sequence[Fold]) -> Bools:
    """Whether search would take each held-out photo for something that the catalogue has: (n,)."""
    answers = np.zeros(len(photos), bool)
    for part in parts:
        answers[part.queries] = alike(photos, part.gallery, part.learnt, photos.embeddings[part.queries])
    return answers


def alike(photos: Photos, gallery: Indices, learnt: Projection | None, embeddings: Embeddings) -> Bools:
    """Whether anything among the photos at `gallery` is like each of `embeddings` (q, d), as search decides it: (q,).

    By the best raw cosine of the ten photos that are nearest in style.
    """
    best = best_cosines(photos, gallery, learnt, embeddings)
    return np.asarray(best >= photos.calibrate(gallery).loosely_similar, np.bool_)


def best_cosines(
    photos: Photos, gallery: Indices, learnt: Projection | None, embeddings: Embeddings
) -> NDArray[np.float32]:
    """The best raw cosine of each of `embeddings` (q, d) with the ten photos that are nearest in style: (q,)."""
    known = style(learnt, photos.embeddings[gallery])
    best = [np.empty(0, np.float32)]
    for scores in similarities(style(learnt, embeddings), known):
        start = sum(map(len, best))
        rows = embeddings[start : start + len(scores)].astype(np.float32)
        nearest = photos.embeddings[gallery[rank(scores, depth=DEPTH)]].astype(np.float32)
        best.append(np.einsum("qd,qkd->qk", rows, nearest).max(axis=1))
    return np.concatenate(best)
