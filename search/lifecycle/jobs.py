"""Jobs on the index: what staff ask for, and rebuilds and audits, whoever starts them.

Staff ask in the web process (`ask`). A worker takes the job (`take`), does it (`worker.perform`) and records its
progress (`recorded`). Commands and the upkeep record the jobs that they start themselves. One job runs at a time; its
owner holds a lease, so that another worker can take over the job of a process that has died.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from search.exceptions import JobCancelled, JobRunning, SearchError, WorkStopped
from search.models import IndexedMinute, IndexJob, IndexVersion, Worker

logger = logging.getLogger(__name__)

#: Seconds between two records of a job's progress; each of them renews the lease.
NOTE = 1.0
#: A fit is the longest silence: a minute at most.
LEASE = timedelta(minutes=3)
#: How often a job is taken whose process dies each time: the job may be what kills it.
MOST_ATTEMPTS = 3
#: Seconds between two heartbeats of a worker.
BEAT = 5.0
#: A worker without a heartbeat for this long counts as gone.
AWAY = timedelta(seconds=90)
#: How long minutes and workers are kept, and jobs.
REMEMBERED = timedelta(days=1)
JOBS_REMEMBERED = timedelta(days=90)

#: Called with the name of a stage, the photos done and the photos in all.
Progress = Callable[[str, int, int], object]

Kind, State = IndexJob.Kind, IndexJob.State
STANDING = (State.WAITING, State.RUNNING)


# Asking -----------------------------------------------------------------------------------------------------


def ask(kind: IndexJob.Kind, by: Any = None, options: dict[str, Any] | None = None) -> tuple[IndexJob, bool]:
    """Ask for a job. Returns it, and whether it is new.

    It is not new if the same kind is queued or running, or if a job of another kind is queued.
    """
    _release_expired()
    standing = IndexJob.objects.filter(state__in=STANDING)
    if job := standing.filter(kind=kind).order_by("pk").last():
        return job, False
    try:
        with transaction.atomic():
            return IndexJob.objects.create(kind=kind, asked=True, asked_by=by, options=options or {}), True
    except IntegrityError:
        queued = IndexJob.objects.filter(state=State.WAITING).first()
        return (queued, False) if queued else ask(kind, by, options)  # it was taken in between


def cancel(jobs: Collection[IndexJob.Kind] | int) -> int:
    """Cancel a job by its key, or those of some kinds, queued or running. Returns how many.

    The process that runs one notices at its next step. `building.cancel` also discards what was built.
    """
    chosen = {"pk": jobs} if isinstance(jobs, int) else {"kind__in": jobs}
    standing = IndexJob.objects.filter(state__in=STANDING, **chosen)
    return standing.update(state=State.CANCELLED, ended=timezone.now(), reason=gettext("Cancelled."))


def running(*kinds: IndexJob.Kind) -> IndexJob | None:
    """The job of one of these kinds that a living process runs."""
    job = IndexJob.objects.filter(kind__in=kinds, state=State.RUNNING).first()
    return job if job is not None and not job.expired else None


# Taking -----------------------------------------------------------------------------------------------------


def due() -> IndexJob | None:
    """The job that `take` would look at now, if any: one indexed query."""
    standing = {job.state: job for job in IndexJob.objects.filter(state__in=STANDING)}
    active = standing.get(State.RUNNING)
    if active is None:
        return standing.get(State.WAITING)
    return active if active.expired else None


def take() -> IndexJob | None:
    """Take the queued job, if no other is running: the caller does it."""
    job = due()
    if job is not None and job.state == State.RUNNING:
        _release(job)
        job = due()
    if job is None:
        return None
    try:
        with transaction.atomic():
            taken = IndexJob.objects.filter(pk=job.pk, state=State.WAITING).update(
                state=State.RUNNING, attempts=F("attempts") + 1, **_lease()
            )
    except IntegrityError:  # another process has started a job
        return None
    job.refresh_from_db()
    return job if taken else None  # another process may have taken this one


def _start(kind: IndexJob.Kind, options: dict[str, Any]) -> IndexJob:
    """A job that nobody asked for, owned by this process. Raises JobRunning."""
    _release_expired()
    try:
        with transaction.atomic():
            return IndexJob.objects.create(kind=kind, state=State.RUNNING, options=options, **_lease())
    except IntegrityError as error:
        other = IndexJob.objects.filter(state=State.RUNNING).first()
        if other is None:  # it has just ended
            return _start(kind, options)
        raise JobRunning(
            gettext("Another job is running: %(kind)s, since %(time)s. Wait until it has ended, or cancel it.")
            % {"kind": other.get_kind_display(), "time": f"{timezone.localtime(other.started):%H:%M:%S}"}
        ) from error


def _lease() -> dict[str, Any]:
    now = timezone.now()
    owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    return {"owner": owner, "started": now, "leased_until": now + LEASE}


def _release_expired() -> None:
    """Release the job of a process that has died, so that new jobs do not wait behind it."""
    active = IndexJob.objects.filter(state=State.RUNNING).first()
    if active is not None and active.expired:
        _release(active)


def _release(job: IndexJob, *, stopped: bool = False) -> None:
    """Queue a job again that its process has left. It fails if nobody asked for it or its processes keep dying.

    stopped: the process was told to stop, which does not count as an attempt.
    """
    left = IndexJob.objects.filter(pk=job.pk, state=State.RUNNING, owner=job.owner, leased_until=job.leased_until)
    if job.asked and (stopped or job.attempts < MOST_ATTEMPTS):
        values = {"owner": "", "leased_until": None, "started": None, "stage": "", "done": 0, "total": 0}
        attempts = F("attempts") - 1 if stopped else F("attempts")
        try:
            with transaction.atomic():
                left.update(state=State.WAITING, attempts=attempts, **values)
        except IntegrityError:
            pass  # another job is queued
        else:
            return
    left.update(state=State.FAILED, ended=timezone.now(), reason=gettext("Its process ended before it was done."))


# Doing ------------------------------------------------------------------------------------------------------


@contextmanager
def recorded(
    kind: IndexJob.Kind,
    progress: Progress | None = None,
    job: IndexJob | None = None,
    options: dict[str, Any] | None = None,
) -> Iterator[Record]:
    """Record a job while it runs and how it ends. Yields a `Progress`.

    job: one that was taken; without it, a job is started with these options. Raises JobRunning if another job is
    running, and JobCancelled at the next step after this one was cancelled.
    """
    record = Record(_start(kind, options or {}) if job is None else job, progress)
    try:
        yield record
    except JobCancelled:
        raise  # the job is no longer this process's
    except WorkStopped as stopped:
        record.stop(str(stopped))
        raise
    except BaseException as error:
        record.end(State.FAILED, reason_of(error))
        raise
    record.end(State.DONE)


class Record:
    """A running job's row in the database, updated about once a second."""

    def __init__(self, job: IndexJob, progress: Progress | None) -> None:
        self.job = job
        self._progress = progress
        self._noted = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.job.stage or now - self._noted >= NOTE:
            self.job.stage, self._noted = stage, now
            self.check(stage=stage, done=done, total=total)
        if self._progress:
            self._progress(stage, done, total)

    def check(self, **values: Any) -> None:
        """Renew the lease. Raises JobCancelled if the job was cancelled, or taken over after the lease ran out."""
        if not self._write(leased_until=timezone.now() + LEASE, **values):
            raise JobCancelled(gettext("The job was cancelled."))

    def result(self, version: IndexVersion | None, photos: int, findings: dict[str, Any] | None = None) -> None:
        """Record a job's result: a version, the photos in it, and what an audit found."""
        self._write(version=version, photos=photos, result=findings or {})

    def stop(self, reason: str) -> None:
        """Leave the job to another process, because this one was told to stop."""
        if self.job.asked:
            self.job.refresh_from_db(fields=["leased_until"])
            _release(self.job, stopped=True)
        else:
            self.end(State.CANCELLED, reason)

    def end(self, state: IndexJob.State, reason: str = "") -> None:
        self._write(state=state, reason=reason, ended=timezone.now())

    def _write(self, **values: Any) -> bool:
        """Update the row while this process owns it. Returns whether it does, as far as can be told."""
        owned = IndexJob.objects.filter(pk=self.job.pk, state=State.RUNNING, owner=self.job.owner)
        try:
            return bool(owned.update(**values))
        except DatabaseError:
            logger.exception("The progress of a job could not be recorded.")  # the work matters more
            return True


def reason_of(error: BaseException) -> str:
    """Why a job failed, for staff."""
    if isinstance(error, SearchError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return gettext("It was stopped.")
    return f"{type(error).__name__}: {error}".rstrip(": ")


def last(kind: IndexJob.Kind) -> IndexJob | None:
    """The last job of a kind that succeeded."""
    return IndexJob.objects.filter(kind=kind, state=State.DONE).first()


# Workers ----------------------------------------------------------------------------------------------------


class Heartbeat:
    """A worker's sign of life, written every few seconds."""

    def __init__(self) -> None:
        self._pk = 0  # none yet
        self._last = 0.0

    def beat(self) -> None:
        if self._pk and time.monotonic() - self._last < BEAT:
            return
        self._last = time.monotonic()
        # `forget` may have deleted the row, for example while the machine was suspended.
        if not Worker.objects.filter(pk=self._pk).update(seen=timezone.now()):
            self._pk = Worker.objects.create().pk

    def end(self) -> None:
        now = timezone.now()
        Worker.objects.filter(pk=self._pk).update(seen=now, ended=now)


def last_worker() -> tuple[bool, datetime | None]:
    """Whether a worker is running, and when one was last seen (None: never)."""
    present = Worker.objects.filter(ended=None).order_by("-seen").first()
    if present and present.seen >= timezone.now() - AWAY:
        return True, present.seen
    last_seen = Worker.objects.order_by("-seen").first()
    return False, last_seen.seen if last_seen else None


def forget() -> None:
    """Delete old minutes, workers and jobs, except the last rebuild and audit that succeeded."""
    now = timezone.now()
    IndexedMinute.objects.filter(minute__lt=now - REMEMBERED).delete()
    Worker.objects.filter(seen__lt=now - REMEMBERED).delete()
    kept = [job.pk for kind in (Kind.REBUILD, Kind.AUDIT) if (job := last(kind))]
    IndexJob.objects.filter(ended__lt=now - JOBS_REMEMBERED).exclude(pk__in=kept).delete()
