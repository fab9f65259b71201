"""A ranking -> the products of a page that may be seen now, with how alike they are.

Whether a product may be seen, and at what price, is asked of the database each time a page is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from catalogue.models import Product, ProductImage
from search.models import Embedding
from search.reading.queries import unsaved_of_picture, unsaved_of_product
from search.reading.ranking import NEAREST, Ranking, Rows, Search
from search.reading.refinement import Criteria, Refinement
from search.versions import live_version
from search.vision.embedders.deadline import request_deadline
from search.vision.matches import Match

DEFAULT_PAGE = 24
LARGEST_PAGE = 200
#: Rows of a ranking looked up beyond those asked for: some products may have been hidden since it was made.
SPARE_ROWS = 6


@dataclass(frozen=True)
class Result:
    product: Product
    photo: ProductImage
    score: float
    match: Match
    #: from 1
    rank: int


@dataclass(frozen=True)
class Page:
    results: list[Result]
    #: where the next page starts, None at the end
    next_position: int | None


def page(ranking: Ranking, start: int = 0, size: int = DEFAULT_PAGE) -> Page:
    """The next `size` products of a ranking from a position on."""
    criteria = ranking.search.refinement.criteria
    chosen: list[tuple[int, ProductImage, float]] = []
    position = start
    while len(chosen) < size and position < len(ranking):
        rows = ranking.rows[position : position + size + SPARE_ROWS]
        shown = _shown(rows, criteria)
        for _product, photo_id, score in rows:
            if len(chosen) == size:
                break
            position += 1
            if photo := shown.get(photo_id):
                chosen.append((position, photo, score))
    matches = _matches(ranking.search, [photo for _rank, photo, _score in chosen])
    results = [
        Result(photo.product, photo, score, match, rank)
        for (rank, photo, score), match in zip(chosen, matches, strict=True)
    ]
    return Page(results, position if position < len(ranking) else None)


def similar_to(product: Product, size: int, refinement: Refinement | None = None) -> list[Result]:
    """Products like a product, best first; nothing is stored. Raises `NotIndexed`."""
    version = live_version()
    return _similar(Search(unsaved_of_product(product, version), refinement or Refinement(), version), size)


@request_deadline()
def similar_to_picture(data: bytes, size: int) -> list[Result]:
    """Products like a picture, best first; nothing is stored. Raises what `queries.from_picture` raises."""
    # One version for all of it: what nobody stores cannot be embedded again if another model goes live meanwhile.
    version = live_version()
    return _similar(Search(unsaved_of_picture(data, version), Refinement(), version), size)


def _similar(search: Search, size: int) -> list[Result]:
    # A few more than are asked for, since some may have been hidden a moment ago.
    ranking = Ranking(search, "", search.nearest_products(size + NEAREST), alike=True)
    return page(ranking, size=size).results


def _matches(search: Search, photos: Sequence[ProductImage]) -> list[Match]:
    """How alike each photo and the query are, in words, by their raw embeddings."""
    stored = Embedding.objects.of(search.version, [photo.sha256 for photo in photos])
    known = dict(stored.values_list("digest", "embedding"))
    if not known:
        return [Match.NONE] * len(photos)
    cosines = dict(zip(known, Embedding.unpack(known.values()) @ search.vectors.embedding, strict=True))
    return [
        search.version.calibration.match(float(cosines[photo.sha256])) if photo.sha256 in cosines else Match.NONE
        for photo in photos
    ]


def _shown(rows: Rows, criteria: Criteria) -> Mapping[int, ProductImage]:
    """The photos of these rows whose products may be seen now and meet the criteria, with their products."""
    products, photo_ids, _scores = zip(*rows, strict=True)
    shown = criteria.products().filter(pk__in=products).order_by()
    photos = ProductImage.objects.select_related("product__category", "product__brand")
    photos = photos.defer("product__description", "product__attributes")
    return photos.filter(product__in=shown).in_bulk(photo_ids)
