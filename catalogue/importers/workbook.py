"""A table of products as an Excel workbook (XLSX)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from catalogue.importers import columns, xlsx
from catalogue.importers.records import ProductRecord, Reject, Source, SourceRefused
from catalogue.importers.tabular import PhotoOf, in_folder, record, too_many_rows

MAX_WAIT = 120
"""Seconds to wait for the reading process: `xlsx.MAX_SECONDS` of processor time on a busy machine."""


class WorkbookSource(Source):
    """The rows of a workbook's first sheet.

    A separate process reads it (`xlsx`) into a temporary file, which `close` removes. Formulas have the values that
    were saved with them. `photo` finds the photo of a name in the table; by default photos are in the workbook's
    folder.
    """

    def __init__(self, path: Path, photo: PhotoOf | None = None, max_rows: int | None = None) -> None:
        """Raises `SourceRefused` for a damaged or costly workbook, a wrong header or too many rows."""
        self.photo = photo or in_folder(path.resolve().parent)
        self._rows = _read(path, settings.IMPORT_MAX_ROWS if max_rows is None else max_rows)
        try:
            lines = self._numbered()
            number, cells = next(lines, (1, []))
            self.header = _header(cells) if number == 1 else []
            columns.check_header(self.header)
            self.far = columns.has_addresses(self.header)
            self.total = sum(1 for _row in lines)
        except SourceRefused:
            self.close()
            raise

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        width = len(self.header)
        key = self.header.index("sku")
        for number, cells in self._numbered():
            if number == 1:
                continue
            where = _("row %(number)d") % {"number": number}
            sku = str((cells[key] if len(cells) > key else "") or "")
            if len(cells) > width:
                yield Reject(
                    where,
                    _("This row has cells to the right of the last heading. Give them one, or empty them."),
                    sku,
                )
                continue
            yield record(dict(zip_longest(self.header, cells)), where, sku, self.photo)

    def close(self) -> None:
        self._rows.close()

    def _numbered(self) -> Iterator[tuple[int, list[Any]]]:
        self._rows.seek(0)
        for line in self._rows:
            number, *cells = json.loads(line)
            yield number, cells


def _header(cells: list[Any]) -> list[str]:
    return ["" if cell is None else columns.normalise(str(cell)) for cell in cells]


def _read(path: Path, max_rows: int) -> IO[bytes]:
    """Run `xlsx` on a workbook; returns its output. Raises `SourceRefused`."""
    with ExitStack() as stack:
        written = stack.enter_context(tempfile.TemporaryFile())
        # Isolated: neither the environment nor the working directory decides what it imports.
        program = [sys.executable, "-I", xlsx.__file__, str(path.resolve()), str(max_rows)]
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                program,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},  # no secrets
                timeout=MAX_WAIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SourceRefused(_too_much_work()) from error
        if done.returncode:
            raise SourceRefused(_refusal(done.returncode, path, max_rows))
        stack.pop_all()  # the file stays open
        return written


def _refusal(status: int, path: Path, max_rows: int) -> str:
    """The message for an exit status of `xlsx`."""
    match status:
        case xlsx.TOO_MANY_ROWS:
            return too_many_rows(max_rows)
        case xlsx.TOO_MANY_CELLS:
            return _(
                "The workbook has more than %(limit)s cells, counting blank cells and text on other sheets. Delete "
                "everything but the table, or save the table as CSV."
            ) % {"limit": number_format(xlsx.MAX_CELLS * max_rows, force_grouping=True)}
        case xlsx.TOO_MUCH_TEXT:
            return _(
                "The workbook's cells have too much text: at most %(cell)s characters in one, %(all)s MB in all. "
                "Shorten them, or split the table."
            ) % {
                "cell": number_format(xlsx.MAX_CELL, force_grouping=True),
                "all": number_format(xlsx.MAX_TEXT // 1_000_000),
            }
        case xlsx.NO_SHEET:
            return _("The workbook has no sheet of cells. Put the table on its first sheet.")
        case xlsx.DAMAGED:
            return _("%(name)s cannot be read as an Excel workbook. Save it as .xlsx or as CSV again.") % {
                "name": path.name
            }
    return _too_much_work()


def _too_much_work() -> str:
    return _(
        "The workbook takes more time or memory to read than a table of this size should. Save its first sheet as "
        "CSV and import that."
    )
