"""A limit for the processor time of an import."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.utils.translation import gettext as _

from catalogue.importers.records import SourceRefused


class BudgetSpent(SourceRefused):
    """An import has used all of its processor time."""


class ProcessorBudget:
    """Processor seconds of all threads of one import."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent = 0.0
        self._lock = Lock()

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the processor time of a block. Raises `BudgetSpent` if nothing is left when it begins."""
        if self.spent >= self.seconds:
            raise BudgetSpent(
                _(
                    "This takes more than %(limit)d seconds of processor time, too much for a web page. Split the "
                    "files, or import them with the command import_catalogue."
                )
                % {"limit": self.seconds}
            )
        start = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.spent += time.thread_time() - start
