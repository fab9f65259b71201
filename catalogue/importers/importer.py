"""Brings records into the catalogue, in batches: each one is a short transaction, and all of it goes in or none.

Photos are read, decoded and stored by threads before the transaction begins, so that the database (of which
SQLite has one writer) is held for milliseconds. A photo whose content a product has already is not even decoded.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from catalogue import files, images
from catalogue.importers.budget import ProcessorBudget
from catalogue.importers.records import Difference, PhotoSource, ProductRecord, Reject, StoredPhoto
from catalogue.importers.taxonomy import Taxonomy
from catalogue.models import Product, ProductImage, remove_unused

logger = logging.getLogger(__name__)

BATCH = 64
"""Products of a transaction: few enough to be quick, enough for its costs not to count."""

ATTEMPTS = 3
"""Tries of a batch that met another writer."""


@dataclass
class Summary:
    """What an import has done so far."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    photos: int = 0
    """Photos of those products in the source, new or not."""
    photos_added: int = 0
    photos_removed: int = 0
    rejected: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    @property
    def products(self) -> int:
        return self.created + self.updated + self.unchanged

    @property
    def photos_per_second(self) -> float:
        return self.photos / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class _Content:
    """A photo's content: its digest and, where it is new to its product, its size in pixels and its stored files."""

    sha256: str
    width: int = 0
    height: int = 0
    names: dict[str, str] = field(default_factory=dict)
    """By column."""
    stripped: bool = False
    """Whether the stored original is without metadata."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A record whose photos have been read."""

    record: ProductRecord
    photos: tuple[tuple[_Content, str | None], ...]
    """Each with its alternative text, if the source speaks of it."""
    rejects: tuple[Reject, ...]


@dataclass
class _Changes:
    """What a batch comes to."""

    created: list[Product] = field(default_factory=list)
    changed: list[Product] = field(default_factory=list)
    """Products with other values than before."""
    fields: set[str] = field(default_factory=set)
    """Which fields of theirs."""
    updated: int = 0
    """Products with other values or other photos than before."""
    unchanged: int = 0
    photos: int = 0
    photos_added: list[ProductImage] = field(default_factory=list)
    photos_moved: list[ProductImage] = field(default_factory=list)
    photos_removed: list[ProductImage] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def write(self) -> None:
        """In as many queries whatever the size of the batch."""
        if self.created:
            Product.objects.bulk_create(self.created)
        if self.changed:
            now = timezone.now()
            for product in self.changed:
                product.modified = now
            Product.objects.bulk_update(self.changed, [*sorted(self.fields), "modified"])
        if self.photos_removed:
            ProductImage.objects.filter(pk__in=[photo.pk for photo in self.photos_removed]).delete()
        if self.photos_moved:
            ProductImage.objects.bulk_update(self.photos_moved, ["position", "alt"])
        if self.photos_added:
            ProductImage.objects.bulk_create(self.photos_added)


class Importer:
    """Upserts products by SKU and their photos by content.

    `reject` is called with what was left out; `on_batch` after each batch, with the keys of the photos that it
    added; `on_difference` for each product, with what becomes of it. `workers` photos are read at once. A
    `dry_run` does everything but the storing, and rolls each transaction back. `budget` ends what costs too much.
    """

    def __init__(
        self,
        *,
        reject: Callable[[Reject], None],
        on_batch: Callable[[list[int]], None] = lambda ids: None,
        on_difference: Callable[[Difference], None] = lambda difference: None,
        batch: int = BATCH,
        workers: int | None = None,
        dry_run: bool = False,
        budget: ProcessorBudget | None = None,
    ) -> None:
        self.budget = budget or ProcessorBudget(math.inf)
        self.reject = reject
        self.on_batch = on_batch
        self.on_difference = on_difference
        self.batch = batch
        self.workers = workers or _workers()
        self.dry_run = dry_run
        self.summary = Summary(dry_run=dry_run)
        self._taxonomy = Taxonomy()
        self._language = translation.get_language()

    def run(self, records: Iterable[ProductRecord | Reject]) -> Summary:
        """Import them all; memory does not grow with their number.

        Whatever ends it early (a KeyboardInterrupt, a full disk, `BudgetSpent`) leaves whole batches in the
        catalogue, removes the files of the unfinished one, and is raised. A second run goes on, as what is there is
        left alone.
        """
        start = time.monotonic()
        accepted = self._accepted(records)
        try:
            with ThreadPoolExecutor(self.workers, "import") as pool:
                more = True
                while more:
                    with self.budget.spending():
                        batch = list(islice(accepted, self.batch))
                        if more := bool(batch):
                            self._import(batch, pool)
                    self.summary.seconds = time.monotonic() - start
        finally:
            accepted.close()  # by this thread, to which its database belongs
            self.summary.seconds = time.monotonic() - start
        return self.summary

    def _accepted(self, records: Iterable[ProductRecord | Reject]) -> Generator[ProductRecord]:
        """The records that are none of them rejects, each SKU once: of two rows, which one would be right?"""
        with closing(_Seen()) as seen:
            for record in records:
                if isinstance(record, Reject):
                    self._reject(record)
                elif earlier := seen.add(record.sku, record.where):
                    reason = _("This SKU is already in %(place)s. Take one of them out.") % {"place": earlier}
                    self._reject(Reject(record.where, reason, record.sku))
                else:
                    yield record

    def _reject(self, reject: Reject) -> None:
        self.summary.rejected += 1
        self.reject(reject)

    def _import(self, batch: list[ProductRecord], pool: ThreadPoolExecutor) -> None:
        stored: list[str] = []
        try:
            drafts = self._drafts(batch, pool, stored)
            outcomes = self._write(drafts)
            used = {
                name
                for changes in outcomes
                for photo in changes.photos_added
                for name in (getattr(photo, column).name for column in files.COLUMNS)
            }
            files.remove(set(stored) - used)
        except BaseException:
            # Nothing is stored any more once the pool has ended: an interrupt may have fallen between a photo's
            # being handed to it and its being known here. It may also fall behind the commit, so the database is
            # asked which files are in use.
            pool.shutdown(cancel_futures=True)
            remove_unused(stored)
            raise
        for changes in outcomes:
            self._count(changes)
        if not self.dry_run:
            self.on_batch([photo.pk for changes in outcomes for photo in changes.photos_added])

    def _count(self, changes: _Changes) -> None:
        self.summary.created += len(changes.created)
        self.summary.updated += changes.updated
        self.summary.unchanged += changes.unchanged
        self.summary.photos += changes.photos
        self.summary.photos_added += len(changes.photos_added)
        self.summary.photos_removed += len(changes.photos_removed)
        for reject in changes.rejects:
            self._reject(reject)
        for difference in changes.differences:
            self.on_difference(difference)

    # Before the transaction ---------------------------------------------------------------------------------

    def _drafts(
        self,
        batch: list[ProductRecord],
        pool: ThreadPoolExecutor,
        stored: list[str],
    ) -> list[_Draft]:
        held: defaultdict[str, set[str]] = defaultdict(set)
        rows = ProductImage.objects.filter(product__sku__in=[record.sku for record in batch])
        for sku, sha256 in rows.order_by().values_list("product__sku", "sha256"):
            held[sku].add(sha256)
        reading = []
        for record in batch:
            own = [pool.submit(self._content, photo, held[record.sku], stored) for photo in record.photos or ()]
            reading.append((record, own))
        return [_draft(record, own) for record, own in reading]

    def _content(self, source: PhotoSource, held: set[str], stored: list[str]) -> _Content:
        """Read, check and store a photo; runs in a thread. Raises `ImageRefused`, or `BudgetSpent`."""
        # A thread has no language, and refusals are sentences.
        with translation.override(self._language), self.budget.spending():
            # What is stored may be without metadata by now: its name says what was received.
            sha256 = files.digest(source.name) if isinstance(source, StoredPhoto) else ""
            if sha256 in held:
                return _Content(sha256)
            data = source.read()
            sha256 = sha256 or hashlib.sha256(data).hexdigest()
            if sha256 in held:
                return _Content(sha256)
            prepared = files.prepare(data, sha256)
        names: dict[str, str] = {}
        for column, wanted, content in prepared.files:
            if self.dry_run:
                names[column] = wanted
            else:
                names[column] = default_storage.save(wanted, ContentFile(content))
                stored.append(names[column])
        names.setdefault("large", names["thumbnail"])
        return _Content(sha256, prepared.width, prepared.height, names, prepared.stripped)

    # In the transaction -------------------------------------------------------------------------------------

    def _write(self, drafts: list[_Draft]) -> list[_Changes]:
        """Write a batch; a record that the database refuses is found by itself, and fails alone."""
        try:
            return [self._try(drafts)]
        except (IntegrityError, DataError) as error:
            if len(drafts) > 1:
                return [changes for draft in drafts for changes in self._write([draft])]
            record = drafts[0].record
            return [
                _Changes(
                    rejects=[
                        Reject(
                            record.where,
                            _("The database refuses this product: %(reason)s") % {"reason": error},
                            record.sku,
                        )
                    ]
                )
            ]

    def _try(self, drafts: list[_Draft]) -> _Changes:
        """Write a batch, again if another writer came first: then its products are there and are compared."""
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._transaction(drafts)
            except (IntegrityError, OperationalError) as error:
                logger.info("A batch met another writer and is tried again: %s", error)
        return self._transaction(drafts)

    def _transaction(self, drafts: list[_Draft]) -> _Changes:
        committed = False
        try:
            with transaction.atomic():
                changes = self._compare(drafts)
                changes.write()
                if self.dry_run:
                    transaction.set_rollback(True)
            committed = not self.dry_run
        finally:
            if not committed:
                self._taxonomy.forget()
        return changes

    def _compare(self, drafts: list[_Draft]) -> _Changes:
        """What has to be written for the catalogue to be as the drafts say."""
        skus = [draft.record.sku for draft in drafts]
        # Ordered, so that two imports that meet wait for each other and never block each other.
        products = {p.sku: p for p in Product.objects.select_for_update().filter(sku__in=skus).order_by("pk")}
        photos: defaultdict[int, list[ProductImage]] = defaultdict(list)
        for photo in ProductImage.objects.filter(product__in=[p.pk for p in products.values()]):
            photos[photo.product_id].append(photo)
        changes = _Changes()
        for draft in drafts:
            changes.rejects += draft.rejects
            product = products.get(draft.record.sku)
            try:
                if product is None:
                    self._compare_new(draft, changes)
                else:
                    self._compare_existing(draft, product, photos[product.pk], changes)
            except ValidationError as error:
                record = draft.record
                changes.rejects.append(Reject(record.where, " ".join(error.messages), record.sku))
        return changes

    def _compare_new(self, draft: _Draft, changes: _Changes) -> None:
        record = draft.record
        if record.photos and not draft.photos:
            return  # its rejects say so
        product = Product(sku=record.sku)
        self._set(product, record)
        if not product.title:
            raise ValidationError(_("The title is missing; a new product needs one."))
        _check_period(product)
        changes.created.append(product)
        counts = _compare_photos(draft, product, [], changes)
        changes.differences.append(Difference(record, True, product.title, {}, *counts))

    def _compare_existing(
        self, draft: _Draft, product: Product, photos: list[ProductImage], changes: _Changes
    ) -> None:
        changed: dict[str, tuple[Any, Any]] = {}
        if draft.record.overwrite:
            changed = self._set(product, draft.record)
            _check_period(product)
        if changed:
            changes.fields |= changed.keys()
            changes.changed.append(product)
        counts = _compare_photos(draft, product, photos, changes)
        if any(counts) or changed:
            changes.updated += 1
        else:
            changes.unchanged += 1
        changes.differences.append(Difference(draft.record, False, product.title, changed, *counts))

    def _set(self, product: Product, record: ProductRecord) -> dict[str, tuple[Any, Any]]:
        """Give a product what a record says; returns the fields that this changes, each before and after."""
        values: dict[str, Any] = dict(record.values)
        if "category" in values:
            values["category_id"] = self._taxonomy.category(values.pop("category"))
        if "brand" in values:
            values["brand_id"] = self._taxonomy.brand(values.pop("brand"))
        if record.named_attributes:
            attributes = {**values.get("attributes", product.attributes), **record.named_attributes}
            values["attributes"] = {
                name: value for name, value in attributes.items() if record.named_attributes.get(name) != ""
            }
        changed = {}
        for name, value in values.items():
            before = getattr(product, name)
            if before != value:
                setattr(product, name, value)
                changed[name.removesuffix("_id")] = (self._shown(name, before), self._shown(name, value))
        return changed

    def _shown(self, name: str, value: Any) -> Any:
        """A field's value as a person may read it."""
        match name:
            case "category_id":
                return self._taxonomy.path(value)
            case "brand_id":
                return self._taxonomy.brand_name(value)
        return value


def _draft(record: ProductRecord, futures: list[Future[_Content]]) -> _Draft:
    photos: dict[str, tuple[_Content, str | None]] = {}
    refusals: list[tuple[PhotoSource, str]] = []
    alts = (*(record.alts or ()), *[""] * len(futures)) if record.alts is not None else [None] * len(futures)
    for source, alt, future in zip(record.photos or (), alts, futures, strict=False):
        try:
            content = future.result()
        except images.ImageRefused as error:
            refusals.append((source, str(error)))
        else:
            photos.setdefault(content.sha256, (content, alt))  # the same picture twice is one photo
    return _Draft(
        record,
        tuple(photos.values()),
        tuple(Reject(record.where, reason, record.sku, source.name) for source, reason in refusals),
    )


def _compare_photos(
    draft: _Draft, product: Product, held: list[ProductImage], changes: _Changes
) -> tuple[int, int, int]:
    """Note what happens to a product's photos; returns how many are added, moved and removed."""
    record = draft.record
    changes.photos += len(draft.photos)
    if record.photos is None:
        return 0, 0, 0
    before = len(changes.photos_added), len(changes.photos_moved), len(changes.photos_removed)
    by_digest = {photo.sha256: photo for photo in held}
    # Where the product is to be left as it is, a photo that it lacks comes after those that it has.
    first = 0 if record.overwrite else max((photo.position + 1 for photo in held), default=0)
    for position, (content, alt) in enumerate(draft.photos, first):
        photo = by_digest.pop(content.sha256, None)
        if photo is not None:
            wanted = (position, photo.alt if alt is None else alt)
            if record.overwrite and (photo.position, photo.alt) != wanted:
                photo.position, photo.alt = wanted
                changes.photos_moved.append(photo)
        elif content.names:
            changes.photos_added.append(
                ProductImage(
                    product=product,
                    position=position,
                    alt=alt or "",
                    width=content.width,
                    height=content.height,
                    sha256=content.sha256,
                    stripped=content.stripped,
                    **content.names,
                )
            )
        else:
            reason = _("Someone removed this photo during the import. Import the same again to bring it in.")
            changes.rejects.append(Reject(record.where, reason, record.sku))
    if record.overwrite and not draft.rejects:
        # With a photo unread, a listing is not whole: a folder that is away must not empty the shop.
        changes.photos_removed += by_digest.values()
    after = len(changes.photos_added), len(changes.photos_moved), len(changes.photos_removed)
    added, moved, removed = (now - then for now, then in zip(after, before, strict=True))
    return added, moved, removed


def _check_period(product: Product) -> None:
    """Of two dates, one may be the row's and the other the database's. Raises ValidationError."""
    start, end = product.visible_from, product.visible_until
    if start and end and start >= end:
        raise ValidationError(
            _(
                "visible_from is %(start)s UTC and visible_until %(end)s UTC; "
                "a product must become visible before it ceases to be."
            )
            % {"start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}"}
        )


def _workers() -> int:
    """Twice the processors that this process may use: half of the threads may wait for files or the network."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * usable


class _Seen:
    """Which SKUs a source has had, and where; kept in a temporary file of SQLite's once they are many."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (sku TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")

    def add(self, sku: str, place: str) -> str | None:
        """Remember a SKU; if it was there, returns where."""
        try:
            self._database.execute("INSERT INTO seen VALUES (?, ?)", (sku, place))
        except sqlite3.IntegrityError:
            row = self._database.execute("SELECT place FROM seen WHERE sku = ?", (sku,)).fetchone()
            return str(row[0])
        return None

    def close(self) -> None:
        self._database.close()
