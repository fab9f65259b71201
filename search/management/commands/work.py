"""`manage.py work`: the worker of one machine, which drains the ledger."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

from catalogue.importers import uploads
from search import building, indexing, querying, runs
from search.exceptions import SearchError, WorkStopped
from search.models import IndexEntry, IndexVersion

logger = logging.getLogger(__name__)

#: Seconds between looks at the ledger (one indexed query).
PAUSE = 0.5
#: Seconds between rounds of housekeeping, and between looks for photos that the ledger does not know.
ROUND = 30
#: Photos indexed between looks at whether to stop: a second or two, well within what a supervisor waits.
STEP = 64


class Command(BaseCommand):
    help = "Index what is pending as it comes, refit as the catalogue grows, forget what has expired. Ends on Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--pause", type=float, default=PAUSE, help="Seconds between looks (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        logger.info("The worker waits for photos.")
        worker = Worker(stop)
        rounds = 0.0
        while not stop.is_set():
            close_old_connections()
            try:
                worker.pulse.beat()
                if rounds <= 0:
                    rounds = ROUND
                    querying.forget_expired()
                    runs.forget()
                    uploads.remove_abandoned()
                    indexing.add_missing(indexing.live_version())
                    building.maintain(worker.progress)
                worker.serve()
                worker.drain()
            except WorkStopped as stopped:
                logger.info("%s", stopped)
            except SearchError as error:
                # Nothing is lost: what is pending stays pending. Staff see the reason; try again in a while.
                logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug
                worker.rest(ROUND)
            except Exception:
                # A full disk, a database that restarts: the worker outlives it. What is pending stays pending.
                logger.exception("The worker met an error and goes on in %d seconds.", ROUND)
                close_old_connections()
                worker.rest(ROUND)
            rounds -= options["pause"]
            stop.wait(options["pause"])
        with suppress(DatabaseError):
            worker.pulse.end()
        logger.info("The worker has stopped.")


class Worker:
    """What the loop does between two pauses, and the signs of life it gives meanwhile."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.pulse = runs.Pulse()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Told of every step of longer work: the moment to show life, and to obey a signal."""
        self.pulse.beat()
        if self.stop.is_set():
            raise WorkStopped("The worker was told to stop; the next one goes on.")

    def serve(self) -> None:
        """Do what staff have asked for. What fails is told where they asked; the worker goes on."""
        while not self.stop.is_set() and (run := runs.take()):
            logger.info("Begun: %s.", run)
            try:
                building.perform(run, self.progress)
            except WorkStopped:
                raise
            except SearchError as error:
                logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug
            except Exception:
                logger.exception("The %s failed.", run)

    def drain(self) -> None:
        """Index what is due, a claim at a time so that signals and requests are obeyed soon; refit if that is due."""
        indexed = 0
        while not self.stop.is_set() and runs.due() is None:
            versions = IndexVersion.objects.writable()
            if not IndexEntry.objects.filter(version__in=versions.values("pk")).due().exists():
                break
            outcome = indexing.sync(progress=lambda _photos: self.pulse.beat(), limit=STEP)
            self.pulse.beat()
            indexed += outcome.total
            if outcome.postponed == outcome.total:
                break
        if indexed:
            logger.info("Indexed %d photos.", indexed)
            building.maintain(self.progress)

    def rest(self, seconds: float) -> None:
        """Pause after an error, unless staff ask for something."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stop.wait(PAUSE):
            with suppress(DatabaseError):
                self.pulse.beat()
                if runs.due():
                    return
