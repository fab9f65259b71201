"""A new version of the index, built beside the live one and switched to in one step.

A build embeds what has no embedding yet, fits the projection and the calibration to what the catalogue holds now,
indexes every photo, looks for those that came meanwhile, and only then goes live. Where embeddings are stored
already (a refit, a lost index) the model is not asked. A build that was interrupted is gone on with by the next.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import Category, ProductImage
from search import colours, indexing, matches, projection, runs
from search.embedders import Embedder, embedders
from search.exceptions import BuildInterrupted, BuildRunning, IndexMissing, PhotosPostponed
from search.indexes import InvalidIndex, index_of
from search.models import Embedding, IndexEntry, IndexEntryQuerySet, IndexRun, IndexVersion
from search.runs import Progress

logger = logging.getLogger(__name__)

#: How long a retired version stays for readers that took it before the switch.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a catalogue's photos teach a version from, a row per photo."""

    #: float16 (n, d)
    embeddings: npt.NDArray[np.float16]
    categories: list[int | None]
    products: list[int]


def rebuild(
    embedder_alias: str = "default",
    progress: Progress | None = None,
    run: IndexRun | None = None,
    *,
    anew: bool = True,
) -> IndexVersion:
    """Build a new version, make it live, and return it; `run` is a request that was taken.

    Whether the alias has become another model is found out first, unless it is not to be built with `anew`.

    Two processes that build at the same time share the work. Raises what the model or the index raise: the live
    version then goes on answering, and another call goes on where this one stopped.
    """
    with runs.recorded(IndexRun.Kind.REBUILD, progress, run) as report:
        if anew:
            embedders[embedder_alias].ask_anew()
        indexing.live_version()
        embedder = embedders[embedder_alias]
        version = _unfinished(embedder_alias, embedder)
        if version is None:
            _embed_all(embedder, report)
            version = _begin(embedder_alias, embedder, report)
        _index_all(version, report)
        version = _activate(version)
        report.of(version, IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED).count())
    return version


def sync(progress: Progress | None = None, run: IndexRun | None = None) -> indexing.Outcome:
    """Index at once whatever is pending, also what waits for another try. Raises PhotosPostponed where some still do.

    `run` is a request that was taken.
    """
    with runs.recorded(IndexRun.Kind.SYNC, progress, run) as report:
        live = indexing.live_version()
        indexing.add_missing(live)
        indexing.hasten()
        total, done = (
            IndexEntry.objects.due().filter(version__in=IndexVersion.objects.writable().values("pk")).count(),
            0,
        )

        def advance(count: int) -> None:
            nonlocal done
            done += count
            report("index", done, max(done, total))

        report("index", 0, total)
        outcome = indexing.sync(progress=advance)
        report.of(live, outcome.total - outcome.postponed)
        if outcome.postponed:
            waiting = IndexEntry.objects.filter(version=live, state=IndexEntry.State.PENDING)
            raise PhotosPostponed(_reason(waiting))
    return outcome


def perform(run: IndexRun, progress: Progress | None = None) -> None:
    """Do what staff asked for: a run that was taken (`runs.take`), by whatever kind of worker."""
    if run.kind == IndexRun.Kind.SYNC:
        sync(progress, run)
    else:
        indexing.hasten()
        rebuild(progress=progress, run=run)


def catch_up(progress: Progress | None = None) -> None:
    """Index all that the catalogue holds, and return when it can be searched; for the end of an import.

    Where so much has come that a refit is due, the new version is built at once: each photo is indexed only once.
    """
    live = indexing.live_version()
    if projection.due(ProductImage.objects.count(), live.photos):
        rebuild(indexing.embedder_of(live).alias, progress, anew=False)
    else:
        indexing.add_missing(live)
        _drain(live, progress or _silent)
    maintain(progress)


def maintain(progress: Progress | None = None) -> IndexVersion | None:
    """Housekeeping: compact the live index, refit when the catalogue has grown enough, drop old versions.

    Returns the new version if one was built. Cheap when there is nothing to do.
    """
    live = indexing.live_version()
    index_of(live).maintain()
    drop_retired()
    forget_orphans()
    entries = IndexEntry.objects.filter(version=live)
    gone = entries.filter(state=IndexEntry.State.GONE).count()
    if not projection.due(entries.filter(state=IndexEntry.State.INDEXED).count(), live.photos, gone):
        return None
    if IndexEntry.objects.filter(version=live).due().exists():
        return None  # wait until the photos at hand are in
    # With the model that it has: another one is what staff ask for.
    return rebuild(indexing.embedder_of(live).alias, progress, anew=False)


def drop_retired(grace: timedelta = GRACE) -> int:
    """Drop the versions that were retired before the grace period; returns how many."""
    old = IndexVersion.objects.defer("projection_bytes").filter(
        state=IndexVersion.State.RETIRED, retired__lt=timezone.now() - grace
    )
    for version in old:
        logger.info("Dropping index version %s, retired since %s.", version.pk, version.retired)
        _drop(version)
    return len(old)


def _drop(version: IndexVersion) -> None:
    try:
        index_of(version).drop()
    except InvalidIndex as error:
        # The site has left that service; it must not keep the version for ever.
        logger.warning("The index of version %s stays where it is: %s", version.pk, error)
    version.delete()


def forget_orphans() -> int:
    """Delete embeddings of contents that no photo has any more; returns how many."""
    used = ProductImage.objects.filter(sha256=OuterRef("digest"))
    return Embedding.objects.filter(~Exists(used)).delete()[0]


def _unfinished(alias: str, embedder: Embedder) -> IndexVersion | None:
    """A build of the same model that was interrupted; one of another model, or in another index, is dropped."""
    states = [IndexVersion.State.BUILDING, IndexVersion.State.READY]
    version = IndexVersion.objects.filter(state__in=states).first()
    if version is None:
        return None
    space = (version.backend, version.embedder, version.fingerprint, version.colours_version)
    if space == (settings.VECTOR_INDEX, alias, embedder.fingerprint, colours.COLOURS_VERSION):
        try:
            index_of(version).count()
        except IndexMissing:  # what the ledger says of it is no longer true
            logger.warning("The unfinished index version %s was lost; it is begun anew.", version.pk)
        else:
            return version
    _drop(version)
    return None


def _embed_all(embedder: Embedder, report: Progress) -> None:
    """Make the embeddings that are missing for this model."""
    stored = Embedding.objects.filter(
        digest=OuterRef("sha256"), fingerprint=embedder.fingerprint, colours_version=colours.COLOURS_VERSION
    )
    missing = ProductImage.objects.filter(~Exists(stored)).order_by("pk")
    total = missing.count()
    ids = list(missing.values_list("pk", flat=True))

    def alive(_photos: int) -> None:
        report("embed", total - len(ids), total)

    while ids:
        photos = list(ProductImage.objects.filter(pk__in=ids[: indexing.CLAIM]))
        embedded = indexing.embed(photos, embedder, alive)
        if embedded.postponed and not embedded.found:
            raise _interrupted(next(iter(embedded.postponed.values())))
        ids = [photo.pk for photo in photos if photo.sha256 in embedded.left] + ids[indexing.CLAIM :]
        report("embed", total - len(ids), total)


def _begin(alias: str, embedder: Embedder, report: Progress) -> IndexVersion:
    """Fit to what is embedded, and write down the new version with every photo pending."""
    report("fit", 0, 1)
    lesson = study(embedder)
    parents = dict(Category.objects.values_list("pk", "parent_id"))
    fit = projection.fit(lesson.embeddings, lesson.categories, parents, lesson.products)
    calibration = matches.calibrate(lesson.embeddings, np.array(lesson.products)) if lesson.products else None
    style = fit.projection.width if fit.projection else embedder.dimensions
    fingerprint = embedder.fingerprint
    report("fit", 1, 1)
    try:
        with transaction.atomic():
            version = IndexVersion.objects.create(
                backend=settings.VECTOR_INDEX,
                embedder=alias,
                fingerprint=fingerprint,
                colours_version=colours.COLOURS_VERSION,
                projection_bytes=fit.projection.to_bytes() if fit.projection else None,
                width=style + colours.WIDTH,
                photos=len(lesson.products),
                calibration_json=calibration.to_json() if calibration else "",
                quality=fit.report,
            )
            index_of(version).create()
    except IntegrityError as error:
        # Another process was as far a moment before: go on with its version, together.
        begun = _unfinished(alias, embedder)
        if begun is None:
            raise BuildRunning("Another build of the index has just ended; try again.") from error
        return begun
    return version


def study(embedder: Embedder) -> Lesson:
    """Read the catalogue's stored embeddings, 2.5 KB a photo, with each photo's category and product."""
    photos = ProductImage.objects.order_by("pk").values_list("sha256", "product__category_id", "product_id")
    stored = Embedding.objects.filter(fingerprint=embedder.fingerprint, colours_version=colours.COLOURS_VERSION)
    rows = {digest: number for number, digest in enumerate(stored.order_by("pk").values_list("digest", flat=True))}
    matrix = np.empty((len(rows), embedder.dimensions), np.float16)
    for digest, data in stored.values_list("digest", "embedding").iterator():
        if digest in rows:  # one that was added since is left for the next fit
            matrix[rows[digest]] = np.frombuffer(data, "<f2")
    known = [(rows[digest], category, product) for digest, category, product in photos if digest in rows]
    return Lesson(
        embeddings=matrix[[row for row, _category, _product in known]],
        categories=[category for _row, category, _product in known],
        products=[product for _row, _category, product in known],
    )


def _index_all(version: IndexVersion, report: Progress) -> None:
    """Bring the version up to date, then look again for photos that came meanwhile, until none does."""
    while indexing.add_missing(version) or IndexEntry.objects.filter(version=version, state="pending").exists():
        if postponed := _drain(version, report):
            raise _interrupted(postponed)


def _drain(version: IndexVersion, report: Progress) -> str:
    """Index what is pending until nothing is, or until what is left waits for another try: then says why."""
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    total, done = pending.count(), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report("index", done, max(done, total))
        if count:
            index_of(version).maintain()

    while pending.exists():
        outcome = indexing.sync_version(version, progress=advance)
        if outcome.postponed:
            return _reason(pending)
        if not outcome.total:
            now = timezone.now()
            if not pending.filter(Q(leased_until__gt=now) | Q(next_try__lte=now)).exists():
                return _reason(pending) if pending.exists() else ""
            time.sleep(0.2)  # another process holds what is left; if it has died, its lease runs out
    return ""


def _reason(pending: IndexEntryQuerySet) -> str:
    reasons = pending.exclude(reason="").values_list("reason", flat=True)
    return reasons.first() or _("Some photos wait for another try.")


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _interrupted(reason: str) -> BuildInterrupted:
    sentence = _("The build has stopped; the next one goes on where it ended. %(reason)s")
    return BuildInterrupted(sentence % {"reason": reason})


def _activate(version: IndexVersion) -> IndexVersion:
    """Switch to a version in one step."""
    index_of(version).activate()
    now = timezone.now()
    with transaction.atomic():
        # Of two processes that built it together, the second finds it live.
        if IndexVersion.objects.select_for_update().filter(pk=version.pk).exclude(state="live").exists():
            IndexVersion.objects.filter(state=IndexVersion.State.LIVE).update(
                state=IndexVersion.State.RETIRED, retired=now
            )
            IndexVersion.objects.filter(pk=version.pk).update(state=IndexVersion.State.LIVE, activated=now)
    version.refresh_from_db(fields=["state", "activated", "retired"])
    # A change that was committed between the last look and the switch is pending in the ledger: nothing is lost.
    indexing.sync_version(version)
    return version
