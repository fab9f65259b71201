"""What search remembers: embeddings, versions of the index, the ledger of photos in them, and shoppers' queries."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.files.storage import storages
from django.db import DatabaseError, connections, models, transaction
from django.db.models import Exists, F, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from catalogue.models import ProductImage
from search.vision import vectors
from search.vision.matches import DEFAULT, Calibration, Match
from search.vision.projection import Projection

if TYPE_CHECKING:
    from django.core.files.storage import Storage

logger = logging.getLogger(__name__)

#: How long a `QueryMemo` is kept.
MEMORY = timedelta(hours=1)
#: How long the version that was live before the present one is kept to be gone back to.
KEPT = timedelta(days=7)
#: By how much each group of entries is smaller that a dead worker has left: 256, 32, 4, 1.
SMALLER = 8


class EmbeddingQuerySet(models.QuerySet["Embedding"]):
    def of(self, version: IndexVersion, digests: Iterable[str] | None = None) -> EmbeddingQuerySet:
        """The embeddings in the space of a version, which need not be saved: of these contents, or all."""
        rows = self.filter(fingerprint=version.fingerprint, colours_version=version.colours_version)
        return rows if digests is None else rows.filter(digest__in=list(digests))

    def of_live(self) -> EmbeddingQuerySet:
        """The embeddings in the space of the live version, in one query; none where there is no index."""
        live = IndexVersion.objects.filter(state=IndexVersion.State.LIVE)
        space = {name: Subquery(live.values(name)) for name in ("fingerprint", "colours_version")}
        return self.filter(**space)


class Embedding(models.Model):
    """What one model and one version of the colour code say of one content, however many photos share it.

    Read through `objects.of(version)` only: rows of different models or colours must never be compared.
    """

    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=120)
    embedding = models.BinaryField(help_text="float16, little-endian, unit length")
    colour = models.BinaryField(help_text="float16, little-endian, unit length")
    colours_version = models.PositiveSmallIntegerField()
    colours = models.JSONField(default=list, help_text="named colours with their shares, the largest first")

    objects: ClassVar[EmbeddingQuerySet] = EmbeddingQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest", "fingerprint", "colours_version"], name="embedding_once_per_space"
            )
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} by {self.fingerprint}"

    @staticmethod
    def pack(row: npt.NDArray[np.floating[Any]]) -> bytes:
        """A row of floats as little-endian float16 bytes."""
        return row.astype("<f2").tobytes()

    @staticmethod
    def unpack(rows: Iterable[bytes | memoryview]) -> npt.NDArray[np.float32]:
        """Stored rows of one width as float32 (n, width)."""
        joined = [bytes(row) for row in rows]
        if not joined:
            return np.zeros((0, 0), np.float32)
        return np.frombuffer(b"".join(joined), "<f2").reshape(len(joined), -1).astype(np.float32)


class IndexVersionQuerySet(models.QuerySet["IndexVersion"]):
    def live(self) -> IndexVersion | None:
        """The version that answers searches."""
        return self.defer("projection_bytes").filter(state=IndexVersion.State.LIVE).first()

    def unfinished(self) -> IndexVersion | None:
        """The version that is not live yet: a build, or a former version on its way back."""
        return self.defer("projection_bytes").filter(state__in=["building", "ready"]).first()

    def former(self) -> IndexVersion | None:
        """The version that was live before, as long as it can be gone back to."""
        return self.defer("projection_bytes").filter(retired__gt=timezone.now() - KEPT).last_retired()

    def last_retired(self) -> IndexVersion | None:
        """Of those that were live, the one that was retired last."""
        were_live = self.filter(state=IndexVersion.State.RETIRED, activated__isnull=False)
        return were_live.order_by("-retired", "-pk").first()

    def writable(self) -> IndexVersionQuerySet:
        """The versions that are indexed into: the live one, and one that is being built, unless that is paused."""
        paused = IndexRun.objects.filter(state=IndexRun.State.PAUSED)
        building = Q(state__in=["building", "ready"]) & ~Exists(paused)
        return self.defer("projection_bytes").filter(building | Q(state=IndexVersion.State.LIVE)).order_by("pk")

    def noted(self) -> list[IndexVersion]:
        """The versions whose ledger learns of every change; asked in the transaction of the change, one query.

        Also a paused build, and the version that can be gone back to: what is pending in it waits until then.

        None joins them until the transaction ends: else a build that begins meanwhile would read what was there
        before the change, and be told nothing of it.
        """
        self._lock("ROW EXCLUSIVE")
        versions = list(self.defer("projection_bytes").order_by("retired", "pk"))
        standing = [version for version in versions if version.state != IndexVersion.State.RETIRED]
        former = [version for version in versions if version not in standing and version.activated][-1:]
        oldest = timezone.now() - KEPT
        return standing + [version for version in former if version.retired and version.retired > oldest]

    @contextmanager
    def listed(self) -> Iterator[None]:
        """A transaction that adds a version or takes one away, while nobody is half-way through a change to all.

        Searches go on; changes wait until it ends, as it has waited for those that were under way. So nothing is
        done in it that may take long.
        """
        with transaction.atomic(using=self.db):
            self._lock("SHARE ROW EXCLUSIVE")
            yield

    def _lock(self, mode: str) -> None:
        """Lock the table; SQLite has one writer at a time."""
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {connection.ops.quote_name(self.model._meta.db_table)} IN {mode} MODE")


class IndexVersion(models.Model):
    """One index of one space: an embedder, a projection and a colours' version, with a document per photo."""

    class State(models.TextChoices):
        BUILDING = "building", _("building")
        READY = "ready", _("ready")
        LIVE = "live", _("live")
        RETIRED = "retired", _("retired")

    backend = models.CharField(_("index"), max_length=50, default="default", help_text=_("alias in VECTOR_INDEXES"))
    embedder = models.CharField(_("model"), max_length=50, default="default", help_text=_("alias in EMBEDDERS"))
    fingerprint = models.CharField(_("fingerprint"), max_length=120)
    projection_bytes = models.BinaryField(null=True, blank=True)
    colours_version = models.PositiveSmallIntegerField()
    width = models.PositiveIntegerField(_("width"), help_text=_("numbers in a document"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.BUILDING)
    #: Counts the changes of the index. Whoever publishes one takes the next number first, and holds the row's lock
    #: until the commit: the order of the numbers is the order of the commits.
    sequence = models.PositiveBigIntegerField(default=0)
    #: The embedded index's file holds every change up to this number; newer ones are in `IndexDelta`.
    base_sequence = models.PositiveBigIntegerField(default=0)
    photos = models.PositiveIntegerField(_("photos when built"), default=0)
    calibration_json = models.TextField(blank=True)
    quality = models.JSONField(_("quality"), default=dict, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now)
    activated = models.DateTimeField(_("activated"), null=True, blank=True)
    retired = models.DateTimeField(_("retired"), null=True, blank=True)

    objects: ClassVar[IndexVersionQuerySet] = IndexVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("index version")
        verbose_name_plural = _("index versions")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="live"), name="one_live_version"),
            models.UniqueConstraint(
                fields=["backend"], condition=Q(state__in=["building", "ready"]), name="one_building_version"
            ),
            models.CheckConstraint(condition=Q(base_sequence__lte=F("sequence")), name="base_not_ahead_of_sequence"),
        ]

    def __str__(self) -> str:
        return _("version %(number)s (%(state)s)") % {"number": self.pk, "state": self.get_state_display()}

    @property
    def projection(self) -> Projection | None:
        """The version's projection; read from the database once per process."""
        return _projection(self.pk, self.created)

    @cached_property
    def calibration(self) -> Calibration:
        """What cosines mean in words; the default until the catalogue is large enough to calibrate."""
        return Calibration.from_json(self.calibration_json) if self.calibration_json else DEFAULT

    @property
    def space(self) -> str:
        digest = self.projection.digest if self.projection else None
        return vectors.space(self.fingerprint, digest, self.colours_version)

    @property
    def refused(self) -> bool:
        """Whether it was measured and found worse than the live version."""
        return bool(self.quality.get("gate", {}).get("verdict") == "refused")

    @property
    def returning(self) -> bool:
        """Whether it was live before and is on its way back."""
        return self.state == self.State.READY and self.activated is not None

    def next_sequence(self) -> int:
        """Take the next number of this version's changes; must run inside the transaction that makes the change."""
        connection = transaction.get_connection()
        if not connection.in_atomic_block:
            raise transaction.TransactionManagementError("A sequence number must be taken inside a transaction.")
        IndexVersion.objects.filter(pk=self.pk).update(sequence=F("sequence") + 1)
        self.sequence = IndexVersion.objects.values_list("sequence", flat=True).get(pk=self.pk)
        return self.sequence


@lru_cache(maxsize=4)
def _projection(pk: int, created: datetime) -> Projection | None:
    """A version's projection, a megabyte or two; `created` tells versions apart where a database reuses keys."""
    data = IndexVersion.objects.values_list("projection_bytes", flat=True).get(pk=pk)
    return None if data is None else Projection.from_bytes(bytes(data))


class IndexDelta(models.Model):
    """A change of an embedded index that is not in its file yet: a document, or a tombstone where there is no vector.

    The embedded index keeps its changes here so that every process sees them by one cheap query.
    """

    version = models.ForeignKey(IndexVersion, models.CASCADE, related_name="deltas")
    sequence = models.PositiveBigIntegerField()
    photo_id = models.PositiveBigIntegerField()
    generation = models.PositiveBigIntegerField()
    vector = models.BinaryField(null=True, help_text="float16, little-endian; none in a tombstone")
    attributes = models.JSONField(default=dict, help_text="what a filter asks for")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "photo_id"], name="delta_once_per_photo")]
        indexes = [models.Index(fields=["version", "sequence"], name="delta_by_sequence")]

    def __str__(self) -> str:
        return f"photo {self.photo_id} at {self.sequence}"


class IndexEntryQuerySet(models.QuerySet["IndexEntry"]):
    def due(self) -> IndexEntryQuerySet:
        """Pending entries whose next try has come and that no living worker holds."""
        now = timezone.now()
        return self.filter(
            Q(leased_until__isnull=True) | Q(leased_until__lte=now), state="pending", next_try__lte=now
        )

    def change(self, version: IndexVersion, photo_ids: list[int]) -> None:
        """Make these photos pending in a version, with a higher generation; part of the change's own transaction.

        Missing entries are added first: an insert waits for another transaction that inserts the same, so that the
        generation is raised after it and no change hides behind an older one.
        """
        ids = sorted(photo_ids)
        self.bulk_create(
            [IndexEntry(version=version, photo_id=pk) for pk in ids],
            ignore_conflicts=True,
            batch_size=500,
        )
        with transaction.atomic(using=self.db, savepoint=False):
            for start in range(0, len(ids), 500):
                entries = self.filter(version=version, photo_id__in=ids[start : start + 500])
                entries.lock()
                entries.update(
                    generation=F("generation") + 1,
                    state=IndexEntry.State.PENDING,
                    attempts=0,
                    worker_crashes=0,
                    next_try=timezone.now(),
                    reason="",
                    leased_until=None,
                )

    def lock(self) -> None:
        """Lock entries of one version until the transaction ends, in the order in which everybody locks several.

        An UPDATE locks its rows in any order, so that two might each wait for what the other has.
        """
        if connections[self.db].features.has_select_for_update:
            for _row in self.order_by("photo_id").select_for_update().values_list("pk").iterator():
                pass

    def overtake(self, version: IndexVersion, generations: dict[int, int]) -> None:
        """Make photos pending with a generation above the one at which the index has each (photo id -> generation).

        So that the next write holds also where the index knows newer ones than the ledger, as after the database
        was set back.
        """
        with transaction.atomic():
            self.change(version, sorted(generations))
            entries = self.filter(version=version, photo_id__in=list(generations))
            for pk, photo_id, generation in entries.values_list("pk", "photo_id", "generation"):
                if generation <= generations[photo_id]:
                    self.filter(pk=pk).update(generation=generations[photo_id] + 1)

    def claim(self, limit: int, *, lease: timedelta) -> list[IndexEntry]:
        """Take up to `limit` entries that are due, for the time of a lease; a dead worker's come back after it.

        Those come last, and in ever smaller groups: one of them may be what its worker has died of, and is alone in
        the end.
        """
        with transaction.atomic(using=self.db):
            due = self.due().order_by("pk")
            if connections[self.db].features.has_select_for_update_skip_locked:
                due = due.select_for_update(skip_locked=True)
            entries = list(due.filter(leased_until=None)[:limit])
            left = due.filter(leased_until__isnull=False)
            if not entries and (first := left.order_by("worker_crashes", "pk").first()):
                crashes = first.worker_crashes
                entries = list(left.filter(worker_crashes=crashes)[: max(1, limit // SMALLER ** (crashes + 1))])
            crashed = int(bool(entries and entries[0].leased_until))
            for entry in entries:
                entry.worker_crashes += crashed
            claimed = self.model.objects.filter(pk__in=[entry.pk for entry in entries])
            claimed.update(leased_until=timezone.now() + lease, worker_crashes=F("worker_crashes") + crashed)
        return entries


class IndexEntry(models.Model):
    """The ledger: where one photo stands in one version of the index.

    `photo_id` is a plain number, so that the entry of a deleted photo stays to see its document deleted.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")
        GONE = "gone", _("gone")

    version = models.ForeignKey(IndexVersion, models.CASCADE, related_name="entries", verbose_name=_("index version"))
    photo_id = models.PositiveBigIntegerField(_("photo"))
    generation = models.PositiveBigIntegerField(_("generation"), default=0)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try = models.DateTimeField(_("next try"), default=timezone.now)
    leased_until = models.DateTimeField(_("held until"), null=True)
    #: Workers that crashed while they held it
    worker_crashes = models.PositiveSmallIntegerField(default=0)
    reason = models.TextField(_("reason"), blank=True)

    objects: ClassVar[IndexEntryQuerySet] = IndexEntryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("index entry")
        verbose_name_plural = _("index entries")
        constraints = [models.UniqueConstraint(fields=["version", "photo_id"], name="entry_once_per_photo")]
        indexes = [models.Index(fields=["version", "state", "next_try"], name="entry_due")]

    def __str__(self) -> str:
        return f"photo {self.photo_id} in {self.version_id}: {self.get_state_display()}"


def query_expiry() -> datetime:
    return timezone.now() + timedelta(hours=settings.QUERY_LIFETIME_HOURS)


def query_storage() -> Storage:
    return storages["queries"]


class QueryQuerySet(models.QuerySet["Query"]):
    def to_forget(self) -> QueryQuerySet:
        """Queries that have expired and still hold something."""
        return self.filter(expires__lte=timezone.now()).exclude(embedding=b"")


class Query(models.Model):
    """What a shopper asks with: a picture of their own, or a photo of the catalogue. Refinements live in addresses.

    It never changes but to note how well it was answered, once, and to forget: `forget` deletes the picture and
    all that was derived from it, and keeps the row for a while, so that its address can say that it is gone. How
    well it was answered stays with the row: numbers without a picture say nothing of a person, and staff learn
    from them what shoppers look for in vain.
    """

    class Kind(models.TextChoices):
        PICTURE = "picture", _("own picture")
        PRODUCT = "product", _("product")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    picture = models.FileField(
        storage=query_storage, max_length=200, blank=True, help_text="upright JPEG without metadata"
    )
    photo = models.ForeignKey(ProductImage, models.SET_NULL, null=True, blank=True, related_name="+")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=120)
    embedding = models.BinaryField(help_text="float16, little-endian, unit length")
    colour = models.BinaryField(help_text="float16, little-endian, unit length")
    colours_version = models.PositiveSmallIntegerField()
    colours = models.JSONField(default=list, help_text="named colours with their shares, the largest first")
    kind = models.CharField(_("asked with"), max_length=7, choices=Kind.choices, default=Kind.PICTURE)
    # What the first list of results was like; null until the whole picture is ranked for the first time.
    best = models.FloatField(_("best score"), null=True, help_text="raw cosine of the nearest photo; null for none")
    best_match = models.CharField(_("best match"), max_length=15, choices=Match.choices, blank=True)
    alike = models.BooleanField(_("anything alike"), null=True)
    found = models.PositiveIntegerField(_("results"), null=True, help_text="products in the first list")
    created = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    expires = models.DateTimeField(default=query_expiry, db_index=True)

    objects: ClassVar[QueryQuerySet] = QueryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("query")
        verbose_name_plural = _("queries")

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return self._address

    @cached_property
    def _address(self) -> str:
        # A page of results names it some fifty times.
        return reverse("search:results", args=[self.pk])

    @property
    def gone(self) -> bool:
        """Whether it has expired or was deleted, or its photo has left the catalogue."""
        return self.expires <= timezone.now() or not (self.picture or self.photo_id)

    def note(self, found: int, best: float | None, match: str, alike: bool) -> None:
        """Write down how well the query was answered, unless that was done before: one UPDATE."""
        values = {"found": found, "best": best, "best_match": match, "alike": alike}
        Query.objects.filter(pk=self.pk, found=None).update(**values)
        for name, value in values.items():
            setattr(self, name, value)

    def forget(self) -> None:
        """Delete the picture and what was derived from it, at once."""
        # The file first: if that fails, the row still names it, and the next purge tries again.
        if self.picture:
            self.picture.storage.delete(self.picture.name or "")
        self.memos.all().delete()
        self.picture, self.photo, self.embedding, self.colour, self.colours = "", None, b"", b"", []
        self.expires = min(self.expires, timezone.now())
        # By name: what was noted since this row was read stays.
        self.save(update_fields=["picture", "photo", "embedding", "colour", "colours", "expires"])


class QueryMemoQuerySet(models.QuerySet["QueryMemo"]):
    def keep(self, query: Query, kind: QueryMemo.Kind, name: str, data: bytes) -> None:
        """Keep something that was derived from a saved query. What cannot be kept now is derived again."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        memo = QueryMemo(query=query, kind=kind, slot=int(digest[:2], 16), name=digest, data=data)
        try:
            self.bulk_create(
                [memo],
                update_conflicts=True,
                unique_fields=["query", "kind", "slot"],
                update_fields=["name", "data", "created"],
            )
        except DatabaseError as error:
            logger.warning("What was derived from a query could not be kept: %s", error)

    def find(self, query: Query, kind: QueryMemo.Kind, name: str) -> bytes | None:
        """What was kept under a name, if it still is: one query."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        kept = self.filter(query=query, kind=kind, slot=int(digest[:2], 16), name=digest)
        data = kept.exclude(created__lte=timezone.now() - MEMORY).values_list("data", flat=True).first()
        return None if data is None else bytes(data)

    def expired(self) -> QueryMemoQuerySet:
        return self.filter(created__lte=timezone.now() - MEMORY)


class QueryMemo(models.Model):
    """What was derived from a query and is kept for an hour: rankings, boxes, how near the nearest photo is.

    It is deleted with the query's picture. A query has 256 slots of each kind, more than a shopper makes of one
    picture: a memo takes the place of the one in its slot, so that nobody fills the database.
    """

    class Kind(models.TextChoices):
        RANKING = "ranking"
        BOX = "box"
        NEAREST = "nearest"

    query = models.ForeignKey(Query, models.CASCADE, related_name="memos")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=64, help_text="SHA-256 of what it is called")
    data = models.BinaryField()
    created = models.DateTimeField(default=timezone.now, db_index=True)

    objects: ClassVar[QueryMemoQuerySet] = QueryMemoQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["query", "kind", "slot"], name="memo_once_per_slot")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.query_id}"


class IndexRun(models.Model):
    """A piece of work on the index: what staff ask for and the worker does, and any rebuild, whoever began it.

    It is how a process tells others how far it is, and what the last rebuild was like. One at most is waiting, one
    at most is running and one at most is paused: two operators who press at once ask for one.
    """

    class Kind(models.TextChoices):
        SYNC = "sync", _("sync")
        REBUILD = "rebuild", _("rebuild")
        ROLLBACK = "rollback", _("rollback")
        DISCARD = "discard", _("discard")
        AUDIT = "audit", _("audit")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    #: how it is to be done: a rebuild's `model` and `force`, an audit's `repair`
    options = models.JSONField(default=dict)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.WAITING)
    #: Whether a worker is to do it; otherwise a process has written down what it does by itself.
    asked = models.BooleanField(default=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(_("asked for"), default=timezone.now)
    started = models.DateTimeField(_("started"), null=True)
    ended = models.DateTimeField(_("ended"), null=True)
    #: When the process that does it was last heard of.
    seen = models.DateTimeField(null=True)
    #: How often it was begun, tries that ended in good order aside.
    attempts = models.PositiveSmallIntegerField(default=0)
    stage = models.CharField(max_length=10, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    photos = models.PositiveIntegerField(_("photos"), default=0)
    #: what an audit has found
    result = models.JSONField(default=dict)
    version = models.ForeignKey(IndexVersion, models.SET_NULL, null=True, related_name="runs")
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        # Whoever may change an index version may ask.
        default_permissions = ()
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state__in=["waiting", "running", "paused"]),
                name="one_run_in_each_standing_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk} ({self.get_state_display()})"


class IndexedMinute(models.Model):
    """How many photos were settled in a minute, by all processes: a row per minute of work, for a day.

    The ledger cannot tell: a time in each of its entries would need an index that every write has to keep.
    """

    minute = models.DateTimeField(primary_key=True)
    photos = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.photos} at {self.minute:%H:%M}"


class Worker(models.Model):
    """A worker's process, and when it was last heard of."""

    started = models.DateTimeField(default=timezone.now)
    seen = models.DateTimeField(default=timezone.now, db_index=True)
    #: when it ended in order
    ended = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"worker {self.pk}, seen {self.seen:%Y-%m-%d %H:%M:%S}"


class ThrottleWindow(models.Model):
    """What one client has used of its searches, until its window ends (`search.web.throttling`)."""

    #: an address or a network
    client = models.CharField(max_length=50, primary_key=True)
    used = models.PositiveIntegerField()
    #: seconds since the epoch
    ends = models.FloatField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.client}: {self.used}"
