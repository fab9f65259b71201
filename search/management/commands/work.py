"""`manage.py work`: the worker of one machine, which drains the ledger."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from search import worker


class Command(BaseCommand):
    help = "Index what is pending as it comes, refit as the catalogue grows, forget what has expired. Ends on Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--pause", type=float, default=worker.PAUSE, help="Seconds between looks (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        worker.Loop(stop, options["pause"]).run()
