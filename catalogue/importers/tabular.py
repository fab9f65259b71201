"""A table of products as CSV or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TextIO

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalogue.fetching import is_address
from catalogue.importers import columns
from catalogue.importers.cells import is_unicode
from catalogue.importers.records import (
    AddressedPhoto,
    FilePhoto,
    PhotoSource,
    ProductRecord,
    Reject,
    Source,
    SourceRefused,
)

DELIMITERS = ",;\t"
MAX_LINE = 1_000_000
"""Characters of a line of JSON, or of a row of CSV, which may have several lines. Bounds memory."""

MAX_HEADER = 100_000
"""Characters of the header."""

MAX_BLANK = 1_000_000
"""Blank rows of a table. So many take a second, and no real table has them."""

_NOT_UTF8 = gettext_lazy("This line is not UTF-8. Save the table as UTF-8 (in Excel: CSV UTF-8) and import it again.")


class CsvSource(Source):
    """A CSV table with a header, separated by commas, semicolons or tabs.

    `photo` finds the photo of a name in the table; by default photos are in the table's folder.
    """

    def __init__(self, path: Path, photo: PhotoOf | None = None, max_rows: int | None = None) -> None:
        """Raises `SourceRefused` for a wrong header, or more than `max_rows` rows."""
        self.path = path
        self.photo = photo or in_folder(path.resolve().parent)
        with _open(path) as file:
            first = file.readline(MAX_HEADER + 1)
            if len(first) > MAX_HEADER:
                raise SourceRefused(
                    _("The first line has more than %(limit)s characters. It should contain only column names.")
                    % {"limit": number_format(MAX_HEADER, force_grouping=True)}
                )
            if not is_unicode(first):
                raise SourceRefused(
                    _("%(path)s is not UTF-8. Save it as UTF-8 (in Excel: CSV UTF-8) and try again.") % {"path": path}
                )
            self.delimiter = max(DELIMITERS, key=lambda delimiter: columns.count_known(_header(first, delimiter)))
            self.header = _header(first, self.delimiter)
            columns.check_header(self.header)
            self.far = columns.has_addresses(self.header)
            self.total = 0
            for _row in self._rows(file):
                self.total += 1
                if max_rows is not None and self.total > max_rows:
                    raise SourceRefused(too_many_rows(max_rows))

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        with _open(self.path) as file:
            file.readline(MAX_HEADER)
            for number, cells in self._rows(file):
                yield self._record(_("line %(number)d") % {"number": number}, cells)

    def _rows(self, file: TextIO) -> Iterator[tuple[int, list[str] | None]]:
        """The number of the first line and the cells of each row that is not blank; None for an unreadable row."""
        lines = _Lines(file)
        rows = csv.reader(lines, delimiter=self.delimiter)
        blank = 0
        while True:
            number = lines.begin_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error:
                yield number, None
                continue
            if any(cells) and any(map(str.strip, cells)):
                yield number, cells
                continue
            blank += 1
            if blank > MAX_BLANK:
                raise SourceRefused(
                    _("The table has more than %(limit)s blank rows. Delete them.")
                    % {"limit": number_format(MAX_BLANK, force_grouping=True)}
                )

    def _record(self, where: str, cells: list[str] | None) -> ProductRecord | Reject:
        if cells is None:
            return Reject(
                where,
                _(
                    "This line cannot be split into cells. Look for a quotation mark that is not closed, or a cell "
                    "of more than %(limit)s characters."
                )
                % {"limit": number_format(csv.field_size_limit(), force_grouping=True)},
            )
        sku = cells[self.header.index("sku")].strip() if len(cells) > self.header.index("sku") else ""
        if not is_unicode("".join(cells)):
            return Reject(where, str(_NOT_UTF8))
        if len(cells) != len(self.header):
            return Reject(
                where,
                _(
                    "This row has %(cells)d cells, the header %(headings)d. "
                    "Put cells that have the delimiter in them in quotation marks."
                )
                % {"cells": len(cells), "headings": len(self.header)},
                sku,
            )
        return record(dict(zip(self.header, cells, strict=True)), where, sku, self.photo)


class _Lines:
    """The lines of a file after its header, for `csv.reader`, which can continue after an error.

    Raises `csv.Error` for a line that makes its row longer than `MAX_LINE`.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._number = 1
        self._row = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = _line(self._file)
        if not line:
            raise StopIteration
        self._number += 1
        self._row += len(line)
        if self._row > MAX_LINE:
            raise csv.Error
        return line

    def begin_row(self) -> int:
        """Start a row; returns the number of its first line."""
        self._row = 0
        return self._number + 1


class JsonLinesSource(Source):
    """A JSON object per line, with column names as keys."""

    def __init__(self, path: Path) -> None:
        """Raises `SourceRefused` if the first line has unknown keys."""
        self.path = path
        self.photo = in_folder(path.resolve().parent)
        self.total = 0
        for _where, line in self._lines():
            if not self.total:
                self._check_first(line)
            self.total += 1

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        for where, line in self._lines():
            yield self._record(where, line)

    def _lines(self) -> Iterator[tuple[str, str]]:
        with _open(self.path) as file:
            number = 0
            while line := _line(file):
                number += 1
                if line.strip():
                    yield f"line {number}", line

    def _check_first(self, line: str) -> None:
        if line.lstrip().startswith("["):
            raise SourceRefused(f"{self.path} is one JSON list. Write one object on each line instead (JSON Lines).")
        try:
            row = _object(line)
        except ValueError:
            return  # rejected later, alone
        columns.check_header(row)
        self.far = columns.has_addresses(row)

    def _record(self, where: str, line: str) -> ProductRecord | Reject:
        if len(line) > MAX_LINE:
            return Reject(where, f"This line has more than {MAX_LINE:,} characters.")
        if not is_unicode(line):
            return Reject(where, str(_NOT_UTF8))
        try:
            row = _object(line)
        except ValueError as error:
            return Reject(where, f"This line is not a JSON object: {error}.")
        sku = str(row.get("sku", ""))
        try:
            columns.check_header(row)
        except SourceRefused as error:
            return Reject(where, str(error), sku)
        return record(row, where, sku, self.photo)


PhotoOf = Callable[[str], PhotoSource]
"""Finds the photo of a name in a table."""


def in_folder(folder: Path) -> PhotoOf:
    """Photos by their paths in a folder, which must be resolved, or by their web addresses."""
    return lambda name: AddressedPhoto(name) if is_address(name) else FilePhoto(folder, name)


def record(row: dict[str, object], where: str, sku: str, photo: PhotoOf) -> ProductRecord | Reject:
    """The product of a row whose header has been checked, or its reject."""
    try:
        return columns.record(row, where, photo)
    except columns.BadRow as error:
        return Reject(where, str(error), sku)


def _open(path: Path) -> TextIO:
    """Open UTF-8, with or without a BOM. Invalid bytes become surrogates, so that only their line fails."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
        if start in {b"\xff\xfe", b"\xfe\xff"}:
            raise SourceRefused(
                _("%(path)s is UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8) and try again.") % {"path": path}
            )
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise SourceRefused(
            _("%(path)s cannot be read: %(reason)s.") % {"path": path, "reason": error.strerror}
        ) from error


def _line(file: TextIO) -> str:
    """The next line, cut to `MAX_LINE` + 1 characters."""
    line = rest = file.readline(MAX_LINE + 1)
    while len(rest) > MAX_LINE and not rest.endswith("\n"):
        rest = file.readline(MAX_LINE + 1)
    return line


def too_many_rows(limit: int) -> str:
    """The message for a table with more rows than this."""
    return _(
        "The table has more than %(limit)s rows. Split it, or save it as CSV and use the command import_catalogue, "
        "which takes any number."
    ) % {"limit": number_format(limit, force_grouping=True)}


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return [columns.normalise(name) for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _object(line: str) -> dict[str, object]:
    """The object of a line. Raises ValueError."""
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - callers expect ValueError
    return {columns.normalise(name): cell for name, cell in value.items()}


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
