"""A catalogue's photos as arrays, dealt into folds: search never learns from the photos it is measured with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Indices
from search.exceptions import SearchError
from search.vision import fitting, matches, vectors
from search.vision.matches import Calibration
from search.vision.projection import Embeddings, Projection

Progress: TypeAlias = Callable[[int], object]

FOLDS = 5
MAX_QUERIES = 5_000
"""Each query ranks the whole gallery, so a large catalogue takes minutes, not hours."""
MIN_PHOTOS = 50


class TooFewPhotos(SearchError):
    """A catalogue is too small to say anything about search."""


@dataclass(frozen=True, eq=False)
class Photos:
    """A catalogue's photos, a row each."""

    embeddings: Embeddings  # (n, d), unit rows
    colours: NDArray[np.floating[Any]]  # (n, 125), unit rows
    categories: Sequence[Hashable | None]  # what makes two photos alike; None: not known
    products: NDArray[np.integer]  # (n,)
    parents: Mapping[Any, Any] = field(default_factory=dict)  # category -> the one above it

    def __len__(self) -> int:
        return len(self.products)

    def fit(self, rows: Indices) -> Projection | None:
        """What the photos at `rows` teach, as a build of the index would learn it."""
        groups = [self.categories[row] for row in rows]
        return fitting.fit(self.embeddings[rows], groups, self.parents, list(self.products[rows])).projection

    def calibrate(self, rows: Indices) -> Calibration:
        """What cosines mean among the photos at `rows`."""
        return matches.calibrate(self.embeddings[rows], self.products[rows]) or matches.DEFAULT


def folds(products: NDArray[np.integer], count: int = FOLDS, seed: int = 0) -> Indices:
    """Deal photos into folds by their products (n,), so that a product's photos stay together: (n,)."""
    product = np.unique(products, return_inverse=True)[1]
    dealt = np.random.default_rng(seed).permutation(int(product.max(initial=-1)) + 1)
    return np.asarray(dealt[product] % count, np.intp)


@dataclass(frozen=True, eq=False)
class Fold:
    """Photos to search with, the others to search among, and what those others teach."""

    queries: Indices  # (q,) rows of the photos
    gallery: Indices  # (g,) rows of the photos
    learnt: Projection | None


def split(photos: Photos, count: int = FOLDS, seed: int = 0, progress: Progress | None = None) -> list[Fold]:
    """Each fold's photos against all others; `progress` is called with the photos of each fold when it is ready.

    Raises TooFewPhotos for fewer than MIN_PHOTOS photos, `count` products, or two categories.
    """
    products = len(np.unique(photos.products))
    categories = len({category for category in photos.categories if category is not None})
    if len(photos) < MIN_PHOTOS or products < count or categories < 2:  # noqa: PLR2004
        raise TooFewPhotos(
            f"This takes at least {MIN_PHOTOS} indexed photos of {count} products or more in two or more categories; "
            f"there are {len(photos)} photos, {products} products and {categories} categories. "
            "Add products with photos and categories, wait until they are indexed, and try again."
        )
    fold = folds(photos.products, count, seed)
    parts = []
    for number in range(count):
        queries, gallery = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        parts.append(Fold(queries, gallery, photos.fit(gallery)))
        if progress:
            progress(len(queries))
    return parts


def style(learnt: Projection | None, embeddings: Embeddings) -> NDArray[np.float32]:
    """Embeddings (n, d) -> style blocks (n, w): projected, where a projection was learnt."""
    return vectors.unit(embeddings) if learnt is None else learnt.apply(embeddings)


def labels_of(categories: Sequence[Hashable | None]) -> Indices:
    """Categories as numbers, -1 for none."""
    numbers: dict[Hashable, int] = {}
    return np.array([-1 if c is None else numbers.setdefault(c, len(numbers)) for c in categories], np.intp)


def queries_of(labels: Indices, parts: Sequence[Fold], seed: int) -> list[Indices]:
    """The photos of each fold that are queries: at most MAX_QUERIES in all, whose category another fold has too."""
    drawn = np.zeros(len(labels), bool)
    drawn[np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))[:MAX_QUERIES]] = True
    return [part.queries[drawn[part.queries] & np.isin(labels[part.queries], labels[part.gallery])] for part in parts]


def require_queries(found: Mapping[float, Sequence[Any]]) -> None:
    if not all(found.values()):
        raise TooFewPhotos(
            "No category has photos of two products, so there is nothing to find. Add some and try again."
        )
