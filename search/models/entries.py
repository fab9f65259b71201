"""The ledger of photos in versions of the index."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import connections, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from search.models.versions import IndexVersion

#: By how much each group of entries is smaller that a crashed worker has left: 256, 32, 4, 1.
SMALLER = 8


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
    leased_until = models.DateTimeField(_("claimed until"), null=True)
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
