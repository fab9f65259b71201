"""What the commands of search have in common: a progress bar, `--json`, and errors told as sentences."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from jobs.exceptions import JobError
from jobs.running import Progress
from search.exceptions import SearchError

STAGES = {
    "embed": "Embedding",
    "fit": "Learning",
    "index": "Indexing",
    "check": "Checking",
    "audit": "Comparing",
}
#: As shells report a process that SIGINT ended.
INTERRUPTED = 130


class SearchCommand(BaseCommand):
    """A command that does one piece of work and tells what came of it.

    Subclasses write `run`, which returns the figures to show; `failed` makes the exit status 1.
    """

    failed = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object.")

    def run(self, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        self.json, self.verbosity = options["json"], options["verbosity"]
        try:
            result = self.run(**options)
        except (SearchError, JobError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.say("Stopped. What is done is kept; the same command goes on with the rest.")
            sys.exit(INTERRUPTED)
        if self.json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))
        elif self.verbosity:
            self.show(result)
        if self.failed:
            sys.exit(1)

    def show(self, result: dict[str, Any]) -> None:
        """Print the result for a person."""
        for name, value in result.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {value}")

    def say(self, sentence: str) -> None:
        """Tell a person something beside the result."""
        self.stderr.write(sentence)

    def bar(self, total: int, what: str) -> tqdm[Any]:
        """A progress bar, if there is a terminal."""
        return progress_bar(total, what, quiet=self.quiet)

    @property
    def quiet(self) -> bool:
        return self.json or not self.verbosity


def progress_bar(total: int, what: str, *, quiet: bool = False) -> tqdm[Any]:
    """A bar that counts photos on a terminal; silent if it is to be, or where there is no terminal."""
    return tqdm(total=total, desc=what, unit=" photos", disable=quiet or not sys.stderr.isatty(), file=sys.stderr)


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Progress]:
    """A bar for each stage of a build, as `building` reports it."""
    bars: dict[str, tqdm[Any]] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress_bar(total, STAGES[stage], quiet=quiet)
        bars[stage].total = total
        bars[stage].update(done - bars[stage].n)

    try:
        yield report
    finally:
        for bar in bars.values():
            bar.close()
