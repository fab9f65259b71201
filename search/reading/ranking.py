"""A query and its refinement -> a ranking: products and the photo of each that matched, best first.

It is ranked once and frozen, so its pages neither repeat nor skip a product, whatever changes meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import Product, ProductImage, ProductQuerySet
from search.exceptions import QueryGone
from search.indexes import index_of
from search.indexes.base import Facets, Filter, Hit
from search.models import Embedding, IndexVersion, Query, QueryMemo
from search.reading.queries import QueryVectors, edges, query_vectors
from search.reading.refinement import Refinement
from search.versions import live_version, style_of
from search.vision import vectors

#: Products in a ranked list at most.
LONGEST = 500
#: Nearest photos whose raw cosine is looked up to say whether anything is alike.
NEAREST = 10

Rows: TypeAlias = list[tuple[int, int, float]]
"""(product id, photo id, score) each."""


@dataclass(frozen=True)
class Search:
    """A query with its refinement in the space of a version. What it asks the database for, it asks once."""

    query: Query
    refinement: Refinement
    version: IndexVersion

    @cached_property
    def vectors(self) -> QueryVectors:
        """What the version's model sees in the query or the box. Raises what the model raises."""
        return query_vectors(self.query, self.refinement.box, self.version)

    @cached_property
    def where(self) -> Filter:
        """The criteria, without the product that is asked with and those that the shopper does not want."""
        disliked = self.refinement.dislike
        pks = _products(disliked).values_list("pk", flat=True) if disliked else ()
        return self.refinement.criteria.where([*self._own_product, *pks])

    @property
    def _own_product(self) -> list[int]:
        return [] if self.query.photo is None else [self.query.photo.product_id]

    def facets(self) -> Facets:
        """What the search could be narrowed to, with the number of products that each choice would leave."""
        return index_of(self.version).facets(self.where)

    def nearest_products(self, most: int = LONGEST) -> Rows:
        """Up to `most` products with their best photo and its score, best first."""
        style = style_of(self.version, self.vectors.embedding[np.newaxis])[0]
        if self.refinement.like or self.refinement.dislike:
            liked, disliked = (
                _styles(skus, self.version) for skus in (self.refinement.like, self.refinement.dislike)
            )
            style = vectors.refine(style, liked, disliked)
        vector = vectors.scale(vectors.query(style, self.vectors.colour, self.refinement.colour_weight))
        k = most + NEAREST
        while True:
            hits = index_of(self.version).search(vector, k, self.where)
            best: dict[int, Hit] = {}
            for hit in hits:
                best.setdefault(hit.product_id, hit)
            if len(best) >= most or len(hits) < k:
                return [(hit.product_id, hit.photo_id, round(hit.score, 6)) for hit in islice(best.values(), most)]
            k *= 2

    def best_cosine(self) -> float | None:
        """The raw cosine of the nearest visible photo, whatever the filters, likes and colours; None without photos.

        Searched for when a picture or a box is looked at first, and kept for its refinements.
        """
        name = f"{edges(self.refinement.box)} {self.version.pk}"
        if self.refinement != Refinement(box=self.refinement.box):
            kept = QueryMemo.objects.find(self.query, QueryMemo.Kind.NEAREST, name)
            if kept is not None:
                return orjson.loads(kept)  # type: ignore[no-any-return]
        style = style_of(self.version, self.vectors.embedding[np.newaxis])[0]
        vector = vectors.scale(vectors.query(style, self.vectors.colour, 0))
        where = Filter(visible_at=timezone.now(), exclude_products=frozenset(self._own_product))
        hits = index_of(self.version).search(vector, NEAREST, where)
        digests = ProductImage.objects.filter(pk__in=[hit.photo_id for hit in hits]).values("sha256")
        stored = Embedding.objects.of(self.version).filter(digest__in=digests)
        found = Embedding.unpack(stored.values_list("embedding", flat=True))
        best = float((found @ self.vectors.embedding).max()) if len(found) else None
        QueryMemo.objects.keep(self.query, QueryMemo.Kind.NEAREST, name, orjson.dumps(best))
        return best


@dataclass(frozen=True)
class Ranking:
    """What a search found, frozen under a key."""

    search: Search
    key: str
    rows: Rows
    #: whether anything in the catalogue is like the query at all
    alike: bool

    def __len__(self) -> int:
        return len(self.rows)


def rank(query: Query, refinement: Refinement | None = None, version: IndexVersion | None = None) -> Ranking:
    """Everything that a query and its refinement find in a version (the live one by default), ranked and frozen."""
    search = Search(query, refinement or Refinement(), version or live_version())
    rows, best, calibration = search.nearest_products(), search.best_cosine(), search.version.calibration
    ranking = Ranking(search, secrets.token_hex(8), rows, best is not None and calibration.alike(best))
    if search.refinement.box is None and query.found is None:
        query.note(len(rows), best, calibration.match(best) if best is not None else "", ranking.alike)
    QueryMemo.objects.keep(query, QueryMemo.Kind.RANKING, ranking.key, orjson.dumps([ranking.alike, rows]))
    return ranking


def find(
    query: Query, key: str, refinement: Refinement | None = None, version: IndexVersion | None = None
) -> Ranking:
    """A frozen ranking of a refinement. Raises `QueryGone` if it is no longer kept."""
    kept = QueryMemo.objects.find(query, QueryMemo.Kind.RANKING, key)
    if kept is None:
        raise QueryGone(_("This list of results is no longer kept. Start again at its first page."))
    alike, rows = orjson.loads(kept)
    search = Search(query, refinement or Refinement(), version or live_version())
    return Ranking(search, key, [(product, photo, score) for product, photo, score in rows], alike)


def _styles(skus: Sequence[str], version: IndexVersion) -> npt.NDArray[np.float32]:
    """The style of each product's first photo that is indexed, (n, w)."""
    photos = ProductImage.objects.filter(product__in=_products(skus)).order_by("product_id", "position", "pk")
    contents = list(photos.values_list("product_id", "sha256"))
    stored = Embedding.objects.of(version, {digest for _product, digest in contents})
    known = {digest: bytes(data) for digest, data in stored.values_list("digest", "embedding")}
    first: dict[int, bytes] = {}
    for product_id, digest in contents:
        if digest in known:
            first.setdefault(product_id, known[digest])
    if not first:
        return np.zeros((0, 0), np.float32)
    return style_of(version, Embedding.unpack(first.values()))


def _products(skus: Sequence[str]) -> ProductQuerySet:
    """The products of SKUs. One that shoppers may not see counts as none: nothing may be learned about it."""
    return Product.objects.visible().filter(sku__in=skus).order_by()
