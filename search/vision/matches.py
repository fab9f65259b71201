"""From a cosine to a word: how alike two photos are, in terms of this catalogue's own photos.

A cosine means little by itself: among shoes alone everything is alike, and the more photos there are, the
nearer the nearest. So the bounds between the words are percentiles of a distribution that every catalogue
has: the raw cosine of each photo with its nearest neighbour among the other products.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from django.db import models
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from search.vision.vectors import Rows

# Percentiles of the leave-one-out nearest neighbour's cosine.
LOOSELY_SIMILAR_PERCENTILE = 3.0
SIMILAR_PERCENTILE = 25.0
VERY_SIMILAR_PERCENTILE = 70.0
SAME_ITEM_PERCENTILE = 97.0
# Where all products differ, the nearest is not yet the same. Where products share pictures or are hard to
# tell apart, the percentile comes near 1 and would refuse even the same picture compressed: of photos of
# clothes 95 % have a cosine above .94 with a JPEG copy of quality 30, half one above .91 with a crop to 70 %.
SAME_ITEM_FLOOR = 0.85
SAME_ITEM_CEILING = 0.94

MIN_PHOTOS = 25
BLOCK = 4_096


class Match(models.TextChoices):
    """How alike a result and the query are, in words; the nearest comes first."""

    SAME_ITEM = "same_item", _("same item")
    VERY_SIMILAR = "very_similar", _("very similar")
    SIMILAR = "similar", _("similar")
    LOOSELY_SIMILAR = "loosely_similar", _("loosely similar")
    NONE = "none", _("not similar")


BOUNDED = (Match.SAME_ITEM, Match.VERY_SIMILAR, Match.SIMILAR, Match.LOOSELY_SIMILAR)


@dataclass(frozen=True)
class Calibration:
    """The lowest raw cosine at which each word holds, and the number of photos that it was learnt from."""

    same_item: float
    very_similar: float
    similar: float
    loosely_similar: float
    photos: int = 0

    def match(self, cosine: float) -> Match:
        """The word for a raw cosine of query and photo."""
        return next((match for match in BOUNDED if cosine >= getattr(self, match.value)), Match.NONE)

    def alike(self, best: float) -> bool:
        """Whether anything in the catalogue is like the query, whose nearest photo has raw cosine `best`.

        The search must have had no filter and no colour weight. It tells that the query shows another kind of
        thing than the catalogue has, not another class of the same kind.
        """
        return best >= self.loosely_similar

    def to_json(self) -> str:
        """The calibration as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        try:
            values = json.loads(text)
            bounds = {match.value: float(values[match.value]) for match in BOUNDED}
            return cls(**bounds, photos=int(values["photos"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "The stored calibration cannot be read: run “manage.py rebuild_index” to make a new one."
            ) from error


# For catalogues too small to calibrate: a little below the mean of what 25 photos of clothes give.
DEFAULT = Calibration(same_item=SAME_ITEM_FLOOR, very_similar=0.65, similar=0.55, loosely_similar=0.42)


def calibrate(
    embeddings: Rows, products: NDArray[np.integer], sample: int = 2_000, seed: int = 0
) -> Calibration | None:
    """Learn the bounds from a catalogue's raw embeddings, unit rows (n, d), which are asked for in blocks.

    `products` (n,) is each photo's product; photos of one product are not each other's neighbours. At most
    `sample` photos are asked for their nearest neighbour, always among all n; the same arguments give the
    same bounds. None for fewer than `MIN_PHOTOS` photos, or where all are of one product: use `DEFAULT`
    then.
    """
    products = np.asarray(products)
    if len(embeddings) < MIN_PHOTOS or (products == products[0]).all():
        return None
    chosen = np.random.default_rng(seed).permutation(len(embeddings))[:sample]
    nearest = _nearest(embeddings, products, chosen)
    loosely, similar, very, same = (
        float(bound)
        for bound in np.percentile(
            nearest,
            [LOOSELY_SIMILAR_PERCENTILE, SIMILAR_PERCENTILE, VERY_SIMILAR_PERCENTILE, SAME_ITEM_PERCENTILE],
        )
    )
    same = max(same, SAME_ITEM_FLOOR)
    # Of a model for which all neighbours are nearer than the ceiling, that says nothing: all would be the same.
    if loosely < SAME_ITEM_CEILING:
        same = min(same, SAME_ITEM_CEILING)
    very, similar, loosely = (min(bound, same) for bound in (very, similar, loosely))
    return Calibration(same, very, similar, loosely, photos=len(embeddings))


def _nearest(embeddings: Rows, products: NDArray[np.integer], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
    """The cosine of each chosen photo with its nearest neighbour of another product: float32 (q,)."""
    queries = embeddings[chosen].astype(np.float32)
    best = np.full(len(chosen), -np.inf, np.float32)
    for start in range(0, len(embeddings), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = queries @ embeddings[rows].astype(np.float32).T
        scores[products[chosen, None] == products[rows]] = -np.inf
        np.maximum(best, scores.max(axis=1), out=best)
    return best
