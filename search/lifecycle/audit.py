"""Whether the catalogue, the ledger and the live index agree, photo by photo.

All three are read in the order of the photos' ids, a page at a time, so that memory stays the same whatever there is.
What differs at the first look is looked at again, since photos change meanwhile: only what the ledger does not know
as pending counts. A repair makes photos pending; the write path does the rest, so that the ledger is never passed by.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalogue.models import ProductImage
from jobs.running import Progress
from search.indexes import index_of
from search.lifecycle import jobs
from search.models import IndexEntry, IndexJob, IndexVersion
from search.writing import indexing, ledger

logger = logging.getLogger(__name__)

#: How often a worker looks by itself.
EVERY = timedelta(days=1)
#: Photos read at a time.
PAGE = 2_000
#: Differences looked at again at a time.
AGAIN = 500
#: Photos of each difference that are named.
NAMED = 10
#: How often a repair is checked before the remaining differences are reported.
ROUNDS = 3
#: Where a repair was of no avail, the index keeps a deletion that is newer than the ledger, as after the database was
#: set back to a copy. Deletions do not show, so the next repair goes beyond any that is likely.
LEAP = 1_000_000


class Difference(TextChoices):
    MISSING = "missing", _("missing")
    STALE = "stale", _("stale")
    ORPHANED = "orphaned", _("orphaned")


class Entry(NamedTuple):
    generation: int
    state: str


class Standing(NamedTuple):
    """Where a photo stands in each of the three."""

    photo: bool
    entry: Entry | None
    #: the generation of its document
    document: int | None

    def difference(self) -> Difference | None:
        """What is wrong with it; nothing, as long as the ledger says that it is pending."""
        if self.entry is not None and self.entry.state == IndexEntry.State.PENDING:
            return None
        if not self.photo:
            known = self.entry is not None and self.entry.state != IndexEntry.State.GONE
            return Difference.ORPHANED if known or self.document is not None else None
        if self.entry is None or self.entry.state == IndexEntry.State.GONE:
            return Difference.MISSING
        if self.entry.state == IndexEntry.State.FAILED:
            # It must not be found by what it showed before.
            return None if self.document is None else Difference.STALE
        if self.document is None:
            return Difference.MISSING
        return None if self.document == self.entry.generation else Difference.STALE


@dataclass
class Findings:
    """What an audit has found: numbers, and the first photos of each."""

    photos: int = 0
    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    #: photo ids by difference
    first: dict[str, list[int]] = field(default_factory=dict)
    #: made pending by a repair, and of these not yet done
    repaired: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        return self.missing + self.stale + self.orphaned

    @property
    def agree(self) -> bool:
        return not self.total and not self.waiting

    def add(self, difference: Difference, photo_id: int) -> None:
        setattr(self, difference.value, getattr(self, difference.value) + 1)
        named = self.first.setdefault(difference.value, [])
        if len(named) < NAMED:
            named.append(photo_id)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def due() -> bool:
    """Whether a worker is to look by itself: once a day, and not while something else is under way."""
    if IndexJob.objects.filter(state__in=[IndexJob.State.WAITING, IndexJob.State.RUNNING]).exists():
        return False
    ended = IndexJob.objects.filter(kind=IndexJob.Kind.AUDIT, state__in=[IndexJob.State.DONE, IndexJob.State.FAILED])
    since = ended.values_list("created", flat=True).first()
    if since is None:
        since = IndexVersion.objects.order_by("created").values_list("created", flat=True).first()
    return since is not None and since < timezone.now() - EVERY


def run(progress: Progress | None = None, job: IndexJob | None = None, *, repair: bool = False) -> Findings:
    """Look, and keep what was found with the job; `job` is one that was taken.

    With `repair` what differs is made pending and indexed, and looked at again until nothing differs. Raises
    IndexMissing where the index is lost as a whole, which a rebuild mends.
    """
    with jobs.recorded(IndexJob.Kind.AUDIT, progress, job, {"repair": repair}) as report:
        version = ledger.ensure_live_version()
        repaired = 0
        findings = look(version, report, mend=repair)
        for turn in range(1, ROUNDS):
            if not repair or not findings.total:
                break
            repaired = repaired or findings.total
            indexing.drain(version, report)
            findings = look(version, report, mend=True, leap=turn * LEAP)
        findings.repaired = repaired
        if repaired:
            findings.waiting = _waiting(version)
        report.result(version=version, photos=findings.photos, result=findings.to_json())
    if findings.total:
        logger.warning(
            "Catalogue and index differ: %d photos missing, %d stale, %d orphaned. "
            "Run “manage.py audit_index --repair”.",
            findings.missing,
            findings.stale,
            findings.orphaned,
        )
    return findings


def look(version: IndexVersion, report: Progress, *, mend: bool = False, leap: int = 0) -> Findings:
    """Compare the three once. With `mend` what differs is made pending in the ledger, `leap` generations further."""
    findings = Findings()
    total = ProductImage.objects.count()
    index_of(version).refresh()
    doubtful: list[int] = []
    report("audit", 0, total)
    for photo_id, standing in _standings(version):
        findings.photos += standing.photo
        if standing.difference():
            doubtful.append(photo_id)
        if len(doubtful) == AGAIN:
            _look_again(version, doubtful, findings, mend=mend, leap=leap)
            doubtful = []
        if findings.photos % PAGE == 0:
            report("audit", findings.photos, max(total, findings.photos))
    _look_again(version, doubtful, findings, mend=mend, leap=leap)
    report("audit", findings.photos, findings.photos)
    return findings


def _look_again(
    version: IndexVersion, photo_ids: list[int], findings: Findings, *, mend: bool = False, leap: int = 0
) -> None:
    """Count what still differs, with the ledger the same before and after the index was asked.

    A document is written before the ledger says so: asked after the ledger, the index has at least what that says.
    """
    if not photo_ids:
        return
    before = _ledger(version, photo_ids)
    index = index_of(version)
    index.refresh()
    documents = index.generations(photo_ids)
    after = _ledger(version, photo_ids)
    behind: dict[int, int] = {}
    for photo_id in photo_ids:
        photo, entry = after[photo_id]
        difference = Standing(photo, entry, documents.get(photo_id)).difference()
        if difference and before[photo_id] == after[photo_id]:
            findings.add(difference, photo_id)
            behind[photo_id] = max(documents.get(photo_id, 0), entry.generation if entry else 0) + leap
    if mend and behind:
        IndexEntry.objects.overtake(version, behind)


def _ledger(version: IndexVersion, photo_ids: list[int]) -> dict[int, tuple[bool, Entry | None]]:
    photos = set(ProductImage.objects.filter(pk__in=photo_ids).order_by().values_list("pk", flat=True))
    rows = IndexEntry.objects.filter(version=version, photo_id__in=photo_ids)
    entries = {pk: Entry(generation, state) for pk, generation, state in rows.values_list(*_COLUMNS)}
    return {photo_id: (photo_id in photos, entries.get(photo_id)) for photo_id in photo_ids}


_COLUMNS = ("photo_id", "generation", "state")


def _waiting(version: IndexVersion) -> int:
    """Photos that were tried and have to wait; not those that have just come."""
    return IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING, attempts__gt=0).count()


# Three streams, in order ------------------------------------------------------------------------------------


def _standings(version: IndexVersion) -> Iterator[tuple[int, Standing]]:
    """Every photo id that any of the three knows, ascending."""
    streams = (_photos(), _entries(version), _documents(version))
    for photo_id, rows in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        known = {name: value for _photo_id, name, value in rows}
        yield photo_id, Standing("photo" in known, known.get("entry"), known.get("document"))


def _photos() -> Iterator[tuple[int, str, Any]]:
    photos = ProductImage.objects.order_by("pk").values_list("pk")
    return ((row[0], "photo", True) for row in _pages(lambda last: photos.filter(pk__gt=last)[:PAGE]))


def _entries(version: IndexVersion) -> Iterator[tuple[int, str, Any]]:
    entries = IndexEntry.objects.filter(version=version).order_by("photo_id").values_list(*_COLUMNS)
    rows = _pages(lambda last: entries.filter(photo_id__gt=last)[:PAGE])
    return ((photo_id, "entry", Entry(generation, state)) for photo_id, generation, state in rows)


def _documents(version: IndexVersion) -> Iterator[tuple[int, str, Any]]:
    return ((photo_id, "document", generation) for photo_id, generation in index_of(version).ids())


def _pages(after: Callable[[int], Iterable[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of their first number, in pages read whole: a reader that is half-way when others write
    is refused by SQLite."""
    last = 0
    while page := list(after(last)):
        yield from page
        last = page[-1][0]
