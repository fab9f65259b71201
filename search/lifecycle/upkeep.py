"""The upkeep of the index: pending photos are indexed, unused data is deleted, and refits start when they are due."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import reduce
from operator import or_

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from catalogue.models import ProductImage
from jobs.exceptions import JobCancelled, JobRunning
from jobs.running import Progress
from search import versions
from search.exceptions import BuildInterrupted, BuildRefused, EmbedderError, PhotosPostponed
from search.indexes import InvalidIndex, index_of
from search.lifecycle import activation, audit, building, jobs
from search.models import KEPT, Embedding, IndexEntry, IndexJob, IndexVersion
from search.vision import fitting
from search.vision.embedders import embedders
from search.writing import indexing, ledger

logger = logging.getLogger(__name__)

#: How long a retired version stays for readers that took it before the switch, and for catalogue changes that
#: are being written down in its ledger; the one that was live last stays for `KEPT`.
GRACE = timedelta(minutes=10)


def sync(progress: Progress | None = None, job: IndexJob | None = None) -> indexing.Outcome:
    """Index at once whatever is pending, also what waits for another try. Raises PhotosPostponed where some still do.

    job: one that was taken.
    """
    with jobs.recorded(IndexJob.Kind.SYNC, progress, job) as report:
        live = ledger.ensure_live_version()
        ledger.retry_now()
        outcome = indexing.reconcile(report)
        report.result(version=live, photos=outcome.total - outcome.postponed)
        if outcome.postponed:
            raise PhotosPostponed(ledger.why_waiting(live))
    return outcome


def catch_up(progress: Progress | None = None) -> None:
    """Index all that the catalogue holds, and return when it can be searched; for the end of an import.

    Where so much has come that a refit is due, the new version is built at once: each photo is indexed only once.
    """
    live = ledger.ensure_live_version()
    if not (_due(live, ProductImage.objects.count()) and _refit(live, progress)):
        ledger.add_missing(live)
        indexing.drain(live, progress, wait=True)
    maintain(progress)


def maintain(progress: Progress | None = None) -> IndexVersion | None:
    """Housekeeping: compact the live index, refit when the catalogue has grown enough, drop old versions, and compare
    catalogue and index once a day.

    Returns the new version if one was built. Cheap when there is nothing to do.
    """
    live = ledger.ensure_live_version()
    ledger.make_index(live)  # of an empty shop, where no write does it
    index_of(live).maintain()
    activation.publish(live)  # where that failed, or somebody moved it
    drop_retired()
    delete_orphans()
    entries = IndexEntry.objects.filter(version=live)
    gone = entries.filter(state=IndexEntry.State.GONE).count()
    # A refit waits until the photos at hand are in.
    wanted = _due(live, entries.filter(state=IndexEntry.State.INDEXED).count(), gone) and not entries.due().exists()
    built = None
    try:
        built = _refit(live, progress) if wanted else None
    except BuildInterrupted as error:  # the next round goes on with it
        logger.warning("%s", error)
    if audit.due():
        audit.run(progress)
    return built


def _due(live: IndexVersion, photos: int, gone: int = 0) -> bool:
    """Whether a refit is due since the last fit, or since the last one that was refused or rolled back."""
    held = live.quality.get("held", {"photos": live.photos, "gone": 0})
    return fitting.is_due(photos, held["photos"], gone - held["gone"])


def _refit(live: IndexVersion, progress: Progress | None) -> IndexVersion | None:
    """Rebuild with the model that the live version has, as nobody asked for it; None where it did not come to it.

    A build that staff started with another model is theirs to decide about.
    """
    embedder = versions.embedder_of(live)
    unfinished = IndexVersion.objects.unfinished()
    if unfinished and (unfinished.returning or unfinished.fingerprint != embedder.fingerprint):
        return None
    if unfinished and unfinished.refused:
        building.retire(unfinished)  # the catalogue has grown since
    try:
        return building.rebuild(embedder.alias, progress, refresh=False)
    except (JobRunning, JobCancelled, BuildRefused) as error:
        logger.warning("%s", error)
        return None


def drop_retired(grace: timedelta = GRACE) -> int:
    """Drop the versions that are no longer needed; returns how many.

    The previous version is kept so that it can be rolled back to. Nothing is dropped within the grace period after
    the last moment at which readers used it or changes were recorded for it.
    """
    now = timezone.now()
    last = IndexVersion.objects.last_retired()
    dropped = 0
    for version in IndexVersion.objects.defer("projection_bytes").filter(state=IndexVersion.State.RETIRED):
        needed = version.retired or now
        if last is not None and version.activated:
            needed = needed + KEPT if version == last else max(needed, last.retired or now)
        if needed < now - grace:
            logger.info("Dropping index version %s, retired since %s.", version.pk, version.retired)
            _drop(version)
            dropped += 1
    return dropped


def _drop(version: IndexVersion) -> None:
    try:
        index_of(version).drop()
    except InvalidIndex as error:
        # The site has left that service; it must not keep the version for ever.
        logger.warning("The index of version %s stays where it is: %s", version.pk, error)
    version.delete()


def delete_orphans() -> int:
    """Delete embeddings of contents that no photo has, and of spaces that nothing uses; returns how many."""
    unknown = ~Exists(ProductImage.objects.filter(sha256=OuterRef("digest")))
    return Embedding.objects.filter(unknown | ~_used_spaces()).delete()[0]


def _used_spaces() -> Q:
    """The embeddings of each version, and of a rebuild with each configured model; all while that cannot be told.

    A rebuild embeds before there is a version. One that is started again, after it was interrupted or cancelled, does
    not ask the model again.
    """
    if jobs.running(IndexJob.Kind.REBUILD):  # maybe of a release with other colour code
        return Q()
    try:
        used = [*IndexVersion.objects.only("fingerprint", "colours_version"), *map(building.draft, embedders)]
    except (EmbedderError, ImproperlyConfigured) as error:
        logger.info("Embeddings of former models are kept for now: %s", error)
        return Q()
    spaces = [Q(fingerprint=one.fingerprint, colours_version=one.colours_version) for one in used]
    return reduce(or_, spaces)
