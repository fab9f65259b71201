"""Fit a projection: once for each index version, from stored embeddings alone.

Each part of the projection is kept only where it proves itself on photos that were held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from evaluation.metrics import precision_at, rank
from search.vision import matches
from search.vision.projection import Floats, Projection, batches
from search.vision.vectors import Rows, unit

Integers: TypeAlias = NDArray[np.intp]

# The best on 3,781 photos of clothes (docs/indexes.md).
COMPONENTS = 256
#: The widest embeddings whose covariance is taken apart whole. 2,400 rows of 1,280 numbers take .3 s; of 2,048
#: numbers they take 8 s, and a randomized decomposition, which explains as much to six digits, .8 s.
MAX_WHOLE = 1_536
RIDGE_ALPHA = 3.0  # the regression's penalty, for embeddings of unit length
MIN_PHOTOS = 400  # the components need about 200, and a fifth is held out
MIN_CLASS = 20  # photos; a smaller category counts as its parent
MAX_CLASSES = 64

# These keep a fit to seconds and a few hundred megabytes, whatever the size of the catalogue.
MAX_FITTED = 20_000
MAX_QUERIES = 2_000
MAX_DISTORTED = 500
MIN_PRODUCTS = 5  # so that one in five can be held out

HELD_OUT = 0.2  # of the products
# The median cosine of a photo and its crop to 70 % of the area is .91, and of one turned by 10 degrees .86.
DISTORTED_COSINE = 0.9
RECALL_MARGIN = 0.02  # how many originals fewer than raw embeddings a projection may find
ROUNDING = 1e-5

# Stored in English and translated where they are shown, so the bounds above stand in them as figures.
TOO_FEW_PHOTOS = gettext_noop("There are fewer than 400 photos to fit to.")
TOO_FEW_PRODUCTS = gettext_noop("There are fewer than 5 products to fit to.")
TOO_FEW_CLASSES = gettext_noop("There are fewer than two categories with 20 photos to fit to.")


@dataclass(frozen=True)
class Fit:
    """The projection to use, None where the embeddings are best left as they are, and a report for staff.

    The report can be written as JSON: `kept` (nothing, components, or components and classes), `reason`, and
    what was measured.
    """

    projection: Projection | None
    report: dict[str, Any]


def is_due(photos_now: int, photos_at_fit: int | None, gone_since: int = 0) -> bool:
    """Whether a catalogue of `photos_now`, which had `photos_at_fit` at the last fit, is to be fitted again.

    At 25, 50, 100 and 200 photos, where only the matches are calibrated, at 400, and whenever the number has
    doubled since. Also when half of what was learnt from has gone (`gone_since`): what the demo taught says nothing
    of the shop that took its place.
    """
    if photos_at_fit and gone_since * 2 >= photos_at_fit:
        return True
    if photos_now < matches.MIN_PHOTOS:
        return False
    if not photos_at_fit:
        return True
    return photos_now >= 2 * photos_at_fit or photos_at_fit < MIN_PHOTOS <= photos_now


def fit(
    embeddings: Rows,
    groups: Sequence[Hashable | None],
    parents: Mapping[Any, Any],
    products: Sequence[int] | NDArray[np.integer],
    seed: int = 0,
) -> Fit:
    """Learn a projection from a catalogue's photos, and decide on held-out photos whether to use it.

    `embeddings` (n, d) has unit rows of float16 or float32, of which `MAX_FITTED` at the most are asked for;
    `groups` is each photo's category (None: none), `parents` leads from a category to the one above (None, or
    absent: a root), and `products` is each photo's product. The same arguments give the same fit.

    A fifth of the products is held out. The class scores stay if they raise the held-out photos' P@10 of
    category, and if originals are still found; else the components alone stay, if originals are still found.

    Finding the original of a distorted photo is simulated, because a fit must not need the model:
    embeddings of held-out photos are moved in random directions, as far as a crop to 70 % moves them. On
    photos of clothes this was somewhat stricter than the real distortions: at the same cosine, class scores
    lost .5 % of the originals, and none where the photos were truly cropped, turned or compressed. It
    guards against a projection that throws away what tells photos apart; how well a certain distortion is
    borne, it cannot say.
    """
    if len(embeddings) < MIN_PHOTOS:
        return _nothing(len(embeddings), TOO_FEW_PHOTOS)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(embeddings))[:MAX_FITTED]
    product = np.unique(np.asarray(products)[chosen], return_inverse=True)[1]
    if product.max() + 1 < MIN_PRODUCTS:
        return _nothing(len(embeddings), TOO_FEW_PRODUCTS)

    # The photos to learn from come first, so that both parts are views of one array.
    held_out = np.isin(product, rng.permutation(product.max() + 1)[: round(HELD_OUT * (product.max() + 1))])
    order = np.argsort(held_out, kind="stable")
    chosen, product, learnt = chosen[order], product[order], int((~held_out).sum())
    x = _float32(embeddings, chosen)
    labels, names = _labels([groups[i] for i in chosen], parents)

    trial = _learn(x[:learnt], labels[:learnt], len(names))
    candidates = {"components": trial.without_classes()}
    precision: dict[str, float] = {}
    if len(names) > 1:
        queries = learnt + np.flatnonzero(labels[learnt:] >= 0)[:MAX_QUERIES]
        candidates["components and classes"] = trial
        precision["nothing"] = _precision(x, labels, learnt, queries)
        precision |= {name: _precision(p.apply(x), labels, learnt, queries) for name, p in candidates.items()}
        if precision["components and classes"] <= precision["components"]:
            del candidates["components and classes"]

    originals = learnt + rng.permutation(len(x) - learnt)[:MAX_DISTORTED]
    distorted = _distorted(x, originals, learnt, rng)
    recall = {"nothing": _recall(x, product, originals, distorted)}
    for name, candidate in candidates.items():
        recall[name] = _recall(candidate.apply(x), product, originals, candidate.apply(distorted))
    kept = [name for name in candidates if recall[name] >= recall["nothing"] - RECALL_MARGIN]

    report: dict[str, Any] = {
        "photos": len(embeddings),
        "fitted": len(x),
        "classes": len(names),
        "kept": kept[-1] if kept else "nothing",
        "reason": _reason(kept, precision),
        "held_out_precision_at_10": {name: round(value, 4) for name, value in precision.items()},
        "distorted_recall_at_1": {name: round(value, 4) for name, value in recall.items()},
    }
    if not kept:
        return Fit(None, report)
    projection = _learn(x, labels, len(names) if kept[-1] == "components and classes" else 0)
    return Fit(projection, report | {"width": projection.width, "digest": projection.digest})


def _nothing(photos: int, reason: str) -> Fit:
    return Fit(None, {"photos": photos, "kept": "nothing", "reason": reason})


def _reason(kept: list[str], precision: Mapping[str, float]) -> str:
    """Why, as it is stored; whoever shows it translates it."""
    if not kept:
        return gettext_noop("With a projection, distorted photos would find their originals less often.")
    if kept[-1] == "components and classes":
        return gettext_noop("Class scores raise the precision on held-out photos, and originals are still found.")
    if not precision:
        return TOO_FEW_CLASSES
    if precision["components and classes"] <= precision["components"]:
        return gettext_noop("Class scores do not raise the precision on held-out photos.")
    return gettext_noop("With class scores, distorted photos would find their originals less often.")


def _float32(embeddings: Rows, chosen: Integers) -> Floats:
    x = np.empty((len(chosen), embeddings.shape[1]), np.float32)
    for rows in batches(len(chosen)):
        x[rows] = embeddings[chosen[rows]]
    return x


def _labels(groups: Sequence[Hashable | None], parents: Mapping[Any, Any]) -> tuple[Integers, list[Hashable]]:
    """Each photo's class as a number, -1 for none, and the categories that the numbers stand for."""

    def depth(category: Hashable) -> int:
        above = parents.get(category)
        return 0 if above is None else 1 + depth(above)

    counts = Counter(group for group in groups if group is not None)
    tree: set[Hashable] = set()
    for category in counts:
        above: Hashable | None = category
        while above is not None and above not in tree:
            tree.add(above)
            above = parents.get(above)
    # From the leaves up, so that a parent is judged with all that its small children brought.
    counts_as: dict[Hashable, Hashable | None] = {}
    for category in sorted(tree, key=depth, reverse=True):
        if counts[category] < MIN_CLASS:
            counts_as[category] = above = parents.get(category)
            if above is not None:
                counts[above] += counts[category]
            del counts[category]
    # By size, and then by name: the order must not depend on how the photos were shuffled.
    names = sorted(counts, key=lambda category: (-counts[category], str(category)))[:MAX_CLASSES]
    numbers = {category: number for number, category in enumerate(names)}

    def number(category: Hashable | None) -> int:
        while category in counts_as:
            category = counts_as[category]
        return -1 if category is None else numbers.get(category, -1)

    return np.array([number(group) for group in groups], np.intp), names


def _learn(x: Floats, labels: Integers, classes: int) -> Projection:
    """Principal components of `x` (n, d) and, for two or more classes, ridge scores of `labels`."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge

    solver = "covariance_eigh" if x.shape[1] <= MAX_WHOLE else "randomized"
    pca = PCA(min(COMPONENTS, len(x) - 1, x.shape[1]), svd_solver=solver, random_state=0).fit(x)
    matrix, offset = [pca.components_.T], [pca.components_ @ pca.mean_]
    known = labels >= 0
    if classes > 1 and known.any():  # they may all have been held out
        targets = (labels[known, None] == np.arange(classes)).astype(np.float32)
        ridge = Ridge(RIDGE_ALPHA, copy_X=False).fit(x[known], targets)  # the mask has made a copy
        matrix.append(ridge.coef_.T)
        # Scores without the classes' shares: a large category must not draw every photo towards itself.
        offset.append(targets.mean(axis=0) - ridge.intercept_)
    return Projection(
        matrix=np.concatenate(matrix, axis=1, dtype=np.float32),
        offset=np.concatenate(offset, dtype=np.float32),
        components=len(pca.components_),
    )


def _precision(space: Floats, labels: Integers, learnt: int, queries: Integers) -> float:
    """Mean P@10 of the photos at `queries` among the first `learnt`."""
    if not len(queries):
        return 0.0
    found = []
    for rows in batches(len(queries), 256):
        nearest = rank(space[queries[rows]] @ space[:learnt].T, depth=10)
        found.append(precision_at(10, labels[nearest] == labels[queries[rows], None]))
    return float(np.concatenate(found).mean())


def _distorted(x: Floats, originals: Integers, learnt: int, rng: np.random.Generator) -> Floats:
    """The embeddings of the photos at `originals`, moved to a cosine of DISTORTED_COSINE at random.

    The directions are random mixtures of how other photos differ from the mean, and so as likely as the
    catalogue has them; what of them lies along the embedding itself is taken out.
    """
    others = x[rng.permutation(learnt)[:MAX_DISTORTED]]
    noise = rng.standard_normal((len(originals), len(others)), np.float32) @ (others - others.mean(axis=0))
    clean = x[originals]
    noise -= (noise * clean).sum(axis=1, keepdims=True) * clean
    return unit(DISTORTED_COSINE * clean + np.sqrt(1 - DISTORTED_COSINE**2) * unit(noise))


def _recall(space: Floats, product: Integers, originals: Integers, distorted: Floats) -> float:
    """The share of `distorted` (q, w) to whom the original is nearer than any other product's photo."""
    found = 0
    for rows in batches(len(originals), 128):
        own = originals[rows]
        scores = distorted[rows] @ space.T
        own_scores = np.take_along_axis(scores, own[:, None], axis=1)[:, 0]
        best_rival = np.where(product == product[own, None], -np.inf, scores).max(axis=1)
        # Products may share a picture: then one is as good as the other.
        found += int((own_scores > best_rival - ROUNDING).sum())
    return found / len(originals)
