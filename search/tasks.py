"""What Celery's workers do: the same as `manage.py work`, each in a task of its own.

Messages name photos by their keys, if anything; the ledger says what is to be done, so a task may run twice, late, or
not at all. Celery is imported with this module, and nothing imports it where there is no broker.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import shared_task, signals
from django.db import DatabaseError

from jobs.exceptions import JobError, WorkStopped
from search.exceptions import SearchError
from search.lifecycle import jobs
from search.worker import WorkerTasks

logger = logging.getLogger(__name__)

#: Seconds after which a task ends in good order and leaves the rest to the next one. The limits that end a process
#: are far behind, and the time after which the broker gives a message to somebody else is longer than both.
SHORT, LONG = 240, 3_600
LIMITS = {"soft_time_limit": SHORT + 60, "time_limit": SHORT + 120}
LONG_LIMITS = {"soft_time_limit": LONG + 300, "time_limit": LONG + 600}


@shared_task(name="search.sync", **LIMITS)
def sync(ids: list[int]) -> None:
    """Index the pending ones of these photos, which somebody has saved."""
    with worker_tasks(SHORT) as work:
        work.index(ids)


@shared_task(name="search.sync_many", **LONG_LIMITS)
def sync_many(ids: list[int]) -> None:
    """Index the pending ones of these photos, which an import or a change of many products has saved."""
    with worker_tasks(LONG) as work:
        # Else what staff ask for waits behind all that an import has sent.
        work.run_jobs()
        work.index(ids)


@shared_task(name="search.reconcile", **LIMITS)
def reconcile() -> None:
    """Index some of what is due although no message came, or an earlier try has failed."""
    with worker_tasks(SHORT) as work:
        work.step()


@shared_task(name="search.cleanup", **LIMITS)
def cleanup() -> None:
    """Forget what has expired."""
    with worker_tasks(SHORT) as work:
        work.cleanup()


@shared_task(name="search.run_jobs", **LONG_LIMITS)
def run_jobs() -> None:
    """Do what staff have asked for."""
    with worker_tasks(LONG) as work:
        work.run_jobs()


@shared_task(name="search.lifecycle.upkeep", **LONG_LIMITS)
def upkeep() -> None:
    """Keep the index in shape, and index all that is due."""
    with worker_tasks(LONG) as work:
        work.maintain()
        work.drain()


# The process ------------------------------------------------------------------------------------------------

#: Set by the process that receives signals, and read by those of its pool, which are its forks. It has no lock, which
#: one that is killed might hold for ever.
_ending = multiprocessing.RawValue("b", 0)
_heartbeat = jobs.Heartbeat()


@contextmanager
def worker_tasks(seconds: float) -> Iterator[WorkerTasks]:
    """Tasks that end after some seconds, or when the worker is told to stop. Known errors are logged as sentences."""
    until = time.monotonic() + seconds
    work = WorkerTasks(lambda: bool(_ending.value) or time.monotonic() >= until, _heartbeat)
    try:
        work.heartbeat.beat()
        yield work
    except WorkStopped as stopped:
        logger.info("%s", stopped)
    except (SearchError, JobError) as error:
        logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug


@signals.worker_shutting_down.connect
def _end(**kwargs: Any) -> None:
    _ending.value = 1


@signals.worker_process_shutdown.connect
def _leave(**kwargs: Any) -> None:
    with suppress(DatabaseError):
        _heartbeat.end()
