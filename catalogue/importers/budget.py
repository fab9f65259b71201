"""How much processor time an import may take: whatever its files look like, there is an end to what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.utils.translation import gettext as _

from catalogue.importers.records import SourceRefused


class BudgetSpent(SourceRefused):
    """An import has taken as much processor time as it may."""


class ProcessorBudget:
    """Processor seconds for all threads of one import together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent = 0.0
        self._lock = Lock()

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count what this thread does meanwhile. Raises `BudgetSpent` if nothing is left at the beginning."""
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
