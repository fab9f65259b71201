"""Imports records into the catalogue in batches, each in one short transaction.

Threads read, decode and store the photos before the transaction begins, so that SQLite's one writer is busy for
milliseconds only. A photo that its product has already is not decoded.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from catalogue import files, images
from catalogue.importers.changes import Changes, Content, Draft, compare
from catalogue.importers.records import Difference, PhotoSource, ProductRecord, Reject, SourceRefused, StoredPhoto
from catalogue.importers.taxonomy import Taxonomy
from catalogue.models import ProductImage, remove_unused

logger = logging.getLogger(__name__)

BATCH = 64
"""Products of one transaction."""

ATTEMPTS = 3
"""Attempts to write a batch that conflicts with another writer."""


@dataclass
class Summary:
    """The figures of an import so far."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    photos: int = 0
    """Photos of these products in the source, new or not."""
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


class BudgetSpent(SourceRefused):
    """An import has used all of its processor time."""


class ProcessorBudget:
    """Processor seconds of all threads of one import."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent = 0.0
        self._lock = Lock()

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the processor time of a block. Raises `BudgetSpent` if nothing is left when it begins."""
        if self.spent >= self.seconds:
            raise BudgetSpent(
                _(
                    "This takes more than %(limit)d seconds of processor time, too much for a web page. Split the "
                    "files, or import them with the command import_catalogue."
                )
                % {"limit": self.seconds}
            )
        start = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.spent += time.thread_time() - start


class Importer:
    """Upserts products by SKU and their photos by content.

    `reject` is called for each record or photo that is left out, `on_batch` after each batch with the keys of the
    photos that it added, `on_difference` for each product, `on_photo` for each photo that was read. `workers` photos
    are read at once. A `dry_run` stores no files and rolls each transaction back. `budget` stops an import that costs
    too much.
    """

    def __init__(
        self,
        *,
        reject: Callable[[Reject], None],
        on_batch: Callable[[list[int]], None] = lambda ids: None,
        on_difference: Callable[[Difference], None] = lambda difference: None,
        on_photo: Callable[[], None] = lambda: None,
        batch: int = BATCH,
        workers: int | None = None,
        dry_run: bool = False,
        budget: ProcessorBudget | None = None,
    ) -> None:
        self.budget = budget or ProcessorBudget(math.inf)
        self.reject = reject
        self.on_batch = on_batch
        self.on_difference = on_difference
        self.on_photo = on_photo
        self.batch = batch
        self.workers = workers or _workers()
        self.dry_run = dry_run
        self.summary = Summary(dry_run=dry_run)
        self._taxonomy = Taxonomy()
        self._language = translation.get_language()

    def run(self, records: Iterable[ProductRecord | Reject]) -> Summary:
        """Import all records; memory does not grow with their number.

        An error (a KeyboardInterrupt, a full disk, `BudgetSpent`) keeps the finished batches, removes the files of
        the unfinished one, and is raised. A second run continues: existing photos are left alone.
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
            accepted.close()  # in this thread: SQLite connections belong to their thread
            self.summary.seconds = time.monotonic() - start
        return self.summary

    def _accepted(self, records: Iterable[ProductRecord | Reject]) -> Generator[ProductRecord]:
        """The records that are not rejects. A SKU is taken once; later ones are rejected."""
        with closing(_SeenSkus()) as seen:
            for record in records:
                if isinstance(record, Reject):
                    self._reject(record)
                elif earlier := seen.add(record.sku, record.where):
                    reason = _("This SKU is already in %(place)s. Remove one of them.") % {"place": earlier}
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
            # Wait for the pool first: a thread may still be storing a photo. The interrupt may also come after the
            # commit, so the database says which files are in use.
            pool.shutdown(cancel_futures=True)
            remove_unused(stored)
            raise
        for changes in outcomes:
            self._count(changes)
        if not self.dry_run:
            self.on_batch([photo.pk for changes in outcomes for photo in changes.photos_added])

    def _count(self, changes: Changes) -> None:
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

    def _drafts(self, batch: list[ProductRecord], pool: ThreadPoolExecutor, stored: list[str]) -> list[Draft]:
        held: defaultdict[str, set[str]] = defaultdict(set)
        rows = ProductImage.objects.filter(product__sku__in=[record.sku for record in batch])
        for sku, sha256 in rows.order_by().values_list("product__sku", "sha256"):
            held[sku].add(sha256)
        reading = []
        for record in batch:
            own = [pool.submit(self._content, photo, held[record.sku], stored) for photo in record.photos or ()]
            reading.append((record, own))
        for _record, own in reading:
            for photo in own:
                wait([photo])
                self.on_photo()
        return [_draft(record, own) for record, own in reading]

    def _content(self, source: PhotoSource, held: set[str], stored: list[str]) -> Content:
        """Read, check and store a photo; runs in a thread. Raises `ImageRefused`, or `BudgetSpent`."""
        # A thread has no language of its own, and refusals are translated.
        with translation.override(self._language), self.budget.spending():
            # The stored file may be without metadata; its name has the digest of the received bytes.
            sha256 = files.digest(source.name) if isinstance(source, StoredPhoto) else ""
            if sha256 in held:
                return Content(sha256)
            data = source.read()
            sha256 = sha256 or hashlib.sha256(data).hexdigest()
            if sha256 in held:
                return Content(sha256)
            prepared = files.prepare(data, sha256)
        names: dict[str, str] = {}
        for column, wanted, content in prepared.files:
            if self.dry_run:
                names[column] = wanted
            else:
                names[column] = default_storage.save(wanted, ContentFile(content))
                stored.append(names[column])
        names.setdefault("large", names["thumbnail"])
        return Content(sha256, prepared.width, prepared.height, names, prepared.stripped)

    # In the transaction -------------------------------------------------------------------------------------

    def _write(self, drafts: list[Draft]) -> list[Changes]:
        """Write a batch. If the database refuses it, write each record alone, so that only the bad one fails."""
        try:
            return [self._try(drafts)]
        except (IntegrityError, DataError) as error:
            if len(drafts) > 1:
                return [changes for draft in drafts for changes in self._write([draft])]
            record = drafts[0].record
            return [
                Changes(
                    rejects=[
                        Reject(
                            record.where,
                            _("The database refuses this product: %(reason)s") % {"reason": error},
                            record.sku,
                        )
                    ]
                )
            ]

    def _try(self, drafts: list[Draft]) -> Changes:
        """Write a batch; try again if another writer interfered."""
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._transaction(drafts)
            except (IntegrityError, OperationalError) as error:
                logger.info("Trying a batch again after a conflict: %s", error)
        return self._transaction(drafts)

    def _transaction(self, drafts: list[Draft]) -> Changes:
        committed = False
        try:
            with transaction.atomic():
                changes = compare(drafts, self._taxonomy)
                changes.write()
                if self.dry_run:
                    transaction.set_rollback(True)
            committed = not self.dry_run
        finally:
            if not committed:
                self._taxonomy.forget()
        return changes


def _draft(record: ProductRecord, futures: list[Future[Content]]) -> Draft:
    photos: dict[str, tuple[Content, str | None]] = {}
    refusals: list[tuple[PhotoSource, str]] = []
    alts = (*(record.alts or ()), *[""] * len(futures)) if record.alts is not None else [None] * len(futures)
    for source, alt, future in zip(record.photos or (), alts, futures, strict=False):
        try:
            content = future.result()
        except images.ImageRefused as error:
            refusals.append((source, str(error)))
        else:
            photos.setdefault(content.sha256, (content, alt))  # the same picture twice is one photo
    return Draft(
        record,
        tuple(photos.values()),
        tuple(Reject(record.where, reason, record.sku, source.name) for source, reason in refusals),
    )


def _workers() -> int:
    """Twice the usable processors: threads wait for files or the network half of the time."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * usable


class _SeenSkus:
    """The SKUs of a source and their places, in a temporary SQLite database that uses a file when it grows."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (sku TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")

    def add(self, sku: str, place: str) -> str | None:
        """Remember a SKU; returns the place of an earlier one."""
        try:
            self._database.execute("INSERT INTO seen VALUES (?, ?)", (sku, place))
        except sqlite3.IntegrityError:
            row = self._database.execute("SELECT place FROM seen WHERE sku = ?", (sku,)).fetchone()
            return str(row[0])
        return None

    def close(self) -> None:
        self._database.close()
