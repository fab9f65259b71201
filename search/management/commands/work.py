"""`manage.py work`: the worker of one machine, which drains the ledger."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from search import building, indexing, querying
from search.exceptions import SearchError
from search.models import IndexEntry, IndexVersion

logger = logging.getLogger(__name__)

#: Seconds between looks at the ledger (one indexed query).
PAUSE = 0.5
#: Seconds between rounds of housekeeping, and between looks for photos that the ledger does not know.
ROUND = 30
#: Photos indexed between looks at whether to stop: a second or two, well within what a supervisor waits.
STEP = 64


class Command(BaseCommand):
    help = "Index what is pending as it comes, refit as the catalogue grows, forget expired searches. Ends on Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--pause", type=float, default=PAUSE, help="Seconds between looks (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        logger.info("The worker waits for photos.")
        rounds = 0.0
        while not stop.is_set():
            close_old_connections()
            try:
                if rounds <= 0:
                    rounds = ROUND
                    querying.forget_expired()
                    indexing.add_missing(indexing.live_version())
                    building.maintain()
                drain(stop)
            except SearchError as error:
                # Nothing is lost: what is pending stays pending. Staff see the reason; try again in a while.
                logger.error("%s", error)  # noqa: TRY400 - a sentence for staff, no bug
                stop.wait(ROUND)
            except Exception:
                # A full disk, a database that restarts: the worker outlives it. What is pending stays pending.
                logger.exception("The worker met an error and goes on in %d seconds.", ROUND)
                close_old_connections()
                stop.wait(ROUND)
            rounds -= options["pause"]
            stop.wait(options["pause"])
        logger.info("The worker has stopped.")


def drain(stop: threading.Event) -> None:
    """Index what is due, a claim at a time so that a signal is obeyed soon; refit afterwards if that is due."""
    indexed = 0
    while not stop.is_set():
        versions = IndexVersion.objects.writable()
        if not IndexEntry.objects.filter(version__in=versions.values("pk")).due().exists():
            break
        outcome = indexing.sync(limit=STEP)
        indexed += outcome.total
        if outcome.postponed == outcome.total:
            break
    if indexed:
        logger.info("Indexed %d photos.", indexed)
        building.maintain()
