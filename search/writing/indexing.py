"""The write path: what is pending -> embedded -> in the index.

The ledger (`IndexEntry`) says what is pending; it was written in the transaction that changed the catalogue. Every
function here may run twice, late, in several processes at once, or die half-way: entries are claimed for the time of
a lease, embeddings are stored once per content, and an index keeps the document of the highest generation.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue import images
from catalogue.files import StorageRefused, StorageUnavailable
from catalogue.models import ProductImage
from search.exceptions import (
    DocumentsRejected,
    EmbedderError,
    EmbedderUnavailable,
    PicturesRejected,
    SpaceMismatch,
    VectorIndexError,
)
from search.indexes import index_of
from search.indexes.base import Document
from search.lifecycle import runs
from search.models import Embedding, IndexEntry, IndexVersion
from search.vision import colours, pictures, vectors
from search.vision.blocks import Blocks, blocks
from search.vision.embedders import Embedder, embedders

logger = logging.getLogger(__name__)

#: Photos claimed at a time: enough to keep the model busy, few enough to hold their squares (150 KB each).
CLAIM = 256
#: Longer than any claim takes; a dead worker's entries come back after it.
LEASE = timedelta(minutes=10)
#: Seconds after which no further batch of a claim is begun. A batch takes a minute at the most, so that a claim ends
#: long before its lease, and before the run that it belongs to is taken for left.
CLAIM_SECONDS = 60.0
#: How many workers may die of an entry. By the last one it was alone.
MOST_LOSSES = 3
#: The pause after the first temporary failure; each further one doubles it, up to the longest.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(hours=1)
#: How often a file is asked for that the storage refuses while it gives out others. Then its photo fails.
MOST_REFUSALS = 3
#: What is tried again so soon is waited for by a build: the longest pause of a file that is refused is shorter.
SOON = FIRST_PAUSE * 2**MOST_REFUSALS

#: Told how many photos were settled since it was last told; 0 is a sign of life.
Progress = Callable[[int], object]


@dataclass
class Outcome:
    """What a run of the write path did, in photos."""

    indexed: int = 0
    gone: int = 0
    failed: int = 0
    postponed: int = 0
    #: of those that are postponed: the storage refuses the photo's file, and that is no word about the others
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
    def in_vain(self) -> bool:
        """Whether nothing could be done, since the model, the index or the storage is away."""
        return self.postponed == self.total and self.refused < self.postponed


@dataclass
class Embedded:
    """The embeddings of some contents, and why others have none."""

    found: dict[str, Embedding] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    #: temporary failures: worth another try
    postponed: dict[str, str] = field(default_factory=dict)
    #: whose file alone the storage refuses: worth a few more tries
    refused: dict[str, str] = field(default_factory=dict)
    #: not begun, for want of time: whoever comes next goes on with them
    left: set[str] = field(default_factory=set)


# The version ------------------------------------------------------------------------------------------------


def live_version() -> IndexVersion:
    """The live version; the first is made on the spot, without a projection, with every photo pending.

    Where its index cannot be made now, it is made when something is written to it, or by the next upkeep.
    """
    version = IndexVersion.objects.live()
    if version is None:
        embedder = embedders["default"]
        # Asked before the transaction: a model that is elsewhere may take its time to answer.
        fingerprint, dimensions = embedder.fingerprint, embedder.dimensions
        try:
            with IndexVersion.objects.listed():
                version = IndexVersion.objects.create(
                    backend=settings.VECTOR_INDEX,
                    fingerprint=fingerprint,
                    colours_version=colours.COLOURS_VERSION,
                    width=dimensions + colours.WIDTH,
                    state=IndexVersion.State.LIVE,
                    activated=timezone.now(),
                )
        except IntegrityError:  # another process was first
            return live_version()
        add_missing(version)
        make_index(version)
    return version


def make_index(version: IndexVersion) -> None:
    """Make the index of a version where nothing was ever written to it.

    Its row is committed before: an index is made over the network, and while a version is added to the list, whoever
    changes the catalogue waits. So there may be a row without an index, where that was away or the process died. It
    cannot be mistaken for an index that was lost: nothing of it is settled in the ledger, all is still to be written.
    """
    settled = IndexEntry.objects.filter(version=version, state__in=["indexed", "failed", "gone"])
    if not settled.exists():
        index_of(version).create()


def embedder_of(version: IndexVersion) -> Embedder:
    """The model whose vectors a version holds: that of its alias, or of any other that is the same model by now.

    Those are asked first that take no network. Raises SpaceMismatch if none is, and EmbedderError where the version's
    own alias cannot be asked what it is.
    """
    own = version.embedder if version.embedder in embedders else "default"
    fingerprint, trouble = "", None
    remote: list[Embedder] = []
    for alias in sorted([own, *(other for other in embedders if other != own)], key=_remote):
        try:
            embedder = embedders[alias]
            if embedder.fingerprint == version.fingerprint and version.colours_version == colours.COLOURS_VERSION:
                return embedder
            if alias == own or not fingerprint:
                fingerprint = embedder.fingerprint
            if embedder.remote:
                remote.append(embedder)
        except (EmbedderError, ImproperlyConfigured) as error:
            if alias == own:
                trouble = error
    if trouble is not None:
        raise trouble
    for embedder in remote:
        embedder.doubt()
    raise SpaceMismatch(
        _(
            "The index was built with the model %(built)s (colours %(built_colours)s), but %(model)s (colours "
            "%(colours)s) is configured. Run “manage.py rebuild_index” to build an index with it; until then, "
            "configure the former model."
        )
        % {
            "built": version.fingerprint,
            "built_colours": version.colours_version,
            "model": fingerprint,
            "colours": colours.COLOURS_VERSION,
        }
    )


def _remote(alias: str) -> bool:
    try:
        return embedders[alias].remote
    except ImproperlyConfigured:
        return False


def other_model(version: IndexVersion) -> str:
    """A sentence for staff where the default model is not that of a version, or cannot be asked; else empty."""
    try:
        configured = embedders["default"].fingerprint
        if configured == version.fingerprint:
            return ""
        embedder_of(version)
    except (EmbedderError, SpaceMismatch, ImproperlyConfigured) as error:
        return str(error)
    return _(
        "The index was built with the model %(built)s and goes on answering with it, but %(model)s is configured. "
        "Rebuild the index (or run “manage.py rebuild_index”) to search with that one."
    ) % {"built": version.fingerprint, "model": configured}


def add_missing(version: IndexVersion) -> int:
    """Make pending every photo that the ledger of a version does not know; returns how many."""
    known = IndexEntry.objects.filter(version=version, photo_id=OuterRef("pk"))
    missing = ProductImage.objects.filter(~Exists(known)).order_by("pk").values_list("pk", flat=True)
    added = 0
    # In chunks read whole: a reader that is half-way when it writes is refused by SQLite.
    while chunk := list(missing[:5_000]):
        with transaction.atomic():
            IndexEntry.objects.change(version, chunk)
        added += len(chunk)
    return added


def add_gone(version: IndexVersion) -> int:
    """Make pending every entry of a version that is settled although its photo is gone; returns how many."""
    present = ProductImage.objects.filter(pk=OuterRef("photo_id"))
    left = IndexEntry.objects.filter(~Exists(present), version=version, state__in=["indexed", "failed"])
    gone = list(left.values_list("photo_id", flat=True))
    with transaction.atomic():
        IndexEntry.objects.change(version, gone)
    return len(gone)


# Pending -> indexed -----------------------------------------------------------------------------------------


def reconcile(report: runs.Progress | None = None) -> Outcome:
    """Bring every version up to date: whatever is pending, due for another try, or left by a dead worker.

    `report` is told of the stage `index`.
    """
    add_missing(live_version())
    written = IndexVersion.objects.writable().values("pk")
    return sync(progress=_counter(report, IndexEntry.objects.due().filter(version__in=written).count()))


def sync(ids: Iterable[int] | None = None, progress: Progress | None = None, limit: int | None = None) -> Outcome:
    """Index the pending ones of these photos (all by default) in every version that is written to.

    `limit` ends the run once it has seen about that many photos of each version.
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
    """Index what is pending in one version; what needs a model that is away, or has become another, is postponed."""
    outcome = Outcome()
    entries = IndexEntry.objects.filter(version=version)
    if ids is not None:
        entries = entries.filter(photo_id__in=ids)
    while claimed := entries.claim(min(CLAIM, limit or CLAIM), lease=LEASE):
        try:
            step = _sync_claimed(version, claimed, progress)
        except BaseException:
            release(claimed)
            raise
        outcome += step
        runs.count(step.total - step.postponed)
        if progress:
            progress(step.total)
        if limit is not None and outcome.total >= limit:
            break
        if step.in_vain:
            break  # do not ask for each photo what is away
    return outcome


def drain(version: IndexVersion, report: runs.Progress | None = None, *, wait: bool = False) -> str:
    """Index what is pending in a version, until nothing is or what is left waits for another try: then says why.

    `report` is told of the stage `index`. With `wait` it also waits for what another process holds or is tried again
    soon, and keeps the index in shape after each step: for whoever writes as much as a build does.
    """
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    count = _counter(report, pending.count())

    def advance(photos: int) -> None:
        count(photos)
        if wait and photos:
            index_of(version).maintain()

    while pending.exists():
        outcome = sync_version(version, progress=advance)
        if outcome.in_vain or (outcome.postponed and not wait):
            return why_waiting(version)
        if not outcome.total:
            now = timezone.now()
            held = pending.filter(Q(leased_until__gt=now) | Q(next_try__lte=now + SOON))
            if not (wait and held.exists()):
                return why_waiting(version) if pending.exists() else ""
            advance(0)  # alive, and obeying
            time.sleep(0.2)  # another process may hold what is left; if it has died, its lease runs out
    return ""


def why_waiting(version: IndexVersion) -> str:
    """Why photos that are pending in a version wait for another try, as far as it is known."""
    pending = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING)
    reasons = pending.exclude(reason="").values_list("reason", flat=True)
    return reasons.first() or _("Some photos wait for another try.")


def _counter(report: runs.Progress | None, total: int) -> Progress:
    """Adds up the photos that are settled, of about `total`, and tells `report`, if there is one; now of none."""
    done = 0

    def count(photos: int) -> None:
        nonlocal done
        done += photos
        if report:
            report("index", done, max(done, total))

    count(0)
    return count


def release(entries: Sequence[IndexEntry]) -> None:
    """Give claimed entries back at once, for whoever comes next."""
    if not entries:
        return
    held = IndexEntry.objects.filter(pk__in=[entry.pk for entry in entries])
    with transaction.atomic():
        held.lock()
        held.update(leased_until=None)


def _sync_claimed(version: IndexVersion, entries: Sequence[IndexEntry], progress: Progress | None) -> Outcome:
    photos = {
        photo.pk: photo
        for photo in ProductImage.objects.filter(pk__in=[entry.photo_id for entry in entries]).select_related(
            "product"
        )
    }
    present = [entry for entry in entries if entry.photo_id in photos]
    gone = [entry for entry in entries if entry.photo_id not in photos]

    fatal = {photos[e.photo_id].sha256 for e in present if e.losses > MOST_LOSSES}
    embedded = _embedded(version, [photo for photo in photos.values() if photo.sha256 not in fatal], progress)
    embedded.failed |= dict.fromkeys(fatal, _("Every worker that was at this photo has died. Replace the photo."))
    ready = [entry for entry in present if photos[entry.photo_id].sha256 in embedded.found]
    failed = {e: embedded.failed[d] for e in present if (d := photos[e.photo_id].sha256) in embedded.failed}
    postponed = {e: embedded.postponed[d] for e in present if (d := photos[e.photo_id].sha256) in embedded.postponed}
    refused = {e: embedded.refused[d] for e in present if (d := photos[e.photo_id].sha256) in embedded.refused}
    failed |= {entry: reason for entry, reason in refused.items() if entry.attempts + 1 >= MOST_REFUSALS}
    refused = {entry: reason for entry, reason in refused.items() if entry not in failed}

    index = index_of(version)
    try:
        make_index(version)
        try:
            index.upsert(documents(version, [(e, photos[e.photo_id]) for e in ready], embedded.found))
        except DocumentsRejected as rejected:
            failed |= {
                entry: rejected.reasons[entry.photo_id] for entry in ready if entry.photo_id in rejected.reasons
            }
            ready = [entry for entry in ready if entry not in failed]
        # A photo that can no longer be embedded must not be found by what it showed before.
        index.delete({entry.photo_id: entry.generation for entry in [*gone, *failed]})
    except VectorIndexError as error:
        logger.warning("The index did not take %d photos: %s", len(entries), error)
        if error.permanent:
            raise
        _postpone(dict.fromkeys(entries, str(error)))
        return Outcome(postponed=len(entries))

    _settle(ready, IndexEntry.State.INDEXED)
    _settle(gone, IndexEntry.State.GONE)
    for entry, reason in failed.items():
        _settle([entry], IndexEntry.State.FAILED, reason)
    _postpone(postponed | refused)
    release([entry for entry in present if photos[entry.photo_id].sha256 in embedded.left])
    return Outcome(len(ready), len(gone), len(failed), len(postponed) + len(refused), len(refused))


def _embedded(version: IndexVersion, photos: Sequence[ProductImage], progress: Progress | None) -> Embedded:
    """The embeddings of photos in the space of a version. Its model is looked for only where some are missing."""
    result = Embedded(found=_stored({photo.sha256 for photo in photos}, version.fingerprint, version.colours_version))
    missing = [photo for photo in photos if photo.sha256 not in result.found]
    if missing:
        try:
            made = embed(missing, embedder_of(version), progress)
        except (EmbedderError, SpaceMismatch, ImproperlyConfigured) as error:
            logger.warning("%d photos could not be embedded: %s", len(missing), error)
            result.postponed = {photo.sha256: str(error) for photo in missing}
        else:
            made.found |= result.found
            return made
    return result


def documents(
    version: IndexVersion, rows: Sequence[tuple[IndexEntry, ProductImage]], embeddings: dict[str, Embedding]
) -> list[Document]:
    """The documents of photos (their products loaded) in the space of a version."""
    if not rows:
        return []
    stored = [embeddings[photo.sha256] for _entry, photo in rows]
    colour = Embedding.unpack(row.colour for row in stored)
    found = vectors.document(style_of(version, Embedding.unpack(row.embedding for row in stored)), colour)
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
        for (entry, photo), embedding, vector in zip(rows, stored, found, strict=True)
    ]


def style_of(version: IndexVersion, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Raw embeddings (n, d) -> style blocks (n, w) in the space of a version."""
    projection = version.projection
    return vectors.unit(embeddings) if projection is None else projection.apply(embeddings)


def _settle(entries: Sequence[IndexEntry], state: str, reason: str = "") -> None:
    """Record what was done, except where a newer change has come meanwhile: that stays pending."""
    by_generation: dict[int, list[IndexEntry]] = defaultdict(list)
    for entry in entries:
        by_generation[entry.generation].append(entry)
    overtaken: list[IndexEntry] = []
    with transaction.atomic():
        IndexEntry.objects.filter(pk__in=[entry.pk for entry in entries]).lock()
        for generation, group in by_generation.items():
            ids = [entry.pk for entry in group]
            settled = IndexEntry.objects.filter(pk__in=ids, generation=generation).update(
                state=state, reason=reason, attempts=0, losses=0, leased_until=None
            )
            if settled < len(group):
                overtaken += group
        if overtaken:
            _look_again(overtaken)


def _look_again(entries: Sequence[IndexEntry]) -> None:
    """A slow writer's document may have landed after a newer change was settled; make that change pending again.

    OpenSearch forgets a deletion after a while, so that a late write could bring a deleted photo back.
    """
    written = {entry.pk: entry.generation for entry in entries}
    for entry in IndexEntry.objects.filter(pk__in=written).exclude(state=IndexEntry.State.PENDING):
        if entry.generation > written[entry.pk]:
            IndexEntry.objects.change(entry.version, [entry.photo_id])


def _postpone(reasons: dict[IndexEntry, str]) -> None:
    """Let entries wait for another try, longer each time."""
    now = timezone.now()
    for entry, reason in reasons.items():
        pause = min(FIRST_PAUSE * 2 ** min(entry.attempts, 20), LONGEST_PAUSE)
        IndexEntry.objects.filter(pk=entry.pk, generation=entry.generation).update(
            attempts=F("attempts") + 1, losses=0, next_try=now + pause, reason=reason, leased_until=None
        )


# Content -> embedding ---------------------------------------------------------------------------------------


def embed(photos: Iterable[ProductImage], embedder: Embedder, progress: Progress | None = None) -> Embedded:
    """The embeddings of photos by the digests of their contents; missing ones are made and stored.

    Where the model is away, it is not asked for the rest: that is postponed for the same reason. `progress` is told
    0 between two batches.
    """
    by_digest: dict[str, list[ProductImage]] = defaultdict(list)
    for photo in photos:
        by_digest[photo.sha256].append(photo)
    result = Embedded(found=_stored(by_digest, embedder.fingerprint, colours.COLOURS_VERSION))
    missing = {digest: same for digest, same in by_digest.items() if digest not in result.found}
    made: list[Embedding] = []
    prepared = _prepared(missing, embedder, result)
    until = time.monotonic() + CLAIM_SECONDS
    try:
        with closing(prepared):
            while batch := list(islice(prepared, embedder.batch_size)):
                try:
                    made += _embed_batch(batch, embedder, result)
                except EmbedderUnavailable as error:
                    result.postponed.update(dict.fromkeys(_unsettled(missing, made, result), str(error)))
                    break
                if progress:
                    progress(0)
                if time.monotonic() >= until:
                    result.left = _unsettled(missing, made, result)
                    break
    finally:
        # Also where the process was told to stop between two batches: what is made is kept.
        if made:
            _keep(made)
    result.found.update({row.digest: row for row in made})
    return result


def _keep(made: Sequence[Embedding]) -> None:
    Embedding.objects.bulk_create(
        made,
        update_conflicts=True,
        unique_fields=["digest", "fingerprint"],
        update_fields=["embedding", "colour", "colours_version", "colours"],
        batch_size=100,
    )


def _stored(digests: Iterable[str], fingerprint: str, colours_version: int) -> dict[str, Embedding]:
    rows = Embedding.objects.filter(digest__in=list(digests), fingerprint=fingerprint)
    return {row.digest: row for row in rows if row.colours_version == colours_version}


def _unsettled(digests: Iterable[str], made: Sequence[Embedding], result: Embedded) -> set[str]:
    """Those of which nothing has come yet."""
    settled = result.failed.keys() | result.postponed.keys() | result.refused.keys()
    return set(digests) - {row.digest for row in made} - settled


def _prepared(
    contents: dict[str, list[ProductImage]], embedder: Embedder, result: Embedded
) -> Generator[tuple[str, Blocks]]:
    """Read and decode contents in a few threads, ahead of the model; those that cannot be go into `result`.

    Each content comes with the photos that have it: any one's file will do.
    """
    if not contents:
        return
    size, short_side = embedder.size, pictures.short_side(embedder.size)
    done: set[str] = set()

    def prepare(photos: Sequence[ProductImage]) -> Blocks:
        for photo in photos:
            with suppress(FileNotFoundError), photo.file.open() as file:
                return blocks(images.read(file.read(), short_side=short_side).image, size)
        raise FileNotFoundError(photos[0].file.name)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), thread_name_prefix="prepare") as pool:
        futures = [(digest, pool.submit(prepare, photos)) for digest, photos in contents.items()]
        try:
            for digest, future in futures:
                try:
                    prepared = future.result()
                except images.ImageRefused as error:
                    result.failed[digest] = str(error)
                except FileNotFoundError:
                    # One sentence for all of them: reasons are grouped, and the photo says which file it is.
                    result.failed[digest] = _("The file is missing from the storage. Upload the photo again.")
                except StorageRefused as error:
                    result.refused[digest] = str(error)
                except StorageUnavailable as error:
                    # It is not asked for the rest, as a model is not that is away.
                    logger.warning("Photos could not be read: %s", error)
                    missing = contents.keys() - (done | result.failed.keys() | result.refused.keys())
                    result.postponed.update(dict.fromkeys(missing, str(error)))
                    return
                except Exception as error:
                    # One photo fails alone, whatever is wrong with it; staff see why, and can try again.
                    logger.exception("A photo could not be prepared.")
                    result.failed[digest] = f"{type(error).__name__}: {error}"
                else:
                    done.add(digest)
                    yield digest, prepared
        finally:
            pool.shutdown(cancel_futures=True)


def _embed_batch(batch: Sequence[tuple[str, Blocks]], embedder: Embedder, result: Embedded) -> list[Embedding]:
    """Embed a batch; the pictures that the model refuses fail by themselves, and go into `result`.

    Raises EmbedderUnavailable.
    """
    refused: dict[int, str] = {}
    try:
        rows = embedder.embed(np.stack([prepared.square for _digest, prepared in batch]))
    except PicturesRejected as rejected:
        rows, refused = rejected.vectors, rejected.reasons
        result.failed.update({batch[place][0]: reason for place, reason in refused.items()})
    except EmbedderUnavailable:
        raise
    except EmbedderError as error:
        reasons = result.failed if error.permanent else result.postponed
        reasons.update({digest: str(error) for digest, _prepared in batch})
        return []
    return [
        Embedding(
            digest=digest,
            fingerprint=embedder.fingerprint,
            embedding=Embedding.pack(row),
            colour=Embedding.pack(prepared.colour),
            colours_version=colours.COLOURS_VERSION,
            colours=prepared.names,
        )
        for place, ((digest, prepared), row) in enumerate(zip(batch, rows, strict=True))
        if place not in refused
    ]


# What staff ask for -----------------------------------------------------------------------------------------


def try_again(photo_ids: Iterable[int]) -> None:
    """Make photos pending once more, whatever their state."""
    ids = sorted(set(photo_ids))
    with transaction.atomic():
        for version in IndexVersion.objects.noted():
            IndexEntry.objects.change(version, ids)


def hasten(versions: Iterable[IndexVersion] | None = None) -> int:
    """Let what waits for another try be tried now, in all versions that are written to or in these; returns how many
    entries did."""
    written = IndexVersion.objects.writable() if versions is None else versions
    now = timezone.now()
    hastened = 0
    for version in written:
        waiting = IndexEntry.objects.filter(version=version, state=IndexEntry.State.PENDING, next_try__gt=now)
        with transaction.atomic():
            waiting.lock()
            hastened += waiting.update(next_try=now)
    return hastened
