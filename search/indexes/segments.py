"""The documents that a process holds in memory to search them, exactly.

Nothing here changes once it is made. A change gives new `Contents` that share all untouched rows with the old,
so that a search goes on undisturbed in what it started with and no lock stands between searches and changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from search.indexes.base import Facets, Filter, Hit
from search.indexes.facets import Products
from search.indexes.rows import Booleans, Int64s, Rows

Places = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_GATHERED_SHARE = 0.02
"""Below this share of matching rows it is quicker to copy them together and scan the copy.

At 1 % that took .10 times the time of reading all bytes, skipping to them .19; at 3 % both took .3.
"""

_OVERSAMPLED_SHARE = 0.25
"""From this share of matching rows on it is quicker to look at all rows and drop those that do not match.

Skipping rows defeats the processor's prefetching: on 100,000 rows of 400 float16 (AMD EPYC, family 26 model 17,
one thread) a scan of all took 1.2 times the time of reading the bytes, one that skips to 90 % of them 2.1,
to 50 % 2.2, to 25 % 1.3, to 10 % .8.
"""

_OVERSAMPLED_MOST = 2_000
"""More candidates than this cost as much as is won (1.6 times the reading for 2,000, 2.1 for 4,000)."""

_DEAD_SHARE = 0.1
"""A segment with more dead rows than this is rewritten without them."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Rows with a faiss index that looks at their vectors where they lie."""

    rows: Rows
    #: bool (n,), false where a row was replaced or deleted
    alive: Booleans
    index: Any

    @classmethod
    def of(cls, rows: Rows) -> Segment:
        return cls(rows, np.ones(len(rows.photo_id), np.bool_), _index(rows.vector))

    @property
    def living(self) -> Rows:
        return self.rows if self.alive.all() else self.rows.take(self.alive)

    def without(self, photo_ids: Int64s) -> Segment:
        """The segment with the rows of these photos dead."""
        places = np.searchsorted(self.rows.photo_id, photo_ids)
        places = places[places < len(self.alive)]
        dead = places[np.isin(self.rows.photo_id[places], photo_ids) & self.alive[places]]
        if not len(dead):
            return self
        alive = self.alive.copy()
        alive[dead] = False
        changed = replace(self, alive=alive)
        return Segment.of(changed.living) if np.mean(alive) < 1 - _DEAD_SHARE else changed

    def best(self, vector: Scores, k: int, where: Filter | None) -> tuple[Scores, Places]:
        """Scores and places of the k best rows that match, and of all that share the last one's score."""
        mask = self.alive if where is None else self.alive & self.rows.matching(where)
        matching = int(np.count_nonzero(mask))
        # One more than asked for shows whether others have the score of the last; copies of a photo often do.
        wanted = min(k + 1, matching)
        while True:
            scores, places = self._scan(vector, wanted, mask, matching)
            if wanted == matching or scores[-1] < scores[k - 1]:
                return scores, places
            wanted = min(2 * wanted, matching)

    def _scan(self, vector: Scores, wanted: int, mask: Booleans, matching: int) -> tuple[Scores, Places]:
        """Scores and places of the `wanted` best rows of a mask that has `matching` ones, best first."""
        if not wanted:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        faiss = _faiss()
        faiss.omp_set_num_threads(1)  # of the calling thread; a single query has no work for a second
        query = vector[None, :]
        share = matching / len(mask)
        if share < _GATHERED_SHARE:
            chosen = np.flatnonzero(mask)
            gathered = self.rows.vector[chosen]
            scores, places = _index(gathered).search(query, wanted)
            return scores[0], chosen[places[0]]
        candidates = min(len(mask), wanted if share == 1 else int(1.5 * wanted / share) + 32)
        if share == 1 or (share >= _OVERSAMPLED_SHARE and candidates <= _OVERSAMPLED_MOST):
            scores, places = self.index.search(query, candidates)
            kept = np.flatnonzero(mask[places[0]])[:wanted]
            if len(kept) == wanted:
                return scores[0, kept], places[0, kept]
            # What is nearest is mostly what the filter refuses: look at the matching rows alone.
        selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        scores, places = self.index.search(query, wanted, params=faiss.SearchParameters(sel=selector))
        return scores[0], places[0]


@dataclass(frozen=True, eq=False)
class Contents:
    """All documents of an index as of one `sequence`, in segments that have no living photo in common."""

    sequence: int
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, sequence: int, rows: Rows) -> Contents:
        return cls(sequence, (Segment.of(rows),))

    def changed(self, sequence: int, rows: Rows, deleted: Int64s) -> Contents:
        """The contents with documents added or replaced and photos (m,) deleted.

        The new rows become a segment; segments of like size are merged, so that there are about log2(n) of them and
        each row is copied about as often.
        """
        touched = np.concatenate([rows.photo_id, deleted])
        segments = [segment.without(touched) for segment in self.segments]
        if len(rows.photo_id):
            segments.append(Segment.of(rows))
        while len(segments) > 1 and len(segments[-2].alive) < 2 * len(segments[-1].alive):
            last = segments.pop().living
            segments[-1] = Segment.of(segments[-1].living.merged(last))
        return Contents(sequence, tuple(segments))

    def search(self, vector: Scores, k: int, where: Filter | None) -> list[Hit]:
        """The k best hits, ordered by (-score, photo id)."""
        found = [segment.best(vector, k, where) for segment in self.segments]
        scores = np.concatenate([best for best, _places in found])
        photos, products = (
            np.concatenate([column[places] for column, (_best, places) in zip(columns, found, strict=True)])
            for columns in (
                [segment.rows.photo_id for segment in self.segments],
                [segment.rows.product_id for segment in self.segments],
            )
        )
        order = np.lexsort((photos, -scores))[:k]
        return list(map(Hit, photos[order].tolist(), products[order].tolist(), scores[order].tolist()))

    def facets(self, where: Filter) -> Facets:
        return self._products.facets(where)

    @cached_property
    def _products(self) -> Products:
        return Products.of([segment.living for segment in self.segments])

    def count(self) -> int:
        return sum(int(np.count_nonzero(segment.alive)) for segment in self.segments)

    def ids(self) -> list[tuple[int, int]]:
        """Photo ids with their generations, ids ascending."""
        pairs: list[tuple[int, int]] = []
        for segment in self.segments:
            ids, generations = segment.rows.photo_id[segment.alive], segment.rows.generation[segment.alive]
            pairs += zip(ids.tolist(), generations.tolist(), strict=True)
        return sorted(pairs)

    def generations(self, photo_ids: Int64s) -> dict[int, int]:
        """The generations of the documents of some photos (m,)."""
        found: dict[int, int] = {}
        for segment in self.segments:
            which = segment.alive & np.isin(segment.rows.photo_id, photo_ids)
            rows = segment.rows
            found.update(zip(rows.photo_id[which].tolist(), rows.generation[which].tolist(), strict=True))
        return found


def _index(vectors: npt.NDArray[np.float16]) -> Any:
    """A faiss index of float16 (n, width), C-contiguous, that looks at them where they lie: keep them alive.

    They are the quantiser's own codes, so nothing is copied; and numpy asks the system for large pages, which faiss
    does not (a tenth of a search's time).
    """
    faiss = _faiss()
    count, width = vectors.shape
    index = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    codes = vectors.reshape(-1).view(np.uint8)
    nobody = faiss.MaybeOwnedVectorUInt8().owner
    index.codes = faiss.MaybeOwnedVectorUInt8.create_view(faiss.swig_ptr(codes), codes.nbytes, nobody)
    index.ntotal = count
    return index


def _faiss() -> Any:
    # Imported with the first search, and untyped: the package's own stubs miss much of what it has.
    import faiss

    return faiss
