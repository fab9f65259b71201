"""The write path: what is pending -> embedded -> in the index.

Every function here may run twice, late, in several processes at once, or be interrupted: entries are claimed for the
time of a lease, embeddings are stored once per content, and an index keeps the document of the highest generation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import ProductImage
from search.exceptions import DocumentsRejected, VectorIndexError
from search.indexes import index_of
from search.indexes.base import Document
from search.models import Embedding, IndexEntry, IndexVersion
from search.versions import style_of
from search.vision import vectors
from search.writing import ledger, throughput
from search.writing.embedding import Failure, Kind, Progress, embed

logger = logging.getLogger(__name__)

#: Photos claimed at a time: enough to keep the model busy, few enough to hold their squares (150 KB each).
CLAIM = 256
#: Longer than any claim takes; the entries of a dead worker come back after it.
LEASE = timedelta(minutes=10)
#: How many workers may crash on an entry. At the last one the entry was alone.
MOST_CRASHES = 3
#: How often a file is asked for that the storage refuses while it gives out others. Then its photo fails.
MOST_REFUSALS = 3
#: A build waits for what is tried again so soon: the longest pause of a file that is refused is shorter.
SOON = ledger.FIRST_PAUSE * 2**MOST_REFUSALS

StageProgress: TypeAlias = Callable[[str, int, int], object]
"""Called with the name of a stage, the photos done and the photos in all."""


@dataclass
class Outcome:
    """What a run of the write path did, in photos."""

    indexed: int = 0
    gone: int = 0
    failed: int = 0
    postponed: int = 0
    #: of the postponed ones, those whose own file the storage refuses: this says nothing about the others
    refused: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.indexed + other.indexed,
            self.gone + other.gone,
            self.failed + other.failed,
            self.postponed + other.postponed,
            self.refused + other.refused,
        )

    @property
    def total(self) -> int:
        return self.indexed + self.gone + self.failed + self.postponed

    @property
    def nothing_done(self) -> bool:
        """Whether all of it was postponed because the model, the index or the storage is unavailable."""
        return self.postponed == self.total and self.refused < self.postponed


class Result(NamedTuple):
    """A claimed entry whose photo exists, and what became of its content."""

    entry: IndexEntry
    photo: ProductImage
    embedded: Embedding | Failure

    def failed(self, kind: Kind) -> bool:
        return isinstance(self.embedded, Failure) and self.embedded.kind is kind


def reconcile(report: StageProgress | None = None) -> Outcome:
    """Bring every version up to date: what is pending, due for another try, or left by a dead worker.

    `report` is called with the stage `index`.
    """
    ledger.add_missing(ledger.ensure_live_version())
    written = IndexVersion.objects.writable().values("pk")
    return sync(progress=_counter(report, IndexEntry.objects.due().filter(version__in=written).count()))


def sync(ids: Iterable[int] | None = None, progress: Progress | None = None, limit: int | None = None) -> Outcome:
    """Index the pending ones of these photos (all by default) in every version that is written to.

    `limit` ends the run after about that many photos of each version.
    """
    chosen = None if ids is None else sorted(set(ids))
    outcome = Outcome()
    for version in IndexVersion.objects.writable():
        outcome += sync_version(version, chosen, progress, limit)
    return outcome


def sync_version(
    version: IndexVersion,
    ids: Sequence[int] | None = None,
    progress: Progress | None = None,
    limit: int | None = None,
) -> Outcome:
    """Index what is pending in one version. What needs a model that is unavailable or has changed is postponed."""
    outcome = Outcome()
    entries = IndexEntry.objects.filter(version=version)
    if ids is not None:
        entries = entries.filter(photo_id__in=ids)
    while claimed := entries.claim(min(CLAIM, limit or CLAIM), lease=LEASE):
        try:
            step = _sync_claimed(version, claimed, progress)
        except BaseException:
            ledger.release(claimed)
            raise
        outcome += step
        throughput.count(step.total - step.postponed)
        if progress:
            progress(step.total)
        if limit is not None and outcome.total >= limit:
            break
        if step.nothing_done:
            break  # do not ask an unavailable service again for each photo
    return outcome


def drain(version: IndexVersion, report: StageProgress | None = None, *, wait: bool = False) -> str:
    """Index what is pending in a version until nothing is left, or the rest waits for another try: then returns why.

    `report` is called with the stage `index`. With `wait` it also waits for what another process holds or is tried
    again soon, and compacts the index after each step: for builds, which write much.
    """
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    count = _counter(report, pending.count())

    def advance(photos: int) -> None:
        count(photos)
        if wait and photos:
            index_of(version).maintain()

    while pending.exists():
        outcome = sync_version(version, progress=advance)
        if outcome.nothing_done or (outcome.postponed and not wait):
            return ledger.why_waiting(version)
        if not outcome.total:
            now = timezone.now()
            held = pending.filter(Q(leased_until__gt=now) | Q(next_try__lte=now + SOON))
            if not (wait and held.exists()):
                return ledger.why_waiting(version) if pending.exists() else ""
            advance(0)  # a sign of life, and a chance to stop
            time.sleep(0.2)  # another process may hold the rest; if it has died, its lease runs out
    return ""


def _counter(report: StageProgress | None, total: int) -> Progress:
    """Adds up the photos that are settled, of about `total`, and passes the sum on to `report`."""
    done = 0

    def count(photos: int) -> None:
        nonlocal done
        done += photos
        if report:
            report("index", done, max(done, total))

    count(0)
    return count


def _sync_claimed(version: IndexVersion, entries: Sequence[IndexEntry], progress: Progress | None) -> Outcome:
    photos = ProductImage.objects.select_related("product").in_bulk([entry.photo_id for entry in entries])
    gone = [entry for entry in entries if entry.photo_id not in photos]
    results = _embed(version, [(e, photos[e.photo_id]) for e in entries if e.photo_id in photos], progress)
    index = index_of(version)
    try:
        ledger.make_index(version)
        try:
            index.upsert(documents(version, results))
        except DocumentsRejected as rejected:
            reasons = rejected.reasons
            results = [
                result._replace(embedded=Failure(Kind.PERMANENT, reasons[result.entry.photo_id]))
                if result.entry.photo_id in reasons and isinstance(result.embedded, Embedding)
                else result
                for result in results
            ]
        failed = [result for result in results if result.failed(Kind.PERMANENT)]
        # A photo that can no longer be embedded must not be found by what it showed before.
        index.delete({entry.photo_id: entry.generation for entry in [*gone, *(result.entry for result in failed)]})
    except VectorIndexError as error:
        logger.warning("The index did not take %d photos: %s", len(entries), error)
        if error.permanent:
            raise
        ledger.postpone(dict.fromkeys(entries, str(error)))
        return Outcome(postponed=len(entries))

    indexed = [result.entry for result in results if isinstance(result.embedded, Embedding)]
    refused = [result for result in results if result.failed(Kind.REFUSED)]
    postponed = [*refused, *(result for result in results if result.failed(Kind.TEMPORARY))]
    ledger.settle(indexed, IndexEntry.State.INDEXED)
    ledger.settle(gone, IndexEntry.State.GONE)
    for result in failed:
        ledger.settle([result.entry], IndexEntry.State.FAILED, _reason(result))
    ledger.postpone({result.entry: _reason(result) for result in postponed})
    ledger.release([result.entry for result in results if result.failed(Kind.NOT_REACHED)])
    return Outcome(len(indexed), len(gone), len(failed), len(postponed), len(refused))


def _embed(
    version: IndexVersion, claimed: Sequence[tuple[IndexEntry, ProductImage]], progress: Progress | None
) -> list[Result]:
    """What becomes of each claimed photo. One that crashes its workers, or whose file is always refused, fails."""
    fatal = {photo.sha256 for entry, photo in claimed if entry.worker_crashes > MOST_CRASHES}
    embedded = embed(version, [photo for _entry, photo in claimed if photo.sha256 not in fatal], progress)
    crashed = Failure(Kind.PERMANENT, _("Indexing crashed every time on this photo. Replace the photo."))
    results = []
    for entry, photo in claimed:
        found = embedded.get(photo.sha256, crashed)
        if isinstance(found, Failure) and found.kind is Kind.REFUSED and entry.attempts + 1 >= MOST_REFUSALS:
            found = Failure(Kind.PERMANENT, found.reason)
        results.append(Result(entry, photo, found))
    return results


def _reason(result: Result) -> str:
    return result.embedded.reason if isinstance(result.embedded, Failure) else ""


def documents(version: IndexVersion, results: Sequence[Result]) -> list[Document]:
    """The documents of the photos that have an embedding (their products loaded), in the space of a version."""
    ready = [
        (result.entry, result.photo, result.embedded) for result in results if isinstance(result.embedded, Embedding)
    ]
    if not ready:
        return []
    colour = Embedding.unpack(embedding.colour for _entry, _photo, embedding in ready)
    style = style_of(version, Embedding.unpack(embedding.embedding for _entry, _photo, embedding in ready))
    return [
        Document(
            photo_id=photo.pk,
            generation=entry.generation,
            vector=vector,
            product_id=photo.product_id,
            category_id=photo.product.category_id,
            brand_id=photo.product.brand_id,
            colours=tuple(name for name, _share in embedding.colours),
            price=photo.product.price,
            in_stock=photo.product.in_stock,
            visible_from=photo.product.visible_from,
            visible_until=photo.product.visible_until,
        )
        for (entry, photo, embedding), vector in zip(ready, vectors.document(style, colour), strict=True)
    ]
