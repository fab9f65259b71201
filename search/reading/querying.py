"""The read path: a query and its refinements -> ranked, grouped products.

A `Query` holds the picture's embedding, so that a refinement calls the model only for a new box. What a refinement
finds is ranked once and frozen in the cache: pages of it neither repeat nor skip, whatever changes meanwhile. Whether
a product may be seen, and at what price, is asked of the database each time a page is shown.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import Any, Self
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue import fetching, filters, images
from catalogue.files import StorageError
from catalogue.models import Brand, Product, ProductImage
from catalogue.querysets import ProductQuerySet
from catalogue.tree import CategoryTree
from search import derived, versions
from search.exceptions import FetchesBusy, NotIndexed, QueryGone
from search.indexes import index_of
from search.indexes.base import Facets, Filter, Hit
from search.models import Embedding, IndexVersion, Query
from search.vision import pictures, vectors
from search.vision.blocks import Blocks, blocks
from search.vision.embedders import Embedder
from search.vision.embedders.haste import haste
from search.vision.matches import Match
from search.vision.pictures import Box
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT

logger = logging.getLogger(__name__)

#: Products in a ranked list at the most.
LONGEST = 500
#: Nearest photos whose raw cosine is looked up to say whether anything is alike.
NEAREST = 10
#: The longer side of a stored query picture, in pixels: ample for a crop box at the model's size.
STORED_SIDE = 1_280
#: Products that a search wants more like, and as many that it wants less like. Each link of its page repeats them.
MOST_WISHES = 20
DEFAULT_PAGE = 24
LARGEST_PAGE = 200
#: Rows of a ranking looked up beyond those asked for: some products may have been hidden since it was made.
SPARE_ROWS = 6
#: Pictures that a process fetches at once for shoppers: other people's slow sites must not hold all of its threads.
MOST_FETCHES = 4
#: Seconds after which an address is refused that leads to no public site: longer than name servers take to answer.
UNTOLD = 1.0
#: How long the address of a forgotten query still says that it is gone.
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True)
class Criteria(filters.Criteria):
    """Which products a shopper wants to see. Colours are known of photos only: the index alone can ask for them."""

    colour: tuple[str, ...] = ()

    def where(self, exclude: Iterable[int] = ()) -> Filter:
        """The same for the index, which also keeps out products that cannot be seen now."""
        return Filter(
            categories=frozenset(CategoryTree.load().ids(self.category)) if self.category else None,
            brands=frozenset(Brand.objects.filter(slug__in=self.brand).values_list("pk", flat=True))
            if self.brand
            else None,
            colours=frozenset(self.colour) if self.colour else None,
            price_min=self.price_min,
            price_max=self.price_max,
            in_stock=self.in_stock,
            visible_at=timezone.now(),
            exclude_products=frozenset(exclude),
        )

    def parameters(self) -> list[tuple[str, str]]:
        return [*super().parameters(), *(("colour", name) for name in self.colour)]


@dataclass(frozen=True)
class Refinement:
    """How a shopper shapes a search; part of the address, never of the query."""

    box: Box | None = None
    colour_weight: float = DEFAULT_COLOUR_WEIGHT
    criteria: Criteria = field(default_factory=Criteria)
    like: tuple[str, ...] = ()
    dislike: tuple[str, ...] = ()

    def wishing(self, skus: Iterable[str]) -> Self:
        """The same, liking and disliking only products of these SKUs."""
        kept = frozenset(skus)
        like, dislike = (tuple(sku for sku in wish if sku in kept) for wish in (self.like, self.dislike))
        return replace(self, like=like, dislike=dislike)


@dataclass(frozen=True)
class Ranking:
    """What a refinement found, frozen: products and the photo of each that matched, best first."""

    key: str
    #: the version that answers this request
    version: IndexVersion
    #: (product id, photo id, score) each
    rows: list[tuple[int, int, float]]
    #: Whether anything in the catalogue is like the query at all
    alike: bool

    def __len__(self) -> int:
        return len(self.rows)


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


@dataclass(frozen=True)
class _Seen:
    """The embedding and the colour block of a query's picture or of a box of it, unit rows of float32."""

    embedding: npt.NDArray[np.float32]
    colour: npt.NDArray[np.float32]


# Queries ----------------------------------------------------------------------------------------------------


@haste()
def ask_with_picture(data: bytes) -> Query:
    """Make a query of a picture's bytes. Raises `images.ImageRefused` and what the model raises."""
    query, stored = _look_at(data, versions.live_version(), keep=True)
    # The row first: whatever happens next, the purge knows of the picture.
    query.picture.name = f"{query.pk}.jpg"
    query.save(force_insert=True)
    try:
        query.picture.storage.save(query.picture.name, ContentFile(stored))
    except BaseException:
        # A storage may have kept what it did not answer to: the purge deletes the picture, if there is one.
        Query.objects.filter(pk=query.pk).update(expires=timezone.now())
        raise
    return query


def _look_at(data: bytes, version: IndexVersion, *, keep: bool) -> tuple[Query, bytes]:
    """A query of a picture's bytes in the space of a version, not saved, and the JPEG to store if it is kept."""
    embedder = versions.embedder_of(version)
    # Decoded once, at the scale that storing it takes: the model's square is cut from the same pixels.
    side = max(pictures.short_side(embedder.size), STORED_SIDE // 2)
    with images.reading(data, short_side=side, wait=images.REQUEST_WAIT) as picture:
        size = {"width": picture.width, "height": picture.height}
        seen = blocks(picture.image, embedder.size, version.colours_version)
        stored = images.encode(picture.image, STORED_SIDE) if keep else b""
    del picture  # it may be large, and a model that is elsewhere takes its time
    return Query(**size, **_fields(seen, embedder, version)), stored


def ask_with_address(address: str) -> Query:
    """Make a query of the picture at an address, which is from then on as if it had been sent.

    Raises what `fetched` and `ask_with_picture` do.
    """
    return ask_with_picture(fetched(address))


def fetched(address: str) -> bytes:
    """The bytes at an address that a shopper gives. Raises `fetching.FetchRefused` and `FetchesBusy`.

    What leads to no public site is refused after `UNTOLD`, whether its name is unknown or one of the own network.
    """
    if not _fetches.acquire(blocking=False):
        raise FetchesBusy("As many pictures as may be fetched at once are being fetched.")
    began = time.monotonic()
    try:
        return fetching.fetch(address)
    except fetching.NotPublic:
        time.sleep(max(0.0, began + UNTOLD - time.monotonic()))
        raise
    finally:
        _fetches.release()


_fetches = threading.BoundedSemaphore(MOST_FETCHES)


def ask_with_product(product: Product) -> Query:
    """Make a query of a product: of its first photo that search knows. Raises `NotIndexed` where there is none."""
    query = _query_of(product, versions.live_version())
    query.save(force_insert=True)
    return query


def similar_to(product: Product, size: int, refinement: Refinement | None = None) -> list[Result]:
    """Products like a product, best first; nothing is stored. Raises `NotIndexed` as `ask_with_product` does."""
    version = versions.live_version()
    return _similar(_query_of(product, version), version, size, refinement or Refinement())


@haste()
def similar_to_picture(data: bytes, size: int) -> list[Result]:
    """Products like a picture, best first; nothing is stored. Raises what `ask_with_picture` does."""
    # Once for all of it: what nobody stores cannot be looked at again where another model goes live meanwhile.
    version = versions.live_version()
    query, _stored = _look_at(data, version, keep=False)
    return _similar(query, version, size, Refinement())


def _similar(query: Query, version: IndexVersion, size: int, refinement: Refinement) -> list[Result]:
    # A few more than are asked for, since some may have been hidden a moment ago.
    rows = _search(query, _see(query, None, version), refinement, version, at_most=size + NEAREST)
    ranking = Ranking("", version, rows, alike=True)
    return page(query, ranking, refinement, size=size).results


def _query_of(product: Product, version: IndexVersion) -> Query:
    photos = {photo.sha256: photo for photo in product.photos.all()}
    stored = Embedding.objects.of(version, photos)
    known = {row.digest: row for row in stored}
    for digest, photo in photos.items():
        if row := known.get(digest):
            return Query(
                photo=photo,
                kind=Query.Kind.PRODUCT,
                width=photo.width,
                height=photo.height,
                fingerprint=row.fingerprint,
                embedding=row.embedding,
                colour=row.colour,
                colours_version=row.colours_version,
                colours=row.colours,
            )
    raise NotIndexed(
        _("No photo of the product %(sku)s can be searched with yet. Try again in a minute.") % {"sku": product.sku}
    )


def find_query(pk: UUID | str) -> Query:
    """A query that can still be asked. Raises `Query.DoesNotExist`, or `QueryGone` for one that was.

    One that was made with a product is gone while shoppers may not see that product.
    """
    shown = Exists(Product.objects.visible().filter(pk=OuterRef("photo__product")).order_by())
    query = Query.objects.select_related("photo__product").annotate(product_shown=shown).get(pk=pk)
    if query.gone or (query.photo_id and not query.product_shown):  # type: ignore[attr-defined]  # as annotated
        raise QueryGone(_("This search has expired and its picture was deleted. Search again with the picture."))
    return query


def forget_expired() -> int:
    """Delete the pictures of queries that have expired; returns how many.

    Where the storage is away they stay expired, and the next call goes on.
    """
    count = 0
    # In batches read whole: a reader that is half-way when it writes is refused by SQLite.
    while batch := list(Query.objects.to_forget()[:500]):
        try:
            for query in batch:
                query.forget()
                count += 1
        except StorageError as error:
            logger.warning("Shoppers' pictures that have expired could not be deleted: %s", error)
            return count
    Query.objects.filter(expires__lt=timezone.now() - REMEMBERED).delete()
    return count


def _fields(seen: Blocks, embedder: Embedder, version: IndexVersion) -> dict[str, Any]:
    row = embedder.embed(seen.square[np.newaxis])[0]
    return {
        "fingerprint": embedder.fingerprint,
        "embedding": Embedding.pack(row),
        "colour": Embedding.pack(seen.colour),
        "colours_version": version.colours_version,
        "colours": seen.names,
    }


# Ranking ----------------------------------------------------------------------------------------------------


def rank(query: Query, refinement: Refinement | None = None) -> Ranking:
    """Everything that a query and its refinement find, ranked; frozen in the cache under its key."""
    version = versions.live_version()
    refinement = refinement or Refinement()
    seen = _see(query, refinement.box, version)
    rows = _search(query, seen, refinement, version)
    best = _nearest(query, refinement, seen, version)
    ranking = Ranking(secrets.token_hex(8), version, rows, best is not None and version.calibration.alike(best))
    if refinement.box is None and query.found is None:
        query.note(len(rows), best, version.calibration.match(best) if best is not None else "", ranking.alike)
    lifetime = (query.expires - timezone.now()).total_seconds()
    derived.keep_ranking(query.pk, ranking.key, rows, ranking.alike, min(max(lifetime, 1), derived.KEPT))
    return ranking


def _nearest(query: Query, refinement: Refinement, seen: _Seen, version: IndexVersion) -> float | None:
    """How near the nearest photo is: asked when a picture or a box is looked at, kept for what is refined of it."""
    what = f"{_edges(refinement.box)} {version.pk}"
    if refinement != Refinement(box=refinement.box) and (kept := derived.nearest(query.pk, what)):
        return kept[0]
    best = _best(query, seen, version)
    derived.keep_nearest(query.pk, what, best)
    return best


def facets(query: Query, refinement: Refinement, version: IndexVersion | None = None) -> Facets:
    """What a search could be narrowed to, with the number of products that each choice would leave."""
    return index_of(version or versions.live_version()).facets(_where(query, refinement))


def find_ranking(query: Query, key: str) -> Ranking:
    """A ranking that was frozen. Raises `QueryGone` if the cache has given it up."""
    frozen = derived.ranking(query.pk, key)
    if frozen is None:
        raise QueryGone(_("This list of results is no longer kept. Start again at its first page."))
    return Ranking(key, versions.live_version(), *frozen)


def page(query: Query, ranking: Ranking, refinement: Refinement, start: int = 0, size: int = DEFAULT_PAGE) -> Page:
    """The next `size` products of a ranking from a position on, those that may be seen now."""
    chosen: list[tuple[int, ProductImage, float]] = []
    position = start
    while len(chosen) < size and position < len(ranking):
        rows = ranking.rows[position : position + size + SPARE_ROWS]
        shown = _shown(rows, refinement.criteria)
        for _product, photo_id, score in rows:
            if len(chosen) == size:
                break
            position += 1
            if photo := shown.get(photo_id):
                chosen.append((position, photo, score))
    seen = _see(query, refinement.box, ranking.version)
    words = _matches(seen, [photo for _rank, photo, _score in chosen], ranking.version)
    results = [
        Result(photo.product, photo, score, match, rank)
        for (rank, photo, score), match in zip(chosen, words, strict=True)
    ]
    return Page(results, position if position < len(ranking) else None)


def _search(
    query: Query, seen: _Seen, refinement: Refinement, version: IndexVersion, *, at_most: int = LONGEST
) -> list[tuple[int, int, float]]:
    """Up to `at_most` products with their best photo and its score, best first."""
    style = versions.style_of(version, seen.embedding[np.newaxis])[0]
    if refinement.like or refinement.dislike:
        liked, disliked = (_styles(skus, version) for skus in (refinement.like, refinement.dislike))
        style = vectors.refine(style, liked, disliked)
    vector = vectors.scale(vectors.query(style, seen.colour, refinement.colour_weight))
    where = _where(query, refinement)
    k = at_most + NEAREST
    while True:
        hits = index_of(version).search(vector, k, where)
        best: dict[int, Hit] = {}
        for hit in hits:
            best.setdefault(hit.product_id, hit)
        if len(best) >= at_most or len(hits) < k:
            return [(hit.product_id, hit.photo_id, round(hit.score, 6)) for hit in islice(best.values(), at_most)]
        k *= 2


def _where(query: Query, refinement: Refinement) -> Filter:
    """The criteria, without the product that asks and those that the shopper does not want."""
    disliked = _products_of(refinement.dislike).values_list("pk", flat=True) if refinement.dislike else ()
    return refinement.criteria.where([*_asking(query), *disliked])


def _best(query: Query, seen: _Seen, version: IndexVersion) -> float | None:
    """The raw cosine of the nearest visible photo, without filters, without colour; None where there is none."""
    style = versions.style_of(version, seen.embedding[np.newaxis])[0]
    vector = vectors.scale(vectors.query(style, seen.colour, 0))
    where = Filter(visible_at=timezone.now(), exclude_products=frozenset(_asking(query)))
    hits = index_of(version).search(vector, NEAREST, where)
    digests = ProductImage.objects.filter(pk__in=[hit.photo_id for hit in hits]).values("sha256")
    stored = Embedding.objects.of(version).filter(digest__in=digests)
    found = Embedding.unpack(stored.values_list("embedding", flat=True))
    return float((found @ seen.embedding).max()) if len(found) else None


def _asking(query: Query) -> list[int]:
    """The product that asks, which is no answer to its own question."""
    return [] if query.photo is None else [query.photo.product_id]


def has_seen(query: Query, box: Box) -> bool:
    """Whether a box was looked at already, so that the model need not be asked."""
    return derived.box(query.pk, _look(box, versions.live_version())) is not None


@haste()
def _see(query: Query, box: Box | None, version: IndexVersion) -> _Seen:
    """What the version's model sees in a query, or in a box of it: it is called only if it has not seen that yet.

    What it has seen needs no model: it goes on being answered while the model is away.
    """
    current = (query.fingerprint, query.colours_version) == (version.fingerprint, version.colours_version)
    if box is None and current:
        packed = (bytes(query.embedding), bytes(query.colour))
    elif box is None:  # the index is of another model by now
        embedder = versions.embedder_of(version)
        fields = _fields(_blocks_of(query, embedder, None, version), embedder, version)
        Query.objects.filter(pk=query.pk).update(**fields)
        packed = (fields["embedding"], fields["colour"])
    elif (kept := derived.box(query.pk, _look(box, version))) is not None:
        packed = kept
    else:
        embedder = versions.embedder_of(version)
        fields = _fields(_blocks_of(query, embedder, box, version), embedder, version)
        packed = (fields["embedding"], fields["colour"])
        derived.keep_box(query.pk, _look(box, version), packed)
    embedding, colour = (Embedding.unpack([data])[0] for data in packed)
    return _Seen(vectors.unit(embedding), colour)


def _look(box: Box, version: IndexVersion) -> str:
    """Names a box as the model of a version sees it."""
    return f"{_edges(box)} {version.fingerprint} {version.colours_version}"


def _edges(box: Box | None) -> str:
    return "" if box is None else ",".join(f"{edge:.4f}" for edge in asdict(box).values())


def _blocks_of(query: Query, embedder: Embedder, box: Box | None, version: IndexVersion) -> Blocks:
    """What the model is shown of a query's picture."""
    file = query.photo.file if query.photo is not None else query.picture
    try:
        with file.open() as opened:
            data = opened.read()
    except FileNotFoundError as error:
        raise QueryGone(_("The picture of this search was deleted. Search again with the picture.")) from error
    # It was accepted once: of a long strip, what is stored is narrower than what a shopper may send.
    limits = replace(images.Limits.from_settings(), min_side=1)
    side = pictures.short_side(embedder.size, box)
    with images.reading(data, short_side=side, limits=limits, wait=images.REQUEST_WAIT) as picture:
        return blocks(picture.image, embedder.size, version.colours_version, box)


def _styles(skus: Sequence[str], version: IndexVersion) -> npt.NDArray[np.float32]:
    """The style of each product's first photo that search knows, (n, w)."""
    photos = ProductImage.objects.filter(product__in=_products_of(skus)).order_by("product_id", "position", "pk")
    contents = list(photos.values_list("product_id", "sha256"))
    known = _embeddings({digest for _product, digest in contents}, version)
    first: dict[int, bytes] = {}
    for product_id, digest in contents:
        if digest in known:
            first.setdefault(product_id, known[digest])
    if not first:
        return np.zeros((0, 0), np.float32)
    return versions.style_of(version, Embedding.unpack(first.values()))


def _matches(seen: _Seen, photos: Sequence[ProductImage], version: IndexVersion) -> list[Match]:
    """How alike each photo and the query are, in words, by their raw embeddings."""
    known = _embeddings([photo.sha256 for photo in photos], version)
    found = [photo.sha256 for photo in photos if photo.sha256 in known]
    if not found:
        return [Match.NONE] * len(photos)
    cosines = dict(zip(found, Embedding.unpack(known[digest] for digest in found) @ seen.embedding, strict=True))
    return [
        version.calibration.match(float(cosines[photo.sha256])) if photo.sha256 in cosines else Match.NONE
        for photo in photos
    ]


def _embeddings(digests: Iterable[str], version: IndexVersion) -> dict[str, bytes]:
    """The stored embeddings of contents by their digests, as far as there are any."""
    stored = Embedding.objects.of(version, digests)
    return {digest: bytes(data) for digest, data in stored.values_list("digest", "embedding")}


def _shown(rows: Sequence[tuple[int, int, float]], criteria: Criteria) -> Mapping[int, ProductImage]:
    """The photos of these rows whose products may be seen now and meet the criteria, with their products."""
    products, photo_ids, _scores = zip(*rows, strict=True)
    shown = criteria.products().filter(pk__in=products).order_by()
    photos = ProductImage.objects.select_related("product__category", "product__brand")
    photos = photos.defer("product__description", "product__attributes")
    return photos.filter(product__in=shown).in_bulk(photo_ids)


def _products_of(skus: Sequence[str]) -> ProductQuerySet:
    """The products of SKUs. One that shoppers may not see counts as none: nothing is to be learned of it."""
    return Product.objects.visible().filter(sku__in=skus).order_by()
