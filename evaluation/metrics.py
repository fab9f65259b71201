"""How good a ranking is: precision, colour difference, and how sure we are of them.

Measures take and give one value per query; `retrieval` goes through a whole set of queries in blocks, so that
memory stays bounded whatever the size of the gallery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Bools: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]

BLOCK = 256  # queries compared with the gallery at a time


def similarities(queries: Floats, gallery: Floats, block: int = BLOCK) -> Iterator[Floats]:
    """Inner products of `queries` (q, d) with `gallery` (g, d), in blocks of at most (block, g)."""
    for start in range(0, len(queries), block):
        yield queries[start : start + block] @ gallery.T


def rank(scores: Floats, depth: int | None = None, leave_out: Bools | None = None) -> Indices:
    """Positions of the `depth` highest scores of each row (all of them by default), best first.

    `scores` is (q, g); `leave_out`, a mask of the same shape, sends what it marks to the end. Of equal
    scores the gallery's earlier one comes first, but which of them still fall within the depth is left open.
    """
    scores = scores if leave_out is None else np.where(leave_out, -np.inf, scores)
    if depth is None or depth >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    best = np.sort(np.argpartition(-scores, depth - 1, axis=1)[:, :depth], axis=1)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def precision_at(k: int, relevant: Bools) -> Floats:
    """The share of relevant items among the first `k`; `relevant` (q, depth) is in ranked order.

    A ranking shorter than `k` counts as filled up with irrelevant items.
    """
    precisions: Floats = np.count_nonzero(relevant[:, :k], axis=1) / np.float64(k)
    return precisions


def average_precision(relevant: Bools) -> Floats:
    """The mean of the precisions at each relevant item; `relevant` (q, g) is the whole ranking.

    A query without any relevant item has no average precision: NaN.
    """
    hits = relevant.cumsum(axis=1)
    precisions = hits / np.arange(1, relevant.shape[1] + 1)
    total = relevant.sum(axis=1)
    sums = (precisions * relevant).sum(axis=1)
    means: Floats = np.divide(sums, total, out=np.full(len(relevant), np.nan), where=total > 0)
    return means


def confidence_interval(
    values: ArrayLike, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap's interval for the mean of `values` (q,), drawing queries with replacement.

    For the difference of two systems give the differences per query. Raises ValueError without values.
    """
    sample = np.asarray(values, np.float64)
    if not sample.size:
        raise ValueError("A confidence interval needs at least one value.")
    rng = np.random.default_rng(seed)
    means = [rng.choice(sample, sample.size).mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What each query found, (q,) each; queries that nothing in the gallery could answer are left out."""

    precision_at_1: Floats
    precision_at_10: Floats
    average_precision: Floats
    unanswerable: int

    def summary(self) -> dict[str, tuple[float, float, float]]:
        """Mean and 95 % confidence interval by name: P@1, P@10 and mAP. Empty where no query counts."""
        if not len(self.average_precision):
            return {}
        measures = {
            "P@1": self.precision_at_1,
            "P@10": self.precision_at_10,
            "mAP": self.average_precision,
        }
        return {name: (float(values.mean()), *confidence_interval(values)) for name, values in measures.items()}


def retrieval(
    scores: Iterable[Floats],
    query_labels: Sequence[Any] | NDArray[Any],
    gallery_labels: Sequence[Any] | NDArray[Any],
) -> Retrieval:
    """Measure the rankings that `scores` make, where an item is relevant if it has the query's label.

    `scores` gives the queries' similarities to the gallery, block by block, (b, g) each, as `similarities`
    does.
    """
    labels, wanted = np.asarray(gallery_labels), np.asarray(query_labels)
    first: list[Floats] = []
    ten: list[Floats] = []
    average: list[Floats] = []
    start = 0
    for block in scores:
        rows = slice(start, start + len(block))
        start += len(block)
        relevant: Bools = labels == wanted[rows, None]
        ranked = np.take_along_axis(relevant, rank(block), axis=1)
        first.append(precision_at(1, ranked))
        ten.append(precision_at(10, ranked))
        average.append(average_precision(ranked))
    ap = np.concatenate(average) if average else np.empty(0)
    counts = ~np.isnan(ap)
    return Retrieval(
        precision_at_1=np.concatenate(first)[counts] if first else ap,
        precision_at_10=np.concatenate(ten)[counts] if ten else ap,
        average_precision=ap[counts],
        unanswerable=int((~counts).sum()),
    )


def colour_difference(query: ArrayLike, results: ArrayLike) -> Floats:
    """The mean CIEDE2000 difference between a query's dominant colour and its results'.

    `query` is CIELAB (q, 3), `results` CIELAB (q, k, 3); the answer is (q,). About 2 can just be seen; two
    random colours of clothes are about 30 apart.
    """
    difference: Floats = ciede2000(np.asarray(query, np.float64)[:, None], results).mean(axis=1)
    return difference


def ciede2000(lab1: ArrayLike, lab2: ArrayLike) -> Floats:
    """The CIEDE2000 difference of CIELAB colours (..., 3), broadcast against each other; kL = kC = kH = 1.

    G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
    Supplementary Test Data, and Mathematical Observations", Color Research & Application 30 (1), 2005,
    equations 2 to 22.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(lab1, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(lab2, np.float64), -1, 0)

    # Step 1 (2-7): stretch a* of colours near grey, then go to chroma and hue.
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_c7 / (mean_c7 + 25.0**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1 = np.degrees(np.arctan2(b1, stretch * a1)) % 360
    h2 = np.degrees(np.arctan2(b2, stretch * a2)) % 360

    # Step 2 (8-11): differences; the hue's goes the short way round, and is nil where a colour has no chroma.
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))

    # Step 3 (12-22): means and weights.
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = np.where(grey, h1 + h2, (h1 + turn / 2) % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    rotation = np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2)))
    r_t = -np.sin(rotation) * 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    l50 = (mean_l - 50) ** 2
    lightness = delta_l / (1 + 0.015 * l50 / np.sqrt(20 + l50))
    chroma = delta_c / (1 + 0.045 * mean_c)
    hue = delta_h / (1 + 0.015 * mean_c * t)
    difference: Floats = np.sqrt(lightness**2 + chroma**2 + hue**2 + r_t * chroma * hue)
    return difference
