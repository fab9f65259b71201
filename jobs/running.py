"""Runs a job and records its progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext

from jobs.exceptions import JobCancelled, WorkStopped
from jobs.models import Job, State

#: Seconds between two records of a job's progress; each of them renews the lease.
NOTE = 1.0

#: Called with the name of a stage, the items done and the items in all.
Progress = Callable[[str, int, int], object]


class Record:
    """The `Progress` of a running job, recorded about once a second."""

    def __init__(self, job: Job, progress: Progress | None = None) -> None:
        self.job = job
        self._progress = progress
        self._noted = 0.0

    def __call__(self, stage: str, done: int, total: int, **values: Any) -> None:
        """Raises JobCancelled."""
        now = time.monotonic()
        if values or stage != self.job.stage or now - self._noted >= NOTE:
            self.job.stage, self._noted = stage, now
            self.job.renew(stage=stage, done=done, total=total, **values)
        if self._progress:
            self._progress(stage, done, total)

    def result(self, **values: Any) -> None:
        """Record what came of the job."""
        self.job.record(**values)


@contextmanager
def recorded(
    job: Job, progress: Progress | None = None, explain: Callable[[BaseException], str] = str
) -> Iterator[Record]:
    """Record a job while it runs and how it ends. Yields a `Progress`, which raises JobCancelled.

    explain: why it failed, for staff.
    """
    try:
        yield Record(job, progress)
    except JobCancelled:
        raise  # the job is no longer this process's
    except WorkStopped as stopped:
        if job.asked:
            job.release(stopped=True)
        else:
            job.end(State.CANCELLED, str(stopped))
        raise
    except KeyboardInterrupt:
        job.end(State.FAILED, gettext("It was stopped."))
        raise
    except BaseException as error:
        job.end(State.FAILED, explain(error))
        raise
    job.end(State.DONE)
