"""A new version of the index, built beside the live one.

A build embeds what has no embedding yet, fits the projection and the calibration to what the catalogue holds now,
indexes every photo, and looks for those that came meanwhile. Only then does it go live, and only if it is complete
and not worse than the live version (`activation`). Where embeddings are stored already (a refit, a lost index) the
model is not asked. The next build continues one that was interrupted.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.models import Category, ProductImage
from jobs.running import Progress, Record
from search.exceptions import IndexMissing, NothingToCancel
from search.indexes import index_of
from search.lifecycle import activation, jobs
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.vision import colours, fitting, matches
from search.vision.embedders import embedders
from search.writing import embedding, indexing, ledger
from search.writing.embedding import Failure, Kind

logger = logging.getLogger(__name__)


#: Embeddings asked for by one query.
BATCH = 500


class StoredRows:
    """Embeddings (n, d), float16, that are read from the database as they are asked for: those of a million photos
    need gigabytes."""

    def __init__(self, draft: IndexVersion, keys: npt.NDArray[np.int64], alive: Callable[[], object]) -> None:
        self._stored = Embedding.objects.of(draft)
        #: (n,), the key of each row's `Embedding`; photos of one content share it
        self._keys = keys
        self.shape = (len(keys), embedders[draft.embedder].dimensions)
        #: told of every query: to read all takes minutes
        self._alive = alive

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, rows: slice | npt.NDArray[np.intp]) -> npt.NDArray[np.float16]:
        keys, places = np.unique(self._keys[rows], return_inverse=True)
        found = np.zeros((len(keys), self.shape[1]), np.float16)  # one that is deleted meanwhile is like no other
        for start in range(0, len(keys), BATCH):
            self._alive()
            batch = keys[start : start + BATCH]
            stored = list(self._stored.filter(pk__in=batch.tolist()).values_list("pk", "embedding"))
            numbers = np.searchsorted(batch, np.array([key for key, _data in stored], np.int64))
            read = np.frombuffer(b"".join(data for _key, data in stored), "<f2")
            found[start + numbers] = read.reshape(len(stored), self.shape[1])
        return found[places]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a version is fitted to: a row per photo."""

    embeddings: StoredRows
    categories: list[int | None]
    #: (n,)
    products: npt.NDArray[np.int64]


def rebuild(
    embedder_alias: str = "default",
    progress: Progress | None = None,
    job: IndexJob | None = None,
    *,
    refresh: bool = True,
    force: bool = False,
) -> IndexVersion:
    """Build a new version, make it live, and return it.

    A build that was interrupted is continued. After an error of the model or the index, or after a cancelled build,
    the next one asks the model only for photos that have no embedding yet.

    job: one that was taken.
    refresh: ask a remote model first which model it is.
    force: switch to the new version even if it is worse.

    Raises BuildRefused if the new version is not complete, or worse than the live one: it is kept until it is forced
    or cancelled. Raises JobRunning, JobCancelled, and the errors of the model and the index.
    """
    options = {"model": embedder_alias, "force": force}
    with jobs.recorded(IndexJob.Kind.REBUILD, progress, job, options) as report:
        if refresh:
            embedders[embedder_alias].refresh_manifest()
        ledger.ensure_live_version()
        wanted = draft(embedder_alias)
        version = _unfinished(wanted)
        if version is None:
            _embed_all(wanted, report)
            version = _begin(wanted, report)
        activation.bring_up_to_date(version, report)
        version = activation.activate(version, report, force=force)
        indexed = IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED)
        report.result(version=version, photos=indexed.count())
    return version


def cancel() -> IndexVersion | None:
    """Cancel the rebuild or rollback that is queued or running, and discard the version that is not live yet.

    Embeddings are kept. A version that was being rolled back to can still be rolled back to. Returns the version, if
    there was one. Raises NothingToCancel.
    """
    with IndexVersion.objects.lock_for_create():
        cancelled = jobs.cancel((IndexJob.Kind.REBUILD, IndexJob.Kind.ROLLBACK))
        version = IndexVersion.objects.unfinished()
        if version is not None:
            retire(version)
    if version is None and not cancelled:
        raise NothingToCancel(_("There is no rebuild to cancel."))
    return version


def unfinished_model() -> str:
    """The alias of the model that an interrupted build would be continued with; else "default"."""
    version = IndexVersion.objects.unfinished()
    alias = version.embedder if version is not None and not version.returning else "default"
    return alias if alias in embedders else "default"


def draft(alias: str) -> IndexVersion:
    """The version that a rebuild with a model would make, not saved. Raises what the model raises."""
    embedder = embedders[alias]
    return IndexVersion(
        backend=settings.VECTOR_INDEX,
        embedder=alias,
        fingerprint=embedder.fingerprint,
        colours_version=colours.COLOURS_VERSION,
        width=embedder.dimensions + colours.WIDTH,
    )


def _unfinished(draft: IndexVersion) -> IndexVersion | None:
    """An interrupted build in the same space. One of another model, or in another index, is discarded."""
    version = IndexVersion.objects.unfinished()
    if version is None:
        return None
    space, wanted = ((one.backend, one.embedder, one.fingerprint, one.colours_version) for one in (version, draft))
    if space == wanted and not version.returning:
        try:
            ledger.make_index(version)  # the process that began it may have come no further
            index_of(version).count()
        except IndexMissing:  # what the ledger says of it is no longer true
            logger.warning("The unfinished index version %s was lost; it is built again.", version.pk)
        else:
            return version
    retire(version)
    return None


def retire(version: IndexVersion) -> None:
    """Give up a version that is not live. It is dropped later: a process may be writing to it, or to its ledger."""
    values = {"retired": timezone.now()} if version.retired is None else {}
    standing = IndexVersion.objects.filter(pk=version.pk, state__in=["building", "ready"])
    standing.update(state=IndexVersion.State.RETIRED, **values)


def _embed_all(draft: IndexVersion, report: Progress) -> None:
    """Make the embeddings that are missing in the space of a draft.

    Photos that cannot be embedded now are left out of the fit, and tried again when they are indexed.
    """
    stored = Embedding.objects.of(draft).filter(digest=OuterRef("sha256"))
    missing = ProductImage.objects.filter(~Exists(stored)).order_by("pk")
    total = missing.count()
    ids = list(missing.values_list("pk", flat=True))
    begun = 0  # of the claim that is being embedded
    batch_size = embedders[draft.embedder].batch_size

    def alive(_photos: int) -> None:
        """Told after each batch of a claim."""
        nonlocal begun
        begun += batch_size
        report("embed", min(total - len(ids) + begun, total), total)

    while ids:
        begun = 0
        photos = list(ProductImage.objects.filter(pk__in=ids[: indexing.CLAIM]))
        embedded = embedding.embed(draft, photos, alive)
        failures = {digest: one for digest, one in embedded.items() if isinstance(one, Failure)}
        waiting = [one.reason for one in failures.values() if one.kind is Kind.TEMPORARY]
        if waiting and len(failures) == len(embedded):
            raise activation.interrupted(waiting[0])
        not_reached = {digest for digest, one in failures.items() if one.kind is Kind.NOT_REACHED}
        ids = [photo.pk for photo in photos if photo.sha256 in not_reached] + ids[indexing.CLAIM :]
        report("embed", total - len(ids), total)


def _begin(draft: IndexVersion, report: Record) -> IndexVersion:
    """Fit to what is embedded, and save the new version with every photo pending."""
    report("fit", 0, 1)
    training = load(draft, lambda: report("fit", 0, 1))
    parents = dict(Category.objects.values_list("pk", "parent_id"))
    fit = fitting.fit(training.embeddings, training.categories, parents, training.products)
    calibration = matches.calibrate(training.embeddings, training.products)
    report("fit", 1, 1)
    draft.photos, draft.quality = len(training.products), fit.report
    draft.calibration_json = calibration.to_json() if calibration else ""
    if fit.projection:
        draft.projection_bytes, draft.width = fit.projection.to_bytes(), fit.projection.width + colours.WIDTH
    with IndexVersion.objects.lock_for_create():
        report.job.renew()  # `cancel` takes the same lock: it either stops this or finds the version
        draft.save(force_insert=True)
    ledger.make_index(draft)
    return draft


def load(draft: IndexVersion, alive: Callable[[], object] = lambda: None) -> TrainingSet:
    """Which embeddings the catalogue's photos have, with each photo's category and product: some fifty bytes a photo.

    The embeddings are read as they are asked for: the projection takes a sample, the calibration a block at a time.
    """
    stored = Embedding.objects.of(draft).filter(digest=OuterRef("sha256"))
    photos = ProductImage.objects.annotate(embedding=Subquery(stored.values("pk"))).order_by("pk")
    rows = photos.values_list("embedding", "product_id", "product__category_id")
    keys, products = array("q"), array("q")
    categories: list[int | None] = []
    for key, product, category in rows.iterator():
        if key is not None:
            keys.append(key)
            products.append(product)
            categories.append(category)
    return TrainingSet(
        embeddings=StoredRows(draft, np.array(keys, np.int64), alive),
        categories=categories,
        products=np.array(products, np.int64),
    )
