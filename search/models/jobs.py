"""What is done to the index, and by whom."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class IndexJob(models.Model):
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
    version = models.ForeignKey("search.IndexVersion", models.SET_NULL, null=True, related_name="jobs")
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
