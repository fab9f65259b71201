"""The base of commands that import: progress, rejects, summary and exit status."""

from __future__ import annotations

import csv
import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from tqdm import tqdm

from catalogue.importers.cells import as_text
from catalogue.importers.importer import BATCH, Importer, Summary
from catalogue.importers.records import ProductRecord, Reject

T = TypeVar("T")

REFUSED, SOME_REJECTED, INTERRUPTED = 2, 3, 130
"""Exit statuses besides 0 (everything imported) and 1 (an error); 130 is a shell's status for Ctrl-C."""

SHOWN_REJECTS = 5
SHOWN_OF_DRY_RUN = 50
"""For a dry run, which writes no rejects file by default."""
SECONDS_BETWEEN_LINES = 5.0


def positive(text: str) -> int:
    """The value of an option that is a positive whole number."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def printable(text: str) -> str:
    """A text that is safe for a terminal: characters that do not print are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


JSON_SUFFIXES = frozenset({".jsonl", ".ndjson"})


class RejectsFile:
    """A CSV file, or JSON Lines if its suffix says so, created at the first reject. No cell runs as a formula."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._write: Callable[[dict[str, str]], object]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, reject: Reject) -> None:
        """Write a reject. Raises OSError."""
        if self._file is None:
            self._open()
        self._write(asdict(reject))

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # File names need not be Unicode; others are escaped.
        file = self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        if self.path.suffix.lower() in JSON_SUFFIXES:
            self._write = lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            writer = csv.DictWriter(file, [field.name for field in fields(Reject)])
            writer.writeheader()
            self._write = lambda row: writer.writerow({name: as_text(cell) for name, cell in row.items()})


class ImportCommand(BaseCommand):
    """A command that imports. Subclasses in other apps may override `batch_done` and `finish`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--batch", type=positive, default=BATCH, help="products of a transaction (default: %(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def batch_done(self, photo_ids: list[int]) -> None:
        """Called after each batch with the keys of the photos that it added."""

    def finish(self, summary: Summary) -> None:
        """Called after a complete import; not after a dry run or an interrupt."""

    def import_records(
        self,
        records: Iterable[ProductRecord | Reject],
        total: int,
        *,
        name: str,
        options: dict[str, Any],
        workers: int | None = None,
    ) -> None:
        """Import records and report the result.

        `total` is the expected number of records, and `name` part of the name of the rejects file; a dry run has one
        only if `options` name it. Raises `CommandError` with the exit status unless everything was imported.
        """
        now = timezone.localtime()
        dry_run = options.get("dry_run", False)
        path: Path | None = options.get("rejects")
        if path is None and not dry_run:
            path = settings.DATA_DIR / "imports" / f"{name}-{now:%Y%m%d-%H%M%S-%f}-rejects.csv"
        most = SHOWN_REJECTS if path else SHOWN_OF_DRY_RUN
        shown: list[Reject] = []
        with RejectsFile(path) if path else nullcontext() as rejects:

            def reject(reject: Reject) -> None:
                if rejects:
                    rejects.add(reject)
                if len(shown) < most:
                    shown.append(reject)

            importer = Importer(
                reject=reject, on_batch=self.batch_done, batch=options["batch"], workers=workers, dry_run=dry_run
            )
            summary = importer.summary
            go_on = "run the same command again to continue."
            finished = False
            try:
                importer.run(self._with_progress(records, total, summary, options))
                finished = True
            except KeyboardInterrupt as error:
                raise CommandError(
                    f"Interrupted: {summary.products} products imported; {go_on}", returncode=INTERRUPTED
                ) from error
            except (OSError, DatabaseError) as error:
                reason = printable(str(error).rstrip("."))
                raise CommandError(
                    f"Stopped by an error: {reason}. {summary.products} products imported; correct it and {go_on}"
                ) from error
            finally:
                self._report(summary, path if summary.rejected else None, shown, finished, options)
        if not summary.dry_run:
            self.finish(summary)
        if summary.rejected:
            told = f"the reasons are in {path}" if path else "--rejects FILE saves all reasons"
            raise CommandError(printable(f"{summary.rejected} rejected; {told}."), returncode=SOME_REJECTED)

    def _with_progress(
        self, records: Iterable[T], total: int, summary: Summary, options: dict[str, Any]
    ) -> Iterator[T]:
        """Show a bar on a terminal and otherwise a line every few seconds; nothing if quiet."""
        quiet = options["json"] or not options["verbosity"]
        if sys.stderr.isatty() or quiet:
            yield from tqdm(records, total=total, unit="product", file=sys.stderr, disable=quiet)
            return
        told = time.monotonic()
        for number, record in enumerate(records, 1):
            yield record
            if time.monotonic() - told >= SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                self.stderr.write(f"{number} of {total} products, {summary.rejected} rejected")

    def _report(
        self, summary: Summary, rejects: Path | None, shown: list[Reject], finished: bool, options: dict[str, Any]
    ) -> None:
        if options["json"]:
            figures = asdict(summary) | {
                "seconds": round(summary.seconds, 3),
                "photos_per_second": round(summary.photos_per_second, 1),
                "rejects_file": str(rejects) if rejects else None,
                "finished": finished,
            }
            self.stdout.write(json.dumps(figures))
            return
        if not options["verbosity"]:
            return
        for reject in shown:
            what = " ".join(filter(None, [reject.where, reject.photo if reject.photo not in reject.where else ""]))
            self.stderr.write(printable(f"{what}: {reject.reason}"))
        if summary.rejected > len(shown):
            self.stderr.write(f"… and {summary.rejected - len(shown)} more.")
        made = "to be " if summary.dry_run else ""
        self.stdout.write(
            f"{summary.created} products {made}created, {summary.updated} {made}updated, "
            f"{summary.unchanged} unchanged; {summary.photos_added} photos {made}added, "
            f"{summary.photos_removed} {made}removed; {summary.rejected} rejected; "
            f"{summary.seconds:.1f} s, {summary.photos_per_second:.0f} photos/s."
            + (" This was a dry run: nothing was written." if summary.dry_run else "")
        )
