"""The ledger of the write path (`IndexEntry`): which photos are pending in which version, and how each of them ended.

It is written in the transaction that changes the catalogue. Every function here may run twice, late, or in several
processes at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import ProductImage
from search.indexes import index_of
from search.models import IndexEntry, IndexVersion
from search.vision import colours
from search.vision.embedders import embedders

#: The pause after the first temporary failure; each further one doubles it, up to the longest.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(hours=1)


# Versions ---------------------------------------------------------------------------------------------------


def ensure_live_version() -> IndexVersion:
    """The live version. The first one is created here, without a projection and with every photo pending.

    If its index cannot be created now, the first write or the next upkeep creates it.
    """
    version = IndexVersion.objects.live()
    if version is None:
        embedder = embedders["default"]
        # Before the transaction: a remote model may take its time to answer.
        fingerprint, dimensions = embedder.fingerprint, embedder.dimensions
        try:
            with IndexVersion.objects.lock_for_create():
                version = IndexVersion.objects.create(
                    backend=settings.VECTOR_INDEX,
                    fingerprint=fingerprint,
                    colours_version=colours.COLOURS_VERSION,
                    width=dimensions + colours.WIDTH,
                    state=IndexVersion.State.LIVE,
                    activated=timezone.now(),
                )
        except IntegrityError:  # another process was first
            return ensure_live_version()
        add_missing(version)
        make_index(version)
    return version


def make_index(version: IndexVersion) -> None:
    """Create the index of a version if nothing was ever written to it.

    The row of a version is committed first: creating an index takes a network, and changes of the catalogue wait
    while a version is added. So a row may have no index if the service was away or the process died. Such a version
    cannot be mistaken for one whose index was lost: its ledger has settled nothing.
    """
    settled = IndexEntry.objects.filter(version=version, state__in=["indexed", "failed", "gone"])
    if not settled.exists():
        index_of(version).create()


# What is pending --------------------------------------------------------------------------------------------


def add_missing(version: IndexVersion) -> int:
    """Make every photo pending that the ledger of a version does not have; returns how many."""
    known = IndexEntry.objects.filter(version=version, photo_id=OuterRef("pk"))
    missing = ProductImage.objects.filter(~Exists(known)).order_by("pk").values_list("pk", flat=True)
    added = 0
    # In chunks read whole: SQLite refuses a write in the middle of a read.
    while chunk := list(missing[:5_000]):
        with transaction.atomic():
            IndexEntry.objects.change(version, chunk)
        added += len(chunk)
    return added


def add_gone(version: IndexVersion) -> int:
    """Make every settled entry of a version pending whose photo is gone; returns how many."""
    present = ProductImage.objects.filter(pk=OuterRef("photo_id"))
    left = IndexEntry.objects.filter(~Exists(present), version=version, state__in=["indexed", "failed"])
    gone = list(left.values_list("photo_id", flat=True))
    with transaction.atomic():
        IndexEntry.objects.change(version, gone)
    return len(gone)


def retry(photo_ids: Iterable[int]) -> None:
    """Make photos pending again, whatever their state."""
    ids = sorted(set(photo_ids))
    with transaction.atomic():
        for version in IndexVersion.objects.lock_for_change():
            IndexEntry.objects.change(version, ids)


def retry_now(versions: Iterable[IndexVersion] | None = None) -> int:
    """End the pause of every entry that waits for another try, in these versions or all that are written to.

    Returns how many entries there were.
    """
    now = timezone.now()
    count = 0
    for version in IndexVersion.objects.writable() if versions is None else versions:
        waiting = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING, next_try__gt=now)
        with transaction.atomic():
            waiting.lock()
            count += waiting.update(next_try=now)
    return count


def why_waiting(version: IndexVersion) -> str:
    """Why pending photos of a version wait for another try, as far as it is known."""
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    reasons = pending.exclude(reason="").values_list("reason", flat=True)
    return reasons.first() or _("Some photos are waiting to be retried.")


# What became of it ------------------------------------------------------------------------------------------


def settle(entries: Sequence[IndexEntry], state: str, reason: str = "") -> None:
    """Record what was done. An entry with a newer change stays pending."""
    by_generation: dict[int, list[IndexEntry]] = defaultdict(list)
    for entry in entries:
        by_generation[entry.generation].append(entry)
    overtaken: list[IndexEntry] = []
    with transaction.atomic():
        IndexEntry.objects.filter(pk__in=[entry.pk for entry in entries]).lock()
        for generation, group in by_generation.items():
            ids = [entry.pk for entry in group]
            settled = IndexEntry.objects.filter(pk__in=ids, generation=generation).update(
                state=state, reason=reason, attempts=0, worker_crashes=0, leased_until=None
            )
            if settled < len(group):
                overtaken += group
        if overtaken:
            _repeat_newer(overtaken)


def _repeat_newer(entries: Sequence[IndexEntry]) -> None:
    """Make changes pending again that were settled while an older one was still being written.

    The older document may have landed last: OpenSearch forgets a deletion after a while, so a late write could bring
    a deleted photo back.
    """
    written = {entry.pk: entry.generation for entry in entries}
    for entry in IndexEntry.objects.filter(pk__in=written).exclude(state=IndexEntry.State.PENDING):
        if entry.generation > written[entry.pk]:
            IndexEntry.objects.change(entry.version, [entry.photo_id])


def postpone(reasons: Mapping[IndexEntry, str]) -> None:
    """Let entries wait for another try, longer each time."""
    now = timezone.now()
    for entry, reason in reasons.items():
        pause = min(FIRST_PAUSE * 2 ** min(entry.attempts, 20), LONGEST_PAUSE)
        IndexEntry.objects.filter(pk=entry.pk, generation=entry.generation).update(
            attempts=F("attempts") + 1, worker_crashes=0, next_try=now + pause, reason=reason, leased_until=None
        )


def release(entries: Sequence[IndexEntry]) -> None:
    """Give claimed entries back at once, for the next worker."""
    if not entries:
        return
    held = IndexEntry.objects.filter(pk__in=[entry.pk for entry in entries])
    with transaction.atomic():
        held.lock()
        held.update(leased_until=None)
