"""What to show beside a product: what looks like it, its style in other colours, and the like for less.

All three are chosen from two searches, one by style and colour and one by style alone, in a fixed number of queries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from django.utils import timezone

from catalogue.models import Product, ProductImage
from search import versions
from search.indexes import index_of
from search.indexes.base import Filter
from search.models import Embedding, IndexVersion
from search.vision import vectors
from search.vision.matches import Match
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT

#: Products of a row at the most.
LONGEST_ROW = 10
#: Products of a row at the least: one by itself is no choice.
SHORTEST_ROW = 2
#: Of the products that look similar, those that are shown as such before the other rows choose theirs.
NEAREST_FIRST = 2
#: Products of one colour in the row of other colours.
MOST_OF_A_COLOUR = 2
#: Nearest photos that each search looks at. Further ones are hardly ever “similar”, the least that two rows ask for.
NEAREST = 100
ALIKE = frozenset({Match.SAME_ITEM, Match.VERY_SIMILAR, Match.SIMILAR})


@dataclass(frozen=True)
class Alternative:
    """A product to show beside another, with the photo that is like it."""

    product: Product
    photo: ProductImage
    match: Match
    #: the name of its foremost colour, of `colours.NAMES`; empty if none is known
    colour: str = ""


@dataclass(frozen=True)
class Alternatives:
    """Rows of products beside a product, the most alike first, none in two of them where there are enough."""

    similar: Sequence[Alternative] = ()
    other_colours: Sequence[Alternative] = ()
    for_less: Sequence[Alternative] = ()


class _Candidate(NamedTuple):
    """What is asked of a product before it is chosen: a row of it would cost ten times as much."""

    photo_id: int
    product_id: int
    price: Decimal | None
    currency: str
    category_id: int | None
    match: Match
    colour: str


def alternatives(product: Product) -> Alternatives:
    """The rows beside a product; none if search does not know it yet.

    `product` should have its photos prefetched. Raises `IndexMissing` and what the index raises.
    """
    version = versions.live_version()
    if (own := _stored_of(product, version)) is None:
        return Alternatives()
    like, same_style = _search(own, product, version)
    known = _known({*like, *same_style}, own, version)
    by_both, by_style = list(_products(like, known)), list(_products(same_style, known))

    rows = _Rows()
    # Before a busy background a hat may look like nothing else; the nearest hats are still worth seeing.
    alike = [one for one in by_both if one.match != Match.NONE or _of_one_category(one, product)]
    nearest = rows.fill(alike[:NEAREST_FIRST])
    other_colours = rows.fill(_of_other_colours(by_style, _foremost(own.colours)))
    for_less = rows.fill(one for one in [*by_both, *by_style] if one.match in ALIKE and _for_less(one, product))
    similar = [*nearest, *rows.fresh(alike)][:LONGEST_ROW] if nearest else []
    return Alternatives(*_shown(similar, other_colours, for_less))


def colours_of(product: Product) -> list[str]:
    """The names of a product's colours, the foremost first, as its first photo shows them; none if not known yet."""
    cover = product.cover
    stored = (
        cover and Embedding.objects.of_live().filter(digest=cover.sha256).values_list("colours", flat=True).first()
    )
    return [name for name, _share in stored or ()]


class _Rows:
    """Fills rows, one after the other, with products that no row has yet, as far as there are enough of them."""

    def __init__(self) -> None:
        self._used: set[int] = set()

    def fresh(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        return [one for one in candidates if one.product_id not in self._used]

    def fill(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """The next row; it repeats only as many products as it needs to be one at all."""
        each = {one.product_id: one for one in reversed(list(candidates))}
        fresh = set(each) - self._used
        repeated = [pk for pk in reversed(each) if pk in self._used][: max(0, SHORTEST_ROW - len(fresh))]
        row = [one for pk, one in reversed(each.items()) if pk in fresh or pk in repeated][:LONGEST_ROW]
        if len(row) < SHORTEST_ROW:
            return []
        self._used.update(one.product_id for one in row)
        return row


def _stored_of(product: Product, version: IndexVersion) -> Embedding | None:
    """What is stored of a product's first photo that search knows."""
    digests = [photo.sha256 for photo in product.photos.all()]
    stored = Embedding.objects.of(version, digests)
    return min(stored, key=lambda row: digests.index(row.digest), default=None)


def _search(own: Embedding, product: Product, version: IndexVersion) -> tuple[list[int], list[int]]:
    """The nearest photos by style and colour, and by style alone."""
    style = versions.style_of(version, vectors.unit(Embedding.unpack([own.embedding])))[0]
    colour = Embedding.unpack([own.colour])[0]
    index = index_of(version)
    where = Filter(visible_at=timezone.now(), exclude_products=frozenset([product.pk]))
    like, same_style = (
        index.search(vectors.scale(vectors.query(style, colour, weight)), NEAREST, where)
        for weight in (DEFAULT_COLOUR_WEIGHT, 0)
    )
    return [hit.photo_id for hit in like], [hit.photo_id for hit in same_style]


def _known(photo_ids: Iterable[int], own: Embedding, version: IndexVersion) -> dict[int, _Candidate]:
    """Photos, by their ids, whose products may be seen now; how alike they are, and their colour."""
    photos = ProductImage.objects.filter(
        pk__in=photo_ids, product__in=Product.objects.visible().order_by()
    ).order_by()
    rows = list(
        photos.values_list("pk", "sha256", "product_id", "product__price", "product__currency", "product__category")
    )
    stored = Embedding.objects.of(version, {digest for _pk, digest, *_ in rows})
    said = list(stored.values_list("digest", "embedding", "colours"))
    if not said:
        return {}
    mine = vectors.unit(Embedding.unpack([own.embedding]))[0]
    cosines = Embedding.unpack(embedding for _digest, embedding, _colours in said) @ mine
    words = {
        digest: (version.calibration.match(float(cosine)), _foremost(colours))
        for (digest, _embedding, colours), cosine in zip(said, cosines, strict=True)
    }
    return {
        pk: _Candidate(pk, product_id, price, currency, category, *words[digest])
        for pk, digest, product_id, price, currency, category in rows
        if digest in words
    }


def _products(photo_ids: Iterable[int], known: Mapping[int, _Candidate]) -> Iterator[_Candidate]:
    """The products of photos, each with the first of its photos, in their order."""
    seen: set[int] = set()
    for pk in photo_ids:
        if (one := known.get(pk)) and one.product_id not in seen:
            seen.add(one.product_id)
            yield one


def _shown(*rows: Sequence[_Candidate]) -> list[list[Alternative]]:
    """The rows with all that a page shows of them."""
    chosen = {one.photo_id for row in rows for one in row}
    photos = ProductImage.objects.select_related("product").in_bulk(chosen)
    return [
        [
            Alternative(photos[one.photo_id].product, photos[one.photo_id], one.match, one.colour)
            for one in row
            if one.photo_id in photos
        ]
        for row in rows
    ]


def _of_other_colours(candidates: Iterable[_Candidate], colour: str) -> Iterator[_Candidate]:
    """Those alike whose foremost colour is known and another one, a few of each."""
    taken: Counter[str] = Counter()
    for one in candidates:
        if one.match in ALIKE and one.colour not in {"", colour} and taken[one.colour] < MOST_OF_A_COLOUR:
            taken[one.colour] += 1
            yield one


def _of_one_category(one: _Candidate, product: Product) -> bool:
    return one.category_id is not None and one.category_id == product.category_id


def _for_less(one: _Candidate, product: Product) -> bool:
    price, other = product.price, one.price
    return price is not None and other is not None and one.currency == product.currency and other < price


def _foremost(colours: Sequence[tuple[str, float]]) -> str:
    return colours[0][0] if colours else ""
