"""Versions of the index, and the changes of an embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from django.db import connections, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from search.vision import vectors
from search.vision.matches import DEFAULT, Calibration
from search.vision.projection import Projection

#: How long the previous version is kept, so that it can be rolled back to.
KEPT = timedelta(days=7)


class IndexVersionQuerySet(models.QuerySet["IndexVersion"]):
    def live(self) -> IndexVersion | None:
        """The version that answers searches."""
        return self.defer("projection_bytes").filter(state=IndexVersion.State.LIVE).first()

    def unfinished(self) -> IndexVersion | None:
        """The version that is not live yet: a build, or a former version on its way back."""
        return self.defer("projection_bytes").filter(state__in=["building", "ready"]).first()

    def former(self) -> IndexVersion | None:
        """The previous version, as long as it can be rolled back to."""
        return self.defer("projection_bytes").filter(retired__gt=timezone.now() - KEPT).last_retired()

    def last_retired(self) -> IndexVersion | None:
        """Of those that were live, the one that was retired last."""
        were_live = self.filter(state=IndexVersion.State.RETIRED, activated__isnull=False)
        return were_live.order_by("-retired", "-pk").first()

    def writable(self) -> IndexVersionQuerySet:
        """The versions that are indexed into: the live one, and one that is being built."""
        return self.defer("projection_bytes").filter(state__in=["building", "ready", "live"]).order_by("pk")

    def lock_for_change(self) -> list[IndexVersion]:
        """The versions whose ledger learns of every change; asked in the transaction of the change, one query.

        Also the version that can be rolled back to: what is pending in it waits until then.

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
    def lock_for_create(self) -> Iterator[None]:
        """A transaction that adds or removes a version, while no change to all versions is in progress.

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
    width = models.PositiveIntegerField(_("width"), help_text=_("dimensions of a document"))
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
