"""Does a held-out photo find its category?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics import Bools, Indices, Retrieval, rank, retrieval, similarities
from evaluation.photos import Fold, Photos, Progress, labels_of, queries_of, require_queries, style
from search.vision import vectors

WEIGHTS = (0.0, vectors.DEFAULT_COLOUR_WEIGHT, vectors.MAX_COLOUR_WEIGHT)
DEPTH = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What held-out photos found with one colour weight; q of them could be answered."""

    weight: float
    queries: Indices  # (q,) rows of the photos
    nearest: Indices  # (q, 10) rows of the photos, best first; fewer where the gallery has fewer
    retrieval: Retrieval  # in the order of `queries`

    def of(self, chosen: Bools) -> Retrieval:
        """The measures of some of the queries: `chosen` is a mask (q,)."""
        found = self.retrieval
        return Retrieval(
            found.precision_at_1[chosen],
            found.precision_at_10[chosen],
            found.average_precision[chosen],
            unanswerable=0,
        )


def held_out(
    photos: Photos,
    parts: Sequence[Fold],
    weights: Sequence[float] = WEIGHTS,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[HeldOut]:
    """Search for each fold's photos among the others, in the space that was learnt from those alone.

    One answer for each of `weights`. A result is right if it has the query's category. Photos without a
    category are never queries and never right; nor are photos queries whose category no other fold has.
    Of more than MAX_QUERIES, a sample of that size is drawn. `progress` is called with the photos of each fold
    when it is done.

    Raises TooFewPhotos where no query is left.
    """
    labels = labels_of(photos.categories)
    found: dict[float, list[HeldOut]] = {weight: [] for weight in weights}
    for part, queries in zip(parts, queries_of(labels, parts, seed), strict=True):
        gallery = part.gallery
        if len(queries):
            documents = vectors.document(style(part.learnt, photos.embeddings[gallery]), photos.colours[gallery])
            asking = style(part.learnt, photos.embeddings[queries])
            for weight in weights:
                vector = vectors.query(asking, photos.colours[queries], weight)
                nearest = [rank(scores, depth=DEPTH) for scores in similarities(vector, documents)]
                measured = retrieval(similarities(vector, documents), labels[queries], labels[gallery])
                found[weight].append(HeldOut(weight, queries, gallery[np.concatenate(nearest)], measured))
        if progress:
            progress(len(part.queries))
    require_queries(found)
    return [_joined(answers) for answers in found.values()]


def _joined(parts: Sequence[HeldOut]) -> HeldOut:
    """The folds' answers as one."""
    depth = min(part.nearest.shape[1] for part in parts)
    return HeldOut(
        parts[0].weight,
        np.concatenate([part.queries for part in parts]),
        np.concatenate([part.nearest[:, :depth] for part in parts]),
        Retrieval(
            np.concatenate([part.retrieval.precision_at_1 for part in parts]),
            np.concatenate([part.retrieval.precision_at_10 for part in parts]),
            np.concatenate([part.retrieval.average_precision for part in parts]),
            unanswerable=0,
        ),
    )
