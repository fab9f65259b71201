"""Jobs on the index: what staff ask for, and rebuilds and audits, whoever starts them.

Staff ask in the web process (`ask`). A worker takes the job, runs it (`worker.perform`) and records its progress
(`recorded`). Commands and the upkeep record the jobs that they start themselves.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import running as running_jobs
from jobs.running import Progress, Record
from search.exceptions import SearchError
from search.models import IndexedMinute, IndexJob, Worker

#: Seconds between two heartbeats of a worker.
BEAT = 5.0
#: A worker without a heartbeat for this long counts as gone.
AWAY = timedelta(seconds=90)
#: How long minutes and workers are kept, and jobs.
REMEMBERED = timedelta(days=1)
JOBS_REMEMBERED = timedelta(days=90)

Kind, State = IndexJob.Kind, IndexJob.State


# Asking -----------------------------------------------------------------------------------------------------


def ask(kind: IndexJob.Kind, by: Any = None, options: dict[str, Any] | None = None) -> tuple[IndexJob, bool]:
    """Ask for a job. Returns it, and whether it is new.

    It is not new if the same kind is queued or running, or if a job of another kind is queued.
    """
    IndexJob.objects.release_expired()
    if job := IndexJob.objects.standing().filter(kind=kind).order_by("pk").last():
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
    return IndexJob.objects.filter(**chosen).cancel()


def running(*kinds: IndexJob.Kind) -> IndexJob | None:
    """The job of one of these kinds that a living process runs."""
    job = IndexJob.objects.filter(kind__in=kinds, state=State.RUNNING).first()
    return job if job is not None and not job.expired else None


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
    if job is None:
        job = IndexJob.objects.start(kind=kind, options=options or {})
    with running_jobs.recorded(job, progress, reason_of) as record:
        yield record


def reason_of(error: BaseException) -> str:
    """Why a job failed, for staff."""
    if isinstance(error, SearchError):
        return str(error)
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
