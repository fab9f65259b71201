"""Whether a version may go live: it must be complete, and not worse than the one that answers now.

What its own index finds is compared with exact search over what it holds, and what both versions find nearest with
the catalogue's categories. All of it comes from stored embeddings: no model is asked. Samples are bounded, so that it
takes seconds and some ten megabytes whatever the size of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _

from catalogue.models import ProductImage
from evaluation.metrics import confidence_interval
from search import versions
from search.indexes import index_of
from search.models import Embedding, IndexEntry, IndexVersion
from search.vision import vectors

Floats: TypeAlias = npt.NDArray[np.float32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# What is sampled, in photos.
QUERIES = 1_000
"""That look for their category among the gallery."""
SEARCHES = 200
"""Of these, that are searched for in the index itself."""
GALLERY = 50_000
"""That are searched exactly: all of a smaller catalogue. Of a larger one, what the index misses is scaled up."""
BLOCK = 500

# What is asked for.
RECALL_AT_10 = 0.95
SELF_RETRIEVAL = 0.99
COVERAGE = 0.99
"""Of the photos that the live version finds."""
MARGIN = 0.02
"""How much less the precision at 1 by category may be than the live version's. Worse by more is told from chance by
the difference's 95 % confidence interval."""
LEAST = 50
"""With fewer photos that have another product in their category, nothing is compared."""

K = 10
ROUNDING = 3e-4
"""Of scores: an index may keep float16, which moves a cosine by some hundred thousandths, .00025 at the worst."""


@dataclass(frozen=True)
class Figures:
    """What was measured; None where there is nothing to measure with."""

    #: photos that the ledger says are in the index, documents that are, and photos that change just now
    indexed: int
    documents: int
    pending: int
    live_indexed: int
    #: the share of the ten nearest that the index finds, of what it should by exact search
    recall_at_10: float | None = None
    #: the share of photos that are the first to be found by their own vector, or a copy of them is
    self_retrieval: float | None = None
    #: the share of photos whose nearest of another product is of their category, and the same in the live version
    precision_at_1: float | None = None
    live_precision_at_1: float | None = None
    #: the greatest difference of the two that chance leaves likely
    difference_at_most: float | None = None
    #: photos that these are of
    queries: int = 0

    @property
    def complete(self) -> bool:
        return abs(self.indexed - self.documents) <= self.pending

    def refusals(self) -> list[str]:
        """Why the version may not go live, in sentences: which figure, and by how much."""
        found = []
        if not self.complete:
            text = _("Its index has %(documents)d documents, but %(indexed)d photos count as indexed.")
            found.append(text % {"documents": self.documents, "indexed": self.indexed})
        if self.indexed < COVERAGE * self.live_indexed:
            text = _("It finds %(indexed)d photos, %(fewer)d fewer than the live version. At most 1 %% may fail.")
            found.append(text % {"indexed": self.indexed, "fewer": self.live_indexed - self.indexed})
        if self.recall_at_10 is not None and self.recall_at_10 < RECALL_AT_10:
            text = _("Its index finds %(share).1f %% of the ten nearest photos, less than %(least).0f %%.")
            found.append(text % {"share": 100 * self.recall_at_10, "least": 100 * RECALL_AT_10})
        if self.self_retrieval is not None and self.self_retrieval < SELF_RETRIEVAL:
            text = _("%(share).1f %% of the photos are found first by their own vector, less than %(least).0f %%.")
            found.append(text % {"share": 100 * self.self_retrieval, "least": 100 * SELF_RETRIEVAL})
        if self._less_precise:
            text = _(
                "The nearest photo is in the right category for %(share).1f %% of the photos, against"
                " %(live).1f %% in the live version. At most %(margin).0f %% less is allowed."
            )
            shares = {"share": 100 * (self.precision_at_1 or 0), "live": 100 * (self.live_precision_at_1 or 0)}
            found.append(text % {**shares, "margin": 100 * MARGIN})
        return found

    @property
    def _less_precise(self) -> bool:
        if self.precision_at_1 is None or self.live_precision_at_1 is None or self.difference_at_most is None:
            return False
        return self.precision_at_1 < self.live_precision_at_1 - MARGIN and self.difference_at_most < 0

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def measure(
    version: IndexVersion, live: IndexVersion | None, alive: Callable[[int, int], object] | None = None
) -> Figures:
    """Measure a version whose index is up to date, against the live one where there is one.

    The live version's index is not asked: it may be lost. Its photos are compared in its own space, so that it may
    also be of another model. `alive` is called with the photos done and in all. Raises the errors of the index.
    """
    counts = _counts(version, live)
    indexed = IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED)
    ids = np.fromiter(indexed.order_by("photo_id").values_list("photo_id", flat=True).iterator(), np.int64)
    if not len(ids):
        return Figures(**counts)
    if not counts["live_indexed"]:
        live = None  # empty: there is nothing to be worse than
    rng = np.random.default_rng(version.pk)
    gallery = np.sort(rng.permutation(ids)[:GALLERY])
    queries = _read(rng.permutation(gallery)[:QUERIES], version, live)
    if not len(queries):
        return Figures(**counts)

    searches = _Searches(queries, version)
    spaces = [_Nearest(queries, space) for space in (queries.own, queries.live) if space is not None]
    several = _Several()
    for start in range(0, len(gallery), BLOCK):
        block = _read(gallery[start : start + BLOCK], version, live)
        if len(block):
            searches.look(block)
            several.look(block)
            for nearest, space in zip(spaces, (block.own, block.live), strict=False):
                if space is not None:
                    nearest.look(block, space)
        if alive:
            alive(min(start + BLOCK, len(gallery)), len(gallery))
    return Figures(
        **counts,
        recall_at_10=searches.recall(missed=len(ids) / len(gallery)),
        self_retrieval=searches.itself,
        **_compared(queries, spaces, several),
    )


def _counts(version: IndexVersion, live: IndexVersion | None) -> dict[str, int]:
    entries = IndexEntry.objects.filter(version=version)
    # In this order: what is settled in between was pending, or is in both numbers.
    pending = entries.filter(state=IndexEntry.State.PENDING).count()
    indexed = entries.filter(state=IndexEntry.State.INDEXED).count()
    documents = index_of(version).count()
    pending += entries.filter(state=IndexEntry.State.PENDING).count()
    there = ProductImage.objects.values("pk")
    live_entries = IndexEntry.objects.filter(version=live, state=IndexEntry.State.INDEXED, photo_id__in=there)
    return {
        "indexed": indexed,
        "documents": documents,
        "pending": pending,
        "live_indexed": live_entries.count() if live else 0,
    }


# Rows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Space:
    """Photos in the space of one version, a row each."""

    style: Floats
    colour: Floats

    @property
    def vectors(self) -> Floats:
        return vectors.document(self.style, self.colour)


@dataclass(frozen=True, eq=False)
class _Photos:
    """Photos whose embeddings are stored for a version, n of them."""

    ids: Int64s
    products: Int64s
    #: -1 for none
    categories: Int64s
    own: _Space
    #: in the space of the live version, where there is one; any other's vector for those that it does not know
    live: _Space | None
    #: those that are known in both
    both: Bools

    def __len__(self) -> int:
        return len(self.ids)


def _read(ids: Int64s, version: IndexVersion, live: IndexVersion | None) -> _Photos:
    """The photos of these ids, in this order, in the spaces of both versions."""
    found: dict[int, tuple[str, int, int | None]] = {}
    for start in range(0, len(ids), BLOCK):
        photos = ProductImage.objects.filter(pk__in=ids[start : start + BLOCK].tolist()).order_by("pk")
        rows = photos.values_list("pk", "sha256", "product_id", "product__category_id")
        found |= {pk: (digest, product, category) for pk, digest, product, category in rows}
    digests = sorted({digest for digest, _product, _category in found.values()})
    stored = _stored(digests, version)
    known = [(pk, *found[pk]) for pk in ids.tolist() if pk in found and found[pk][0] in stored]
    other, both = None, np.ones(len(known), np.bool_)
    if live is not None and known:
        same = (live.fingerprint, live.colours_version) == (version.fingerprint, version.colours_version)
        stored_live = stored if same else _stored(digests, live)
        both = np.array([digest in stored_live for _pk, digest, _product, _category in known], np.bool_)
        if both.any():
            nothing = next(iter(stored_live.values()))
            other = _space([stored_live.get(row[1], nothing) for row in known], live)
    return _Photos(
        np.array([pk for pk, _digest, _product, _category in known], np.int64),
        np.array([product for _pk, _digest, product, _category in known], np.int64),
        np.array([-1 if category is None else category for *_row, category in known], np.int64),
        _space([stored[row[1]] for row in known], version),
        other,
        both,
    )


def _stored(digests: Sequence[str], version: IndexVersion) -> dict[str, tuple[bytes, bytes]]:
    found: dict[str, tuple[bytes, bytes]] = {}
    for start in range(0, len(digests), BLOCK):
        stored = Embedding.objects.of(version, digests[start : start + BLOCK])
        rows = stored.values_list("digest", "embedding", "colour")
        found |= {digest: (bytes(style), bytes(colour)) for digest, style, colour in rows}
    return found


def _space(rows: Sequence[tuple[bytes, bytes]], version: IndexVersion) -> _Space:
    if not rows:
        return _Space(np.zeros((0, version.width), np.float32), np.zeros((0, 0), np.float32))
    style = versions.style_of(version, Embedding.unpack(style for style, _colour in rows))
    return _Space(style, Embedding.unpack(colour for _style, colour in rows))


# Measures ---------------------------------------------------------------------------------------------------


class _Searches:
    """Photos searched for in the index and, block by block of the gallery, exactly; q of them."""

    def __init__(self, photos: _Photos, version: IndexVersion) -> None:
        style, colour = photos.own.style[:SEARCHES], photos.own.colour[:SEARCHES]
        self._queries = vectors.scale(vectors.query(style, colour))  # (q, w)
        index = index_of(version)
        #: score by photo id, best first
        self._hits = [{hit.photo_id: hit.score for hit in index.search(row, K)} for row in self._queries]
        #: the best exact scores of photos that were not found
        self._others = np.full((len(self._hits), K), -np.inf, np.float32)
        scores = np.einsum("qw,qw->q", self._queries, vectors.document(style, colour))
        itself = map(_first, photos.ids.tolist(), scores.tolist(), self._hits)
        self.itself = float(np.mean(list(itself)))

    def look(self, block: _Photos) -> None:
        scores = self._queries @ block.own.vectors.T
        for row, hits in enumerate(self._hits):
            scores[row, np.isin(block.ids, list(hits))] = -np.inf
        together = np.concatenate([self._others, scores], axis=1)
        self._others = -np.partition(-together, K - 1, axis=1)[:, :K]

    def recall(self, missed: float) -> float:
        """Recall at 10; what was missed in the gallery counts `missed` times."""
        recalls = []
        for others, hits in zip(self._others, self._hits, strict=True):
            wanted = sorted([*others[np.isfinite(others)].tolist(), *hits.values()], reverse=True)[:K]
            there = sum(score >= wanted[-1] - ROUNDING for score in hits.values()) if wanted else 0
            recalls.append(1 - min(1.0, missed * (1 - min(there, len(wanted)) / max(len(wanted), 1))))
        return float(np.mean(recalls))


def _first(photo: int, score: float, hits: dict[int, float]) -> bool:
    """Whether a photo is the first to be found by its own vector, with which its document has a score."""
    best = max(hits.values(), default=-np.inf)
    # Where ten copies of it are found it need not be among them.
    copies = len(hits) == K and min(hits.values()) >= score - ROUNDING
    return hits.get(photo, -np.inf) >= best - ROUNDING or (copies and best <= score + ROUNDING)


class _Nearest:
    """The category of each query's nearest photo of another product, in the space of one version."""

    def __init__(self, queries: _Photos, space: _Space) -> None:
        self._queries = vectors.query(space.style, space.colour)
        self._products = queries.products
        self._best = np.full(len(queries), -np.inf, np.float32)
        self.categories = np.full(len(queries), -1, np.int64)

    def look(self, block: _Photos, space: _Space) -> None:
        scores = self._queries @ space.vectors.T
        scores[(self._products[:, None] == block.products) | ~block.both] = -np.inf
        places = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), places]
        better = best > self._best
        self._best[better] = best[better]
        self.categories[better] = block.categories[places[better]]


class _Several:
    """Which categories have photos of several products."""

    def __init__(self) -> None:
        self._product: dict[int, int] = {}
        self._several: set[int] = set()

    def look(self, block: _Photos) -> None:
        for category, product in zip(block.categories[block.both], block.products[block.both], strict=True):
            if category >= 0 and self._product.setdefault(category, product) != product:
                self._several.add(category)

    def among(self, categories: Int64s) -> Bools:
        return np.isin(categories, sorted(self._several))


def _compared(queries: _Photos, spaces: Sequence[_Nearest], several: _Several) -> dict[str, Any]:
    asked = several.among(queries.categories) & queries.both
    count = int(asked.sum())
    if count < LEAST:
        return {}
    right = [(nearest.categories == queries.categories)[asked].astype(np.float64) for nearest in spaces]
    found: dict[str, Any] = {"precision_at_1": float(right[0].mean()), "queries": count}
    if len(right) > 1:
        found["live_precision_at_1"] = float(right[1].mean())
        found["difference_at_most"] = confidence_interval(right[0] - right[1])[1]
    return found
