"""The switch to a version of the index: brought up to date, measured, and made live in one step.

A build and the way back both end with it.
"""

from __future__ import annotations

import logging
import time

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.exceptions import JobCancelled
from jobs.running import Progress
from search.exceptions import BuildInterrupted, BuildRefused, VectorIndexError
from search.indexes import index_of
from search.lifecycle import gate
from search.models import IndexEntry, IndexVersion
from search.writing import indexing, ledger

logger = logging.getLogger(__name__)

#: Looks at whether an index is complete, while others write to it, and the seconds between two.
LOOKS, LOOK = 5, 0.2


def bring_up_to_date(version: IndexVersion, report: Progress) -> None:
    """Bring the version up to date, then look again for photos that came or went meanwhile, until none does."""
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    while ledger.add_missing(version) + ledger.add_gone(version) or pending.exists():
        if postponed := indexing.drain(version, report, wait=True):
            raise interrupted(postponed)


def interrupted(reason: str) -> BuildInterrupted:
    sentence = _("The rebuild has stopped. The next one continues where it ended. %(reason)s")
    return BuildInterrupted(sentence % {"reason": reason})


def activate(version: IndexVersion, report: Progress, *, force: bool = False, compare: bool = True) -> IndexVersion:
    """Switch to a version in one step, if it may go live. Raises BuildRefused, and JobCancelled if it was discarded.

    Without `compare` its index need only be complete and sound: it may be worse than the live one.
    """
    IndexVersion.objects.filter(pk=version.pk, state=IndexVersion.State.BUILDING).update(
        state=IndexVersion.State.READY
    )
    live = IndexVersion.objects.live()
    if live is not None and live.pk != version.pk:
        _judge(version, live if compare else None, report, force=force)
        bring_up_to_date(version, report)  # what came while it was measured
    index_of(version).activate()
    now = timezone.now()
    with transaction.atomic():
        standing = IndexVersion.objects.select_for_update().filter(pk=version.pk)
        state = standing.values_list("state", flat=True).first()
        if state not in (IndexVersion.State.READY, IndexVersion.State.LIVE):
            raise JobCancelled(_("The new version was discarded. Rebuild the index to make another."))
        if state == IndexVersion.State.READY:
            IndexVersion.objects.filter(state=IndexVersion.State.LIVE).update(
                state=IndexVersion.State.RETIRED, retired=now
            )
            standing.update(state=IndexVersion.State.LIVE, activated=now, retired=None)
    version.refresh_from_db(fields=["state", "activated", "retired", "quality"])
    publish(version)
    # A change that was committed between the last look and the switch is pending in the ledger: nothing is lost.
    indexing.sync_version(version)
    return version


def publish(live: IndexVersion) -> None:
    """Let outsiders find the live version's index. That is a service's favour: where it fails, upkeep does it."""
    try:
        index_of(live).publish()
    except VectorIndexError as error:
        logger.warning("The index of version %s could not be shown to outsiders: %s", live.pk, error)


def _judge(version: IndexVersion, live: IndexVersion | None, report: Progress, *, force: bool) -> None:
    """Measure a version, keep the figures with it, and raise BuildRefused where it may not go live."""
    report("check", 0, 0)
    index = index_of(version)
    for _look in range(LOOKS):
        index.refresh()
        figures = gate.measure(version, live, lambda done, total: report("check", done, total))
        if figures.complete:
            break
        time.sleep(LOOK)  # others are writing to it
        bring_up_to_date(version, report)
    refusals = figures.refusals()
    verdict = "accepted" if not refusals else "forced" if force else "refused"
    version.refresh_from_db(fields=["quality"])
    version.quality["gate"] = figures.to_json() | {"verdict": verdict, "at": timezone.now().isoformat()}
    version.save(update_fields=["quality"])
    if verdict == "refused":
        if live is not None:
            hold(live)
        text = _(
            "Version %(number)d was not made live. It is kept, and the live version stays in use. "
            "%(reasons)s Make it live anyway with “manage.py rebuild_index --force”, or discard it "
            "with “--cancel”. The index page in the admin has buttons for both."
        )
        raise BuildRefused(text % {"number": version.pk, "reasons": " ".join(refusals)})


def hold(version: IndexVersion) -> None:
    """No refit of what this version is fitted to until the catalogue has grown from what it is now."""
    entries = IndexEntry.objects.filter(version=version)
    version.refresh_from_db(fields=["quality"])
    version.quality["held"] = {
        "photos": entries.filter(state=IndexEntry.State.INDEXED).count(),
        "gone": entries.filter(state=IndexEntry.State.GONE).count(),
    }
    version.save(update_fields=["quality"])
