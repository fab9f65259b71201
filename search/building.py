"""A new version of the index, built beside the live one and switched to in one step.

A build embeds what has no embedding yet, fits the projection and the calibration to what the catalogue holds now,
indexes every photo, and looks for those that came meanwhile. Only then does it go live, and only if it is complete
and not worse than the live version (`gate`). Where embeddings are stored already (a refit, a lost index) the model is
not asked. A build that was interrupted or paused is gone on with by the next.

The version that was live before is kept for a while. The ledger goes on noting what changes, so that it can be
brought up to date and gone back to.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import Category, ProductImage
from search import audit, colours, gate, indexing, matches, projection, runs
from search.embedders import Embedder, embedders
from search.exceptions import (
    BuildInterrupted,
    BuildPaused,
    BuildRefused,
    BuildRunning,
    IndexMissing,
    PhotosPostponed,
    RollbackRefused,
    SearchError,
)
from search.indexes import InvalidIndex, index_of
from search.models import KEPT, Embedding, IndexEntry, IndexRun, IndexVersion
from search.runs import Progress

logger = logging.getLogger(__name__)

#: How long a retired version stays for readers that took it before the switch, and for catalogue changes that
#: are being written down in its ledger; the one that was live last stays for `KEPT`.
GRACE = timedelta(minutes=10)
#: Looks at whether an index is complete, while others write to it, and the seconds between two.
LOOKS, LOOK = 5, 0.2


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
    force: bool = False,
) -> IndexVersion:
    """Build a new version, make it live, and return it; `run` is a request that was taken.

    Whether the alias has become another model is found out first, unless it is not to be built with `anew`.

    Two processes that build at the same time share the work. Raises what the model or the index raise, and
    BuildPaused: the live version then goes on answering, and another call goes on where this one stopped. Raises
    BuildRefused where the new version is not complete or worse than the live one, unless it is `force`d: it is kept
    until it is forced or discarded.
    """
    options = {"model": embedder_alias, "force": force}
    with runs.recorded(IndexRun.Kind.REBUILD, progress, run, options) as report:
        shared = report.run is None
        if shared and runs.running(IndexRun.Kind.ROLLBACK):
            raise BuildRunning(_("The index goes back to its former version just now: try again when that is done."))
        if anew:
            embedders[embedder_alias].ask_anew()
        indexing.live_version()
        began = timezone.now()
        embedder = embedders[embedder_alias]
        version = _unfinished(embedder_alias, embedder)
        if version is None:
            _embed_all(embedder, report, backwards=shared)
            version = _ended(embedder, began) or _begin(embedder_alias, embedder, report)
        _index_all(version, report)
        version = _activate(version, report, force=force)
        report.of(version, IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED).count())
    return version


def roll_back(progress: Progress | None = None, run: IndexRun | None = None, *, force: bool = False) -> IndexVersion:
    """Make the version live again that was live before, and return it.

    It is brought up to date first, while the present version answers. Raises RollbackRefused, before anything is
    done, where there is none any more or where it could not be asked; BuildRefused where it is not complete, unless
    it is `force`d; and what the model or the index raise: another call then goes on.
    """
    with runs.recorded(IndexRun.Kind.ROLLBACK, progress, run) as report:
        if runs.running(IndexRun.Kind.REBUILD):
            raise RollbackRefused(_("A build is under way: pause it first (“manage.py rebuild_index --pause”)."))
        version = _former()
        try:
            with transaction.atomic():
                IndexVersion.objects.filter(pk=version.pk).update(state=IndexVersion.State.READY)
        except IntegrityError as error:
            raise RollbackRefused(
                _(
                    "A build is not finished: go on with it (“manage.py rebuild_index --resume”) or discard it "
                    "(“manage.py rebuild_index --discard”) first."
                )
            ) from error
        version.refresh_from_db(fields=["state"])
        indexing.hasten([version])
        _index_all(version, report)
        version = _activate(version, report, force=force, compare=False)
        # What would be learnt from the same photos again is what was just gone back from.
        _hold(version)
        report.of(version, IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED).count())
    return version


def discard(run: IndexRun | None = None) -> IndexVersion | None:
    """Give up the version that is not live yet, and the rebuild that is paused; returns the version if there was one.

    A former version on its way back goes back to where it was. Raises BuildRunning while a process builds.
    """
    with runs.recorded(IndexRun.Kind.DISCARD, run=run) as report:
        if runs.running(IndexRun.Kind.REBUILD) or runs.running(IndexRun.Kind.ROLLBACK):
            raise BuildRunning(
                _("A build is under way: pause it first (“manage.py rebuild_index --pause”), then discard it.")
            )
        given_up = runs.give_up_paused(_("It was discarded."))
        version = IndexVersion.objects.unfinished()
        if version is not None:
            _retire(version)
        elif not given_up:
            raise BuildRunning(_("There is no build to be discarded."))
        report.of(version, 0)
    return version


def sync(progress: Progress | None = None, run: IndexRun | None = None) -> indexing.Outcome:
    """Index at once whatever is pending, also what waits for another try. Raises PhotosPostponed where some still do.

    `run` is a request that was taken.
    """
    with runs.recorded(IndexRun.Kind.SYNC, progress, run) as report:
        live = indexing.live_version()
        indexing.hasten()
        outcome = indexing.reconcile(report)
        report.of(live, outcome.total - outcome.postponed)
        if outcome.postponed:
            raise PhotosPostponed(indexing.why_waiting(live))
    return outcome


def perform(run: IndexRun, progress: Progress | None = None) -> None:
    """Do what staff asked for: a run that was taken (`runs.take`), by whatever kind of worker."""
    force = bool(run.options.get("force"))
    match run.kind:
        case IndexRun.Kind.SYNC:
            sync(progress, run)
        case IndexRun.Kind.AUDIT:
            audit.run(progress, run, repair=bool(run.options.get("repair")))
        case IndexRun.Kind.DISCARD:
            discard(run)
        case IndexRun.Kind.ROLLBACK:
            roll_back(progress, run, force=force)
        case _:
            indexing.hasten()
            try:
                rebuild(run.options.get("model", "default"), progress, run, force=force)
            except BuildPaused as paused:
                logger.info("%s", paused)


def catch_up(progress: Progress | None = None) -> None:
    """Index all that the catalogue holds, and return when it can be searched; for the end of an import.

    Where so much has come that a refit is due, the new version is built at once: each photo is indexed only once.
    """
    live = indexing.live_version()
    if not (_due(live, ProductImage.objects.count()) and _refit(live, progress)):
        indexing.add_missing(live)
        indexing.drain(live, progress, wait=True)
    maintain(progress)


def maintain(progress: Progress | None = None) -> IndexVersion | None:
    """Housekeeping: compact the live index, refit when the catalogue has grown enough, drop old versions, and compare
    catalogue and index once a day.

    Returns the new version if one was built. Cheap when there is nothing to do.
    """
    live = indexing.live_version()
    index_of(live).maintain()
    drop_retired()
    forget_orphans()
    entries = IndexEntry.objects.filter(version=live)
    gone = entries.filter(state=IndexEntry.State.GONE).count()
    # A refit waits until the photos at hand are in.
    wanted = _due(live, entries.filter(state=IndexEntry.State.INDEXED).count(), gone) and not entries.due().exists()
    built = _refit(live, progress) if wanted else None
    if audit.due():
        audit.run(progress)
    return built


def _due(live: IndexVersion, photos: int, gone: int = 0) -> bool:
    """Whether a refit is due: since the last fit, or since one was refused or gone back from."""
    held = live.quality.get("held", {"photos": live.photos, "gone": 0})
    return projection.due(photos, held["photos"], gone - held["gone"])


def _hold(version: IndexVersion) -> None:
    """No refit of what this version is fitted to until the catalogue has grown from what it is now."""
    entries = IndexEntry.objects.filter(version=version)
    version.refresh_from_db(fields=["quality"])
    version.quality["held"] = {
        "photos": entries.filter(state=IndexEntry.State.INDEXED).count(),
        "gone": entries.filter(state=IndexEntry.State.GONE).count(),
    }
    version.save(update_fields=["quality"])


def _refit(live: IndexVersion, progress: Progress | None) -> IndexVersion | None:
    """Rebuild with the model that the live version has, as nobody asked for it; None where it did not come to it.

    What staff have paused, or begun with another model, is theirs to decide about.
    """
    embedder = indexing.embedder_of(live)
    unfinished = IndexVersion.objects.unfinished()
    if runs.paused() or (unfinished and (unfinished.returning or unfinished.fingerprint != embedder.fingerprint)):
        return None
    if unfinished and unfinished.refused:
        _retire(unfinished)  # the catalogue has grown since
    try:
        return rebuild(embedder.alias, progress, anew=False)
    except (BuildPaused, BuildRefused) as error:
        logger.warning("%s", error)
        return None


def drop_retired(grace: timedelta = GRACE) -> int:
    """Drop the versions that are no longer needed; returns how many.

    The one that was live last is kept to be gone back to. Nothing is dropped within the grace period after the last
    moment at which readers took it, or changes were written down for it.
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


def forget_orphans() -> int:
    """Delete embeddings of contents that no photo has any more; returns how many."""
    used = ProductImage.objects.filter(sha256=OuterRef("digest"))
    return Embedding.objects.filter(~Exists(used)).delete()[0]


def _unfinished(alias: str, embedder: Embedder) -> IndexVersion | None:
    """A build of the same model that was interrupted; one of another model, or in another index, is given up."""
    version = IndexVersion.objects.unfinished()
    if version is None:
        return None
    space = (version.backend, version.embedder, version.fingerprint, version.colours_version)
    wanted = (settings.VECTOR_INDEX, alias, embedder.fingerprint, colours.COLOURS_VERSION)
    if space == wanted and not version.returning:
        try:
            index_of(version).count()
        except IndexMissing:  # what the ledger says of it is no longer true
            logger.warning("The unfinished index version %s was lost; it is begun anew.", version.pk)
        else:
            return version
    _retire(version)
    return None


def _retire(version: IndexVersion) -> None:
    """Give up a version that is not live. It is dropped later: a process may be writing to it, or to its ledger."""
    values = {"retired": timezone.now()} if version.retired is None else {}
    standing = IndexVersion.objects.filter(pk=version.pk, state__in=["building", "ready"])
    standing.update(state=IndexVersion.State.RETIRED, **values)


def _ended(embedder: Embedder, began: datetime) -> IndexVersion | None:
    """What another process has built meanwhile: the same was wanted."""
    return (
        IndexVersion.objects.filter(
            state=IndexVersion.State.LIVE,
            activated__gt=began,
            fingerprint=embedder.fingerprint,
            colours_version=colours.COLOURS_VERSION,
        )
        .defer("projection_bytes")
        .first()
    )


def _former() -> IndexVersion:
    """The version to go back to. Raises RollbackRefused."""
    unfinished = IndexVersion.objects.unfinished()
    version = unfinished if unfinished and unfinished.returning else IndexVersion.objects.former()
    if version is None:
        text = _("There is no version to go back to: the one that was live before is kept for %(days)d days.")
        raise RollbackRefused(text % {"days": KEPT.days})
    try:
        indexing.embedder_of(version)
        index_of(version).count()
    except IndexMissing as error:
        text = _("The index of version %(number)d is lost, so it cannot be gone back to. %(reason)s")
        raise RollbackRefused(text % {"number": version.pk, "reason": error}) from error
    except (SearchError, ImproperlyConfigured) as error:
        text = _(
            "Version %(number)d has the model %(model)s, which cannot be asked now, so it cannot be gone back to. "
            "Configure that model again. %(reason)s"
        )
        named = {"number": version.pk, "model": version.fingerprint, "reason": error}
        raise RollbackRefused(text % named) from error
    return version


def _embed_all(embedder: Embedder, report: Progress, *, backwards: bool = False) -> None:
    """Make the embeddings that are missing for this model; `backwards` meets another process half-way."""
    stored = Embedding.objects.filter(
        digest=OuterRef("sha256"), fingerprint=embedder.fingerprint, colours_version=colours.COLOURS_VERSION
    )
    missing = ProductImage.objects.filter(~Exists(stored)).order_by("pk")
    total = missing.count()
    ids = list(missing.values_list("pk", flat=True))
    if backwards:
        ids.reverse()

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
        with IndexVersion.objects.listed():
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
    """Bring the version up to date, then look again for photos that came or went meanwhile, until none does."""
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    while indexing.add_missing(version) + indexing.add_gone(version) or pending.exists():
        if postponed := indexing.drain(version, report, wait=True):
            raise _interrupted(postponed)


def _interrupted(reason: str) -> BuildInterrupted:
    sentence = _("The build has stopped; the next one goes on where it ended. %(reason)s")
    return BuildInterrupted(sentence % {"reason": reason})


def _activate(version: IndexVersion, report: Progress, *, force: bool = False, compare: bool = True) -> IndexVersion:
    """Switch to a version in one step, if it may go live. Raises BuildRefused, and BuildRunning if it was given up.

    Without `compare` its index need only be complete and sound: it may be worse than the live one.
    """
    IndexVersion.objects.filter(pk=version.pk, state=IndexVersion.State.BUILDING).update(
        state=IndexVersion.State.READY
    )
    live = IndexVersion.objects.live()
    if live is not None and live.pk != version.pk:
        _judge(version, live if compare else None, report, force=force)
        _index_all(version, report)  # what came while it was measured
    index_of(version).activate()
    now = timezone.now()
    with transaction.atomic():
        standing = IndexVersion.objects.select_for_update().filter(pk=version.pk)
        state = standing.values_list("state", flat=True).first()
        if state not in (IndexVersion.State.READY, IndexVersion.State.LIVE):
            raise BuildRunning(_("The version was discarded meanwhile. Rebuild the index to make another."))
        # Of two processes that built it together, the second finds it live.
        if state == IndexVersion.State.READY:
            IndexVersion.objects.filter(state=IndexVersion.State.LIVE).update(
                state=IndexVersion.State.RETIRED, retired=now
            )
            standing.update(state=IndexVersion.State.LIVE, activated=now, retired=None)
    version.refresh_from_db(fields=["state", "activated", "retired", "quality"])
    # A change that was committed between the last look and the switch is pending in the ledger: nothing is lost.
    indexing.sync_version(version)
    return version


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
        _index_all(version, report)
    refusals = figures.refusals()
    verdict = "accepted" if not refusals else "forced" if force else "refused"
    version.refresh_from_db(fields=["quality"])
    version.quality["gate"] = figures.to_json() | {"verdict": verdict, "at": timezone.now().isoformat()}
    version.save(update_fields=["quality"])
    if verdict == "refused":
        if live is not None:
            _hold(live)
        text = _(
            "Version %(number)d is not switched to; it is kept, and the live one goes on. %(reasons)s Switch to it "
            "anyway with “manage.py rebuild_index --force”, or give it up with “--discard”; the admin's page of the "
            "index has buttons for both."
        )
        raise BuildRefused(text % {"number": version.pk, "reasons": " ".join(refusals)})
