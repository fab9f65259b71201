"""What workers do: the loop of one machine (`manage.py work`), and Celery's tasks (`search.tasks`).

Both call the same functions. They differ in what starts them, and in how a process learns that it has to stop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils.module_loading import import_string

from catalogue.importers import jobs as imports
from catalogue.importers import uploads
from catalogue.importers.records import SourceRefused
from catalogue.models import ImportJob
from jobs.exceptions import JobCancelled, JobError, WorkStopped
from jobs.running import Progress
from search.exceptions import SearchError
from search.lifecycle import audit, building, jobs, rollback, upkeep
from search.models import IndexEntry, IndexJob, IndexVersion
from search.reading import queries
from search.web import throttling
from search.writing import indexing, ledger

logger = logging.getLogger(__name__)

#: Seconds between looks at the ledger (one indexed query).
PAUSE = 0.5
#: Seconds between rounds of housekeeping, and between looks for photos that the ledger does not know.
ROUND = 30
#: Photos indexed between looks at whether to stop: a second or two, well within what a supervisor waits.
STEP = 64


class WorkerTasks:
    """The tasks of a worker; each of them keeps the heartbeat going.

    stopped: whether the process was told to stop, or has no time left.
    """

    def __init__(self, stopped: Callable[[], bool], heartbeat: jobs.Heartbeat | None = None) -> None:
        self.stopped = stopped
        self.heartbeat = heartbeat or jobs.Heartbeat()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Called at each step of longer work."""
        self.alive()

    def alive(self, _photos: int = 0) -> None:
        """Send a heartbeat. Raises WorkStopped if the process has to stop."""
        self.heartbeat.beat()
        if self.stopped():
            raise WorkStopped("The worker was told to stop; the next one continues.")

    def cleanup(self) -> None:
        """Delete expired pictures of shoppers, old jobs and abandoned uploads; call what `HOUSEKEEPING` lists."""
        queries.delete_expired()
        throttling.forget_windows()
        jobs.forget()
        imports.forget()
        uploads.remove_abandoned()
        for name in settings.HOUSEKEEPING:
            import_string(name)()

    def maintain(self) -> None:
        """Add photos that the ledger does not know, and maintain the index; refit it if that is due."""
        ledger.add_missing(ledger.ensure_live_version())
        upkeep.maintain(self.progress)

    def run_jobs(self) -> None:
        """Do the jobs that staff asked for. A failure is shown where they asked, and the worker continues."""
        while not self.stopped() and (job := take()):
            logger.info("Started: %s.", job)
            try:
                if isinstance(job, ImportJob):
                    imports.run(job, self.progress)
                else:
                    perform(job, self.progress)
            except WorkStopped:
                raise
            except JobCancelled as cancelled:
                logger.info("%s", cancelled)
            except (SearchError, SourceRefused) as error:
                logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug
            except Exception:
                logger.exception("The %s failed.", job)

    def index(self, ids: list[int]) -> None:
        """Index those of these photos that are pending; makes the first version if there is none."""
        ledger.ensure_live_version()
        indexing.sync(ids, self.alive)

    def step(self) -> indexing.Outcome:
        """Index about as many photos of each version as a second or two allow."""
        outcome = indexing.sync(progress=lambda _photos: self.heartbeat.beat(), limit=STEP)
        self.heartbeat.beat()
        return outcome

    def drain(self) -> None:
        """Index what is due, in small steps so that signals and new jobs are noticed soon; refit if that is due."""
        indexed = 0
        while not self.stopped() and not due():
            versions = IndexVersion.objects.writable()
            if not IndexEntry.objects.filter(version__in=versions.values("pk")).due().exists():
                break
            outcome = self.step()
            indexed += outcome.total
            if outcome.postponed == outcome.total:
                break
        if indexed:
            logger.info("Indexed %d photos.", indexed)
            upkeep.maintain(self.progress)


def due() -> bool:
    """Whether a job can be taken."""
    return any(model.objects.due() for model in (IndexJob, ImportJob))


def take() -> IndexJob | ImportJob | None:
    return IndexJob.objects.take() or ImportJob.objects.take()


def perform(job: IndexJob, progress: Progress | None = None) -> None:
    """Run a job on the index that was taken."""
    force = bool(job.options.get("force"))
    match job.kind:
        case IndexJob.Kind.SYNC:
            upkeep.sync(progress, job)
        case IndexJob.Kind.AUDIT:
            audit.run(progress, job, repair=bool(job.options.get("repair")))
        case IndexJob.Kind.ROLLBACK:
            rollback.roll_back(progress, job, force=force)
        case _:
            ledger.retry_now()
            building.rebuild(job.options.get("model", "default"), progress, job, force=force)


class Loop:
    """The worker of one machine, which looks at the ledger until it is told to stop."""

    def __init__(self, stop: threading.Event, pause: float = PAUSE) -> None:
        self.stop = stop
        self.pause = pause
        self.tasks = WorkerTasks(stop.is_set)

    def run(self) -> None:
        logger.info("The worker waits for photos.")
        rounds = 0.0
        while not self.stop.is_set():
            close_old_connections()
            try:
                self.tasks.heartbeat.beat()
                if rounds <= 0:
                    rounds = ROUND
                    self.tasks.cleanup()
                    self.tasks.maintain()
                self.tasks.run_jobs()
                self.tasks.drain()
            except WorkStopped as stopped:
                logger.info("%s", stopped)
            except (SearchError, JobError) as error:
                # Nothing is lost: what is pending stays pending. Staff see the reason; try again in a while.
                logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug
                self.rest(ROUND)
            except Exception:
                # A full disk, a database that restarts: the worker outlives it. What is pending stays pending.
                logger.exception("The worker met an error and goes on in %d seconds.", ROUND)
                close_old_connections()
                self.rest(ROUND)
            rounds -= self.pause
            self.stop.wait(self.pause)
        with suppress(DatabaseError):
            self.tasks.heartbeat.end()
        logger.info("The worker has stopped.")

    def rest(self, seconds: float) -> None:
        """Pause after an error, unless staff ask for something."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stop.wait(PAUSE):
            with suppress(DatabaseError):
                self.tasks.heartbeat.beat()
                if due():
                    return
