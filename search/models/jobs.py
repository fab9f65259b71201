"""Jobs on the index, and the workers that do them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import Job, JobQuerySet


class IndexJobQuerySet(JobQuerySet["IndexJob"]):
    pass


class IndexJob(Job):
    """A job on the index: what staff ask for and a worker does, or a rebuild or audit that a process started itself.

    At most one job is waiting and at most one is running, so two operators who press a button at the same time get
    one job.
    """

    class Kind(models.TextChoices):
        SYNC = "sync", _("sync")
        REBUILD = "rebuild", _("rebuild")
        ROLLBACK = "rollback", _("rollback")
        AUDIT = "audit", _("audit")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    #: a rebuild's `model` and `force`, an audit's `repair`
    options = models.JSONField(default=dict)
    photos = models.PositiveIntegerField(_("photos"), default=0)
    version = models.ForeignKey("search.IndexVersion", models.SET_NULL, null=True, related_name="jobs")

    objects = IndexJobQuerySet.as_manager()

    class Meta(Job.Meta):
        # Staff who may change index versions may ask.
        constraints = [
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_job_waiting_one_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.pk} ({self.get_state_display()})"

    @property
    def title(self) -> str:
        return str(self.get_kind_display())


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
