"""Jobs on the index, and the workers that do them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class IndexJob(models.Model):
    """A job on the index: what staff ask for and a worker does, or a rebuild or audit that a process started itself.

    At most one job is waiting and at most one is running, so two operators who press a button at the same time get
    one job.
    """

    class Kind(models.TextChoices):
        SYNC = "sync", _("sync")
        REBUILD = "rebuild", _("rebuild")
        ROLLBACK = "rollback", _("rollback")
        AUDIT = "audit", _("audit")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    #: a rebuild's `model` and `force`, an audit's `repair`
    options = models.JSONField(default=dict)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.WAITING)
    #: Whether staff asked a worker for it. Otherwise a process records what it does itself.
    asked = models.BooleanField(default=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(_("asked for"), default=timezone.now)
    started = models.DateTimeField(_("started"), null=True)
    ended = models.DateTimeField(_("ended"), null=True)
    #: The process that runs it, and until when no other may take it over.
    owner = models.CharField(max_length=100, blank=True)
    leased_until = models.DateTimeField(null=True)
    #: How often it was taken, except by processes that were told to stop.
    attempts = models.PositiveSmallIntegerField(default=0)
    stage = models.CharField(max_length=10, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    photos = models.PositiveIntegerField(_("photos"), default=0)
    #: what an audit found
    result = models.JSONField(default=dict)
    version = models.ForeignKey("search.IndexVersion", models.SET_NULL, null=True, related_name="jobs")
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        # Staff who may change index versions may ask.
        default_permissions = ()
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_job_waiting_one_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk} ({self.get_state_display()})"

    @property
    def expired(self) -> bool:
        """Whether its process has not renewed the lease in time: it has probably died."""
        return self.leased_until is None or self.leased_until < timezone.now()


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
