"""What is asked: a picture, the picture at an address, or a product -> a `Query`, which holds its embedding.

A refinement calls the model only for a new box. What is asked of a stored query needs no model at all, so it is
answered while the model is unavailable.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue import fetching, images
from catalogue.files import StorageError
from catalogue.models import Product
from search.exceptions import FetchesBusy, NotIndexed, QueryGone
from search.models import Embedding, IndexVersion, Query, QueryMemo
from search.versions import embedder_of, live_version
from search.vision import pictures, vectors
from search.vision.blocks import Blocks, blocks
from search.vision.embedders import Embedder
from search.vision.embedders.deadline import request_deadline
from search.vision.pictures import Box

logger = logging.getLogger(__name__)

#: The longer side of a stored query picture, in pixels: ample for a crop box at the model's size.
STORED_SIDE = 1_280
#: Pictures that a process fetches at once for shoppers: other people's slow sites must not hold all of its threads.
MOST_FETCHES = 4
#: Seconds after which an address is refused that leads to no public site: longer than name servers take to answer.
REFUSED_AFTER = 1.0
#: How long the address of a deleted query still says that it is gone.
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True)
class QueryVectors:
    """The embedding and the colour block of a query's picture or of a box of it, unit rows of float32."""

    embedding: npt.NDArray[np.float32]
    colour: npt.NDArray[np.float32]

    @classmethod
    def unpack(cls, embedding: bytes, colour: bytes) -> QueryVectors:
        return cls(vectors.unit(Embedding.unpack([embedding])[0]), Embedding.unpack([colour])[0])


# Making a query ---------------------------------------------------------------------------------------------


@request_deadline()
def from_picture(data: bytes) -> Query:
    """Make a query of a picture's bytes. Raises `images.ImageRefused` and what the model raises."""
    query, stored = _read(data, live_version(), keep=True)
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


def from_address(address: str) -> Query:
    """Make a query of the picture at an address. Raises what `fetch` and `from_picture` raise."""
    return from_picture(fetch(address))


def from_product(product: Product) -> Query:
    """Make a query from a product's first indexed photo. Raises `NotIndexed` if it has none."""
    query = unsaved_of_product(product, live_version())
    query.save(force_insert=True)
    return query


def unsaved_of_picture(data: bytes, version: IndexVersion) -> Query:
    """A query that is not saved and keeps no picture. Raises what `from_picture` raises."""
    return _read(data, version, keep=False)[0]


def unsaved_of_product(product: Product, version: IndexVersion) -> Query:
    """A query of a product that is not saved. Raises `NotIndexed`."""
    photos = {photo.sha256: photo for photo in product.photos.all()}
    known = {row.digest: row for row in Embedding.objects.of(version, photos)}
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
    raise NotIndexed(_("The product %(sku)s has no indexed photo yet. Try again in a minute.") % {"sku": product.sku})


def _read(data: bytes, version: IndexVersion, *, keep: bool) -> tuple[Query, bytes]:
    """A query of a picture's bytes in the space of a version, not saved, and the JPEG to store if it is kept."""
    embedder = embedder_of(version)
    # Decoded once, at the scale that storing it takes: the model's square is cut from the same pixels.
    side = max(pictures.short_side(embedder.size), STORED_SIDE // 2)
    with images.reading(data, short_side=side, wait=images.REQUEST_WAIT) as picture:
        query = Query(width=picture.width, height=picture.height)
        seen = blocks(picture.image, embedder.size, version.colours_version)
        stored = images.encode(picture.image, STORED_SIDE) if keep else b""
    del picture  # it may be large, and a remote model takes its time
    query.fingerprint, query.colours_version, query.colours = (
        embedder.fingerprint,
        version.colours_version,
        seen.names,
    )
    query.embedding, query.colour = _embed(seen, embedder)
    return query, stored


def _embed(seen: Blocks, embedder: Embedder) -> tuple[bytes, bytes]:
    return Embedding.pack(embedder.embed(seen.square[np.newaxis])[0]), Embedding.pack(seen.colour)


def fetch(address: str) -> bytes:
    """The bytes at an address that a shopper gives. Raises `fetching.FetchRefused` and `FetchesBusy`.

    An address that leads to no public site is refused after `REFUSED_AFTER`, whether its name is unknown or one of
    the internal network.
    """
    if not _fetches.acquire(blocking=False):
        raise FetchesBusy("As many pictures as may be fetched at once are being fetched.")
    began = time.monotonic()
    try:
        return fetching.fetch(address)
    except fetching.NotPublic:
        time.sleep(max(0.0, began + REFUSED_AFTER - time.monotonic()))
        raise
    finally:
        _fetches.release()


_fetches = threading.BoundedSemaphore(MOST_FETCHES)


# Stored queries ---------------------------------------------------------------------------------------------


def find(pk: UUID | str) -> Query:
    """A query that can still be asked. Raises `Query.DoesNotExist`, or `QueryGone` for one that was.

    A query of a product is gone while shoppers may not see that product.
    """
    shown = Exists(Product.objects.visible().filter(pk=OuterRef("photo__product")).order_by())
    query = Query.objects.select_related("photo__product").annotate(product_shown=shown).get(pk=pk)
    if query.gone or (query.photo_id and not query.product_shown):  # type: ignore[attr-defined]  # as annotated
        raise QueryGone(_("This search has expired and its picture was deleted. Search again with the picture."))
    return query


def delete_expired() -> int:
    """Delete the pictures of queries that have expired, and memos of an hour ago; returns how many pictures.

    While the storage is unavailable they stay expired, and the next call continues.
    """
    QueryMemo.objects.expired().delete()
    count = 0
    # In batches read whole: SQLite refuses a write in the middle of a read.
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


# What the model sees in it ----------------------------------------------------------------------------------


def has_vectors(query: Query, box: Box, version: IndexVersion) -> bool:
    """Whether a box was embedded before, so that the model need not be asked."""
    return QueryMemo.objects.find(query, QueryMemo.Kind.BOX, _name(box, version)) is not None


@request_deadline()
def query_vectors(query: Query, box: Box | None, version: IndexVersion) -> QueryVectors:
    """A query, or a box of it, in the space of a version. The model is called only for what it has not seen yet."""
    if box is not None:
        return _box_vectors(query, box, version)
    if (query.fingerprint, query.colours_version) != (version.fingerprint, version.colours_version):
        # Another model has gone live since.
        embedder = embedder_of(version)
        seen = _blocks(query, None, version, embedder)
        query.embedding, query.colour = _embed(seen, embedder)
        query.fingerprint, query.colours_version = embedder.fingerprint, version.colours_version
        query.colours = seen.names
        Query.objects.filter(pk=query.pk).update(
            embedding=query.embedding,
            colour=query.colour,
            fingerprint=query.fingerprint,
            colours_version=query.colours_version,
            colours=query.colours,
        )
    return QueryVectors.unpack(bytes(query.embedding), bytes(query.colour))


def _box_vectors(query: Query, box: Box, version: IndexVersion) -> QueryVectors:
    name = _name(box, version)
    if (kept := QueryMemo.objects.find(query, QueryMemo.Kind.BOX, name)) is not None:
        length = int.from_bytes(kept[:4], "big")
        return QueryVectors.unpack(kept[4 : 4 + length], kept[4 + length :])
    embedder = embedder_of(version)
    embedding, colour = _embed(_blocks(query, box, version, embedder), embedder)
    QueryMemo.objects.keep(query, QueryMemo.Kind.BOX, name, len(embedding).to_bytes(4, "big") + embedding + colour)
    return QueryVectors.unpack(embedding, colour)


def _name(box: Box, version: IndexVersion) -> str:
    """Names a box as the model of a version sees it."""
    return f"{edges(box)} {version.fingerprint} {version.colours_version}"


def edges(box: Box | None) -> str:
    return "" if box is None else ",".join(f"{edge:.4f}" for edge in asdict(box).values())


def _blocks(query: Query, box: Box | None, version: IndexVersion, embedder: Embedder) -> Blocks:
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
