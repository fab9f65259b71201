"""How well search does on a catalogue's own photos, from arrays alone.

Four questions. Does a photo find its kind, where neither it nor any photo of its product was in what the
projection learnt from? Do likes and dislikes bring more of that kind? Do the results have the query's colour?
Does a distorted copy find its original? The first three need no model, only stored embeddings (and pictures for
their colours); the last does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalogue import images
from evaluation.distortions import DISTORTIONS, Distortion
from evaluation.metrics import (
    Bools,
    Floats,
    Indices,
    Retrieval,
    colour_difference,
    confidence_interval,
    precision_at,
    rank,
    retrieval,
    similarities,
)
from search.exceptions import SearchError
from search.vision import colours, matches, pictures, projection, vectors
from search.vision.blocks import blocks
from search.vision.embedders.base import Embedder
from search.vision.matches import Calibration, Match
from search.vision.projection import Projection

Squares: TypeAlias = NDArray[np.uint8]
Progress: TypeAlias = Callable[[int], object]

FOLDS = 5
WEIGHTS = (0.0, vectors.DEFAULT_COLOUR_WEIGHT, vectors.MAX_COLOUR_WEIGHT)
DEPTH = 10
# So that a large catalogue takes minutes: each query ranks the whole gallery.
MAX_QUERIES = 5_000
MIN_PHOTOS = 50
#: Right results that a simulated shopper likes and wrong ones that they dislike, among the first ten.
JUDGED = 2
ROUNDING = 1e-5


class TooFewPhotos(SearchError):
    """A catalogue is too small to say anything about search."""


@dataclass(frozen=True, eq=False)
class Photos:
    """A catalogue's photos, a row each."""

    embeddings: projection.Embeddings  # (n, d), unit rows
    colours: NDArray[np.floating[Any]]  # (n, 125), unit rows
    categories: Sequence[Hashable | None]  # what makes two photos alike; None: not known
    products: NDArray[np.integer]  # (n,)
    parents: Mapping[Any, Any] = field(default_factory=dict)  # category -> the one above it

    def __len__(self) -> int:
        return len(self.products)

    def fit(self, rows: Indices) -> Projection | None:
        """What the photos at `rows` teach, as a build of the index would learn it."""
        groups = [self.categories[row] for row in rows]
        return projection.fit(self.embeddings[rows], groups, self.parents, list(self.products[rows])).projection

    def calibrate(self, rows: Indices) -> Calibration:
        """What cosines mean among the photos at `rows`."""
        return matches.calibrate(self.embeddings[rows], self.products[rows]) or matches.DEFAULT


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
    """Each fold's photos against all others; `progress` is told of photos as their fold is ready.

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
    Of more than MAX_QUERIES, as many are drawn. `progress` is told of photos as their fold is done.

    Raises TooFewPhotos where no query is left.
    """
    labels = _numbered(photos.categories)
    found: dict[float, list[HeldOut]] = {weight: [] for weight in weights}
    for part, queries in zip(parts, _asking(labels, parts, seed), strict=True):
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
    _require(found)
    return [_joined(answers) for answers in found.values()]


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
    labels = _numbered(photos.categories)
    found: dict[float, list[tuple[NDArray[Any], ...]]] = {weight: [] for weight in weights}
    for part, queries in zip(parts, _asking(labels, parts, seed), strict=True):
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
    _require(found)
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


def let_through(photos: Photos, parts: Sequence[Fold]) -> Bools:
    """Whether search would take each held-out photo for something that the catalogue has: (n,)."""
    answers = np.zeros(len(photos), bool)
    for part in parts:
        answers[part.queries] = alike(photos, part.gallery, part.learnt, photos.embeddings[part.queries])
    return answers


def alike(photos: Photos, gallery: Indices, learnt: Projection | None, embeddings: projection.Embeddings) -> Bools:
    """Whether anything among the photos at `gallery` is like each of `embeddings` (q, d), as search decides it: (q,).

    By the best raw cosine of the ten photos that are nearest in style.
    """
    best = best_cosines(photos, gallery, learnt, embeddings)
    return np.asarray(best >= photos.calibrate(gallery).loosely_similar, np.bool_)


def best_cosines(
    photos: Photos, gallery: Indices, learnt: Projection | None, embeddings: projection.Embeddings
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


# Colour -----------------------------------------------------------------------------------------------------


def colour_differences(
    found: Sequence[HeldOut], dominant: Callable[[Indices], Floats], sample: int | None = None, seed: int = 0
) -> list[Floats]:
    """The mean CIEDE2000 difference of each query's colour to its ten results', (q,) for each of `found`.

    `dominant` is asked once, for the CIELAB colours (m, 3) of the photos at m rows; NaN where a picture cannot
    be read, and queries that meet one are left out. `sample` draws so many of the queries.
    """
    drawn = np.random.default_rng(seed).permutation(len(found[0].queries))[:sample]
    asked = [np.concatenate([one.queries[drawn, None], one.nearest[drawn]], axis=1) for one in found]
    rows = np.unique(np.concatenate([block.ravel() for block in asked]))
    lab = dominant(rows)
    differences = []
    for block in asked:
        seen = lab[np.searchsorted(rows, block)]
        seen = seen[~np.isnan(seen).any(axis=(1, 2))]
        differences.append(colour_difference(seen[:, 0], seen[:, 1:]))
    return differences


def dominant_colour(square: Squares) -> NDArray[np.float32]:
    """The colour that most of the garment has, in CIELAB (3,), of a square (s, s, 3).

    Found otherwise than the colour block is, because it judges the block: of the picture's middle, what
    resembles its border is left out, and of what remains the fullest cube of Lab is averaged.
    """
    small = Image.fromarray(square).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    lab = colours.lab(np.asarray(small))
    framed = np.ones((_SIDE, _SIDE), bool)
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = False
    middle = lab[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].reshape(-1, 3)
    like_border = (np.linalg.norm(middle[:, None] - lab[framed], axis=2) < _ALIKE).mean(axis=1)
    # At least a fifth remains: a white shirt on white is white.
    garment = middle[like_border <= max(_BACKGROUND, float(np.quantile(like_border, _LEAST)))]
    _cells, cell, sizes = np.unique(np.floor(garment / _CUBE), axis=0, return_inverse=True, return_counts=True)
    centre = garment[cell.ravel() == sizes.argmax()].mean(axis=0)
    # Once more about its mean, so that it does not matter where the cubes' walls are.
    around = np.abs(garment - centre).max(axis=1) <= _CUBE / 2
    return np.asarray(garment[around].mean(axis=0) if around.any() else centre, np.float32)


# Originals --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Originals:
    """What distorted copies of q photos found."""

    found: Bools  # (q,): no other product's photo came before the original's product
    same_item: Bools  # (q,): copy and original are “same item” in the catalogue's words


def find_originals(
    photos: Photos,
    originals: Iterable[tuple[int, Image.Image]],
    embedder: Embedder,
    learnt: Projection | None,
    calibration: Calibration,
    *,
    weight: float = vectors.DEFAULT_COLOUR_WEIGHT,
    distortions: Mapping[str, Distortion] = DISTORTIONS,
    progress: Progress | None = None,
) -> dict[str, Originals]:
    """Search among all photos for the originals of distorted copies; by the name of the distortion.

    `originals` are rows of `photos` with their upright pictures at full scale. Copies go to bytes and through
    what a shopper's picture goes through. Products that share a picture are one as good as the other.
    """
    documents = vectors.document(style(learnt, photos.embeddings), photos.colours)
    found: dict[str, list[bool]] = {name: [] for name in distortions}
    same: dict[str, list[bool]] = {name: [] for name in distortions}
    for row, picture in originals:
        embeddings, seen_colours = see([distort(picture) for distort in distortions.values()], embedder)
        scores = vectors.query(style(learnt, embeddings), seen_colours, weight) @ documents.T
        own = photos.products == photos.products[row]
        rival = scores[:, ~own].max(axis=1, initial=-np.inf)
        nearest = scores[:, own].max(axis=1) > rival - ROUNDING
        cosines = embeddings @ photos.embeddings[row].astype(np.float32)
        for name, first, cosine in zip(distortions, nearest, cosines, strict=True):
            found[name].append(bool(first))
            same[name].append(calibration.match(float(cosine)) == Match.SAME_ITEM)
        if progress:
            progress(1)
    return {name: Originals(np.array(found[name], bool), np.array(same[name], bool)) for name in distortions}


def see(files: Sequence[bytes], embedder: Embedder) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings (n, d) and colour blocks (n, 125) of pictures, by the way of a shopper's picture.

    Raises ImageRefused and EmbedderError.
    """
    side = pictures.short_side(embedder.size)
    seen = [blocks(images.read(data, short_side=side).image, embedder.size) for data in files]
    return embedder.embed(np.stack([one.square for one in seen])), np.stack([one.colour for one in seen])


def style(learnt: Projection | None, embeddings: projection.Embeddings) -> NDArray[np.float32]:
    """Embeddings (n, d) -> style blocks (n, w): projected, where a projection was learnt."""
    return vectors.unit(embeddings) if learnt is None else learnt.apply(embeddings)


# The report -------------------------------------------------------------------------------------------------


def report(
    photos: Photos,
    found: Sequence[HeldOut],
    differences: Sequence[Floats],
    originals: Mapping[str, Originals],
    *,
    judged: Sequence[Feedback] = (),
    names: Mapping[Any, str] | None = None,
) -> dict[str, Any]:
    """All figures, ready for JSON. A mean comes with its 95 % confidence interval: [mean, low, high].

    A gain is the mean of the queries' differences. `names` are the categories' for a person; by default each is
    its own name.
    """
    names = names or {}
    categories = np.array([str(names.get(category, category)) for category in photos.categories])
    return {
        "photos": len(photos),
        "products": len(np.unique(photos.products)),
        "held_out": [
            {
                "colour_weight": one.weight,
                "queries": len(one.queries),
                **one.retrieval.summary(),
                "colour_difference": _mean(difference),
                "categories": {
                    str(name): {"queries": int(chosen.sum()), **one.of(chosen).summary()}
                    for name in np.unique(categories[one.queries])
                    for chosen in [categories[one.queries] == name]
                },
            }
            for one, difference in zip(found, differences, strict=True)
        ],
        "feedback": [
            {"colour_weight": one.weight, "judged": name, **_gains(one, chosen)}
            for one in judged
            for name, chosen in {
                "all queries": np.ones(len(one.before), bool),
                "two right, two wrong": one.full,
                "fewer of either": ~one.full,
            }.items()
        ],
        "originals": {
            name: {"queries": len(one.found), "R@1": _mean(one.found), "same_item": _mean(one.same_item)}
            for name, one in originals.items()
        },
    }


def tables(figures: Mapping[str, Any]) -> str:
    """A report for a person, in aligned columns."""
    held = figures["held_out"]
    measures = ("P@1", "P@10", "mAP")
    parts = [
        f"{figures['photos']} photos of {figures['products']} products. In brackets: 95 % confidence.",
        "Held-out photos, by weight of colour:",
        table(
            ["weight", "queries", *measures, "colour difference"],
            [
                [
                    f"{row['colour_weight']:g}",
                    str(row["queries"]),
                    *(_share(row[m]) for m in measures),
                    _interval(row["colour_difference"], 1),
                ]
                for row in held
            ],
        ),
    ]
    shown = min(held, key=lambda row: abs(row["colour_weight"] - vectors.DEFAULT_COLOUR_WEIGHT))
    parts += [
        f"By category, weight {shown['colour_weight']:g}:",
        table(
            ["category", "queries", *measures],
            [
                [name, str(row["queries"]), *(_share(row[m]) for m in measures)]
                for name, row in shown["categories"].items()
            ],
        ),
    ]
    if figures["feedback"]:
        parts += [
            "P@10 of the next ten, before and after two right results of ten are liked and two wrong ones disliked:",
            table(
                ["judged", "weight", "queries", "before", "after", "gain", "gain among those not seen yet"],
                [
                    [
                        row["judged"],
                        f"{row['colour_weight']:g}",
                        str(row["queries"]),
                        *(_share(row[measure]) for measure in ("before", "after", "gain", "unseen_gain")),
                    ]
                    for row in figures["feedback"]
                ],
            ),
        ]
    if figures["originals"]:
        parts += [
            "Distorted copies that find their original first, and that are called the same item:",
            table(
                ["distortion", "queries", "R@1", "same item"],
                [
                    [name, str(row["queries"]), _share(row["R@1"]), _share(row["same_item"])]
                    for name, row in figures["originals"].items()
                ],
            ),
        ]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    )


def _gains(one: Feedback, chosen: Bools) -> dict[str, Any]:
    return {
        "queries": int(chosen.sum()),
        "before": _mean(one.before[chosen]),
        "after": _mean(one.after[chosen]),
        "gain": _mean((one.after - one.before)[chosen]),
        "unseen_before": _mean(one.unseen_before[chosen]),
        "unseen_after": _mean(one.unseen_after[chosen]),
        "unseen_gain": _mean((one.unseen_after - one.unseen_before)[chosen]),
    }


def _mean(values: NDArray[Any]) -> tuple[float, float, float] | None:
    return (float(values.mean()), *confidence_interval(values)) if len(values) else None


def _interval(mean: tuple[float, float, float] | None, digits: int) -> str:
    if mean is None:
        return "-"
    middle, low, high = (f"{value:.{digits}f}" for value in mean)
    return f"{middle} [{low}, {high}]"


def _share(mean: tuple[float, float, float] | None) -> str:
    return _interval(mean, 3).replace("0.", ".")


def _numbered(categories: Sequence[Hashable | None]) -> Indices:
    """Categories as numbers, -1 for none."""
    numbers: dict[Hashable, int] = {}
    return np.array([-1 if c is None else numbers.setdefault(c, len(numbers)) for c in categories], np.intp)


def _asking(labels: Indices, parts: Sequence[Fold], seed: int) -> list[Indices]:
    """The photos of each fold that are queries: at most MAX_QUERIES in all, whose category another fold has too."""
    drawn = np.zeros(len(labels), bool)
    drawn[np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))[:MAX_QUERIES]] = True
    return [part.queries[drawn[part.queries] & np.isin(labels[part.queries], labels[part.gallery])] for part in parts]


def _require(found: Mapping[float, Sequence[Any]]) -> None:
    if not all(found.values()):
        raise TooFewPhotos(
            "No category has photos of two products, so there is nothing to find. Add some and try again."
        )


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


_BLOCK = 256  # queries that are fed back at a time
_SIDE = 32  # pixels of the copy that a dominant colour is looked for on
_FRAME = 2  # pixels of it that are taken for background
_MARGIN = 6  # pixels of it that are not looked at
_ALIKE = 12.0  # units of Lab within which a pixel resembles another
_BACKGROUND = 0.05  # of the border; what resembles more of it is background
_LEAST = 0.2  # of the middle that is taken for garment in any case
_CUBE = 20.0  # units of Lab
