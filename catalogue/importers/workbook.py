"""A table of products as an Excel workbook (XLSX): its first sheet, with the columns of `columns`."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from catalogue.importers import columns
from catalogue.importers.records import ProductRecord, Reject, SourceRefused
from catalogue.importers.tabular import PhotoOf, in_folder, record

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

MAX_EXPANDED_BYTES = 300_000_000
"""Bytes that a workbook may come to when unpacked: it is a zip, and a few kilobytes of one can become gigabytes."""

MAX_COLUMNS = 200
"""Columns that are looked at; a sheet has room for 16,384."""

_DIGITS = ".15g"
"""As many digits as Excel keeps: 0.1 + 0.2 is 0.3 there."""


class WorkbookSource:
    """The rows of a workbook's first sheet, one after the other.

    Formulas count as what they came to when the workbook was saved. `photo` gives the photo of a name in the table;
    without it photos lie in the workbook's own folder.
    """

    def __init__(self, path: Path, photo: PhotoOf | None = None) -> None:
        """Raises `SourceRefused` where this is no workbook, unpacks too far, has a wrong header or too many rows."""
        self.photo = photo or in_folder(path.resolve().parent)
        self.book = _open(path)
        try:
            self.header = self._header()
            columns.check_header(self.header)
            self.far = columns.has_addresses(self.header)
            self.total = sum(1 for _row in self._rows())
        except SourceRefused:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise _damaged(path) from error

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        width = len(self.header)
        for where, cells in self._rows():
            sku = _cell(cells[self.header.index("sku")]) if len(cells) > self.header.index("sku") else ""
            if any(cell is not None for cell in cells[width:]):
                yield Reject(
                    where,
                    _("This row has cells to the right of the last heading. Give them one, or empty them."),
                    str(sku),
                )
                continue
            row = dict(zip_longest(self.header, (_cell(cell) for cell in cells[:width])))
            yield record(row, where, str(sku or ""), self.photo)

    def close(self) -> None:
        self.book.close()

    def _header(self) -> list[str]:
        first = next(self._cells(1), ())
        names = ["" if cell is None else columns.normalise(str(cell)) for cell in first]
        while names and not names[-1]:
            names.pop()
        return names

    def _rows(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Each row that is not blank, with its number as Excel shows it."""
        found = 0
        for number, cells in enumerate(self._cells(None), 1):
            if number == 1 or _blank(cells):
                continue
            found += 1
            if found > settings.IMPORT_MAX_ROWS:
                raise SourceRefused(
                    _(
                        "The sheet has more than %(limit)s rows. Split it, or save it as CSV and use the command "
                        "import_catalogue, which takes any number."
                    )
                    % {"limit": number_format(settings.IMPORT_MAX_ROWS, force_grouping=True)}
                )
            yield _("row %(number)d") % {"number": number}, cells

    def _cells(self, last: int | None) -> Iterator[tuple[Any, ...]]:
        sheet = self.book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its own size need not be true
        return iter(sheet.iter_rows(min_row=1, max_row=last, max_col=MAX_COLUMNS, values_only=True))


def _open(path: Path) -> Workbook:
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            _check_expanded(sum(entry.file_size for entry in archive.infolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it does not keep: this only reads
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except SourceRefused:
        raise
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path) from error
    if not book.worksheets:
        book.close()
        raise SourceRefused(_("The workbook has no sheet of cells. Put the table on its first sheet."))
    return book


def _check_expanded(count: int) -> None:
    if count > MAX_EXPANDED_BYTES:
        raise SourceRefused(
            _("The workbook unpacks to %(size)d MB; at most %(limit)d are taken. Split it, or save it as CSV.")
            % {"size": count // 1_000_000, "limit": MAX_EXPANDED_BYTES // 1_000_000}
        )


def _damaged(path: Path) -> SourceRefused:
    return SourceRefused(
        _("%(name)s cannot be read as an Excel workbook. Save it as .xlsx or as CSV again.") % {"name": path.name}
    )


def _blank(cells: tuple[Any, ...]) -> bool:
    # Counted first: a sheet may claim a million empty rows of 200 cells.
    return cells.count(None) == len(cells) or all(cell is None or cell == "" for cell in cells)


def _cell(cell: Any) -> Any:
    """A cell as a table of text would have it."""
    if isinstance(cell, datetime):
        moment = cell if timezone.is_aware(cell) else timezone.make_aware(cell)
        return moment.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float):
        return format(cell, _DIGITS)
    # A time or a duration: no column takes one, but a sentence can show it.
    return cell if cell is None or isinstance(cell, (str, int)) else str(cell)
