"""What all jobs share: state, progress, and the lease of the process that runs one.

Staff ask for a job in the web process. A worker takes it with one conditional UPDATE and renews its lease with each
record of its progress. If the worker dies, the lease ends and another worker takes the job over.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from datetime import timedelta
from typing import Any, Self, TypeVar

from django.conf import settings
from django.db import DatabaseError, IntegrityError, models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.exceptions import JobCancelled, JobRunning

logger = logging.getLogger(__name__)

#: How long a process may be silent before another one takes over its job.
LEASE = timedelta(minutes=3)
#: How often a job is taken whose process dies each time: the job may be what kills it.
MOST_ATTEMPTS = 3


class State(models.TextChoices):
    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


STANDING = (State.WAITING, State.RUNNING)

J = TypeVar("J", bound="Job")


class JobQuerySet(models.QuerySet[J]):
    def standing(self) -> Self:
        return self.filter(state__in=STANDING)

    def due(self) -> J | None:
        """The job that `take` would look at now, if any: one indexed query."""
        standing = {job.state: job for job in self.standing().order_by("-pk")}
        active = standing.get(State.RUNNING)
        if active is None:
            return standing.get(State.WAITING)
        return active if active.expired else None

    def take(self) -> J | None:
        """Take the job that has waited longest, unless one is running: the caller runs it."""
        job = self.due()
        if job is not None and job.state == State.RUNNING:
            job.release()
            job = self.due()
        if job is None:
            return None
        try:
            with transaction.atomic():
                taken = self.filter(pk=job.pk, state=State.WAITING).update(
                    state=State.RUNNING, attempts=F("attempts") + 1, **_lease()
                )
        except IntegrityError:  # another process has started a job
            return None
        job.refresh_from_db()
        return job if taken else None  # another process may have taken this one

    def start(self, **values: Any) -> J:
        """A job that nobody asked for, owned by this process. Raises JobRunning."""
        self.release_expired()
        try:
            with transaction.atomic():
                return self.create(state=State.RUNNING, **values, **_lease())
        except IntegrityError as error:
            other = self.filter(state=State.RUNNING).first()
            if other is None:  # it has just ended
                return self.start(**values)
            raise JobRunning(
                gettext("Another job is running: %(kind)s, since %(time)s. Wait until it has ended, or cancel it.")
                % {"kind": other.title, "time": f"{timezone.localtime(other.started):%H:%M:%S}"}
            ) from error

    def release_expired(self) -> None:
        """Release the job of a process that has died, so that new jobs do not wait behind it."""
        active = self.filter(state=State.RUNNING).first()
        if active is not None and active.expired:
            active.release()

    def cancel(self) -> int:
        """Cancel the waiting and running ones of these jobs; returns how many.

        The process that runs one notices at its next step.
        """
        return self.standing().update(state=State.CANCELLED, ended=timezone.now(), reason=gettext("Cancelled."))


class Job(models.Model):
    """A job that staff ask for and a worker runs, or that a process starts itself. At most one of a model runs."""

    State = State

    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.WAITING)
    #: Whether staff asked a worker for it. Otherwise a process records what it does itself.
    asked = models.BooleanField(default=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(_("requested"), default=timezone.now)
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
    #: what came of it
    result = models.JSONField(default=dict)
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        abstract = True
        default_permissions = ()
        ordering = ["-pk"]

    @property
    def title(self) -> str:
        """The name of this kind of job."""
        return str(self._meta.verbose_name)

    @property
    def expired(self) -> bool:
        """Whether its process has not renewed the lease in time: it has probably died."""
        return self.leased_until is None or self.leased_until < timezone.now()

    def renew(self, **values: Any) -> None:
        """Renew the lease and record values. Raises JobCancelled if this process no longer owns the job."""
        if not self.record(leased_until=timezone.now() + LEASE, **values):
            raise JobCancelled(gettext("The job was cancelled."))

    def record(self, **values: Any) -> bool:
        """Update the row while this process owns it. Returns whether it does, as far as can be told."""
        owned = self._rows().filter(pk=self.pk, state=State.RUNNING, owner=self.owner)
        try:
            return bool(owned.update(**values))
        except DatabaseError:
            logger.exception("The progress of a job could not be recorded.")  # the work matters more
            return True

    def end(self, state: str, reason: str = "") -> None:
        self.record(state=state, reason=reason, ended=timezone.now())

    def release(self, *, stopped: bool = False) -> None:
        """Queue the job again that its process has left. It fails if nobody asked for it or its processes keep dying.

        stopped: the process was told to stop, which does not count as an attempt.
        """
        if stopped:
            self.refresh_from_db(fields=["leased_until"])
        left = self._rows().filter(pk=self.pk, state=State.RUNNING, owner=self.owner, leased_until=self.leased_until)
        if self.asked and (stopped or self.attempts < MOST_ATTEMPTS):
            values = {"owner": "", "leased_until": None, "started": None, "stage": "", "done": 0, "total": 0}
            attempts = F("attempts") - 1 if stopped else F("attempts")
            try:
                with transaction.atomic():
                    left.update(state=State.WAITING, attempts=attempts, **values)
            except IntegrityError:
                pass  # another job is queued
            else:
                return
        reason = gettext("Its process ended before it was done.")
        left.update(state=State.FAILED, ended=timezone.now(), reason=reason)

    def _rows(self) -> models.QuerySet[Self]:
        return type(self)._default_manager.all()


def _lease() -> dict[str, Any]:
    now = timezone.now()
    owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    return {"owner": owner, "started": now, "leased_until": now + LEASE}
