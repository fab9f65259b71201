"""A table of products, as CSV or as JSON Lines; its photos lie beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalogue.fetching import is_address
from catalogue.importers import columns
from catalogue.importers.records import AddressedPhoto, FilePhoto, PhotoSource, ProductRecord, Reject, SourceRefused

DELIMITERS = ",;\t"
MAX_LINE = 1_000_000
"""Characters of a line of JSON: nothing longer is held in memory."""

_NOT_UTF8 = gettext_lazy("This line is not UTF-8. Save the table as UTF-8 (in Excel: CSV UTF-8) and import it again.")


class CsvSource:
    """A CSV table with a header, parted by commas, semicolons or tabs.

    `photo` gives the photo of a name in the table; without it photos lie in the table's own folder.
    """

    def __init__(self, path: Path, photo: PhotoOf | None = None) -> None:
        """Raises `SourceRefused` where the header is wrong."""
        self.path = path
        self.photo = photo or in_folder(path.resolve().parent)
        with _open(path) as file:
            first = file.readline(MAX_LINE)
            if not _utf8(first):
                raise SourceRefused(
                    _("%(path)s is not UTF-8. Save it as UTF-8 (in Excel: CSV UTF-8) and try again.") % {"path": path}
                )
            self.delimiter = max(DELIMITERS, key=lambda delimiter: columns.known(_header(first, delimiter)))
            self.header = _header(first, self.delimiter)
            columns.check_header(self.header)
            self.far = columns.has_addresses(self.header)
            self.total = sum(1 for _row in self._rows(file, 1))

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        with _open(self.path) as file:
            file.readline()
            for where, cells in self._rows(file, 1):
                yield self._record(where, cells)

    def close(self) -> None:
        """Nothing is held open."""

    def _rows(self, file: TextIO, before: int) -> Iterator[tuple[str, list[str] | None]]:
        """Each row that is not blank, with its line; None where it cannot be parted into cells."""
        rows = csv.reader(file, delimiter=self.delimiter)
        while True:
            where = _("line %(number)d") % {"number": before + rows.line_num + 1}
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error:
                yield where, None
                continue
            if any(cell.strip() for cell in cells):
                yield where, cells

    def _record(self, where: str, cells: list[str] | None) -> ProductRecord | Reject:
        if cells is None:
            return Reject(
                where, _("This line cannot be parted into cells. Look for a quotation mark that is not closed.")
            )
        sku = cells[self.header.index("sku")].strip() if len(cells) > self.header.index("sku") else ""
        if not _utf8("".join(cells)):
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


class JsonLinesSource:
    """A JSON object on each line, with the columns' names as keys."""

    far = False

    def __init__(self, path: Path) -> None:
        """Raises `SourceRefused` where the first line has keys that are no columns."""
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

    def close(self) -> None:
        """Nothing is held open."""

    def _lines(self) -> Iterator[tuple[str, str]]:
        with _open(self.path) as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                rest = line
                while len(rest) > MAX_LINE and not rest.endswith("\n"):
                    rest = file.readline(MAX_LINE + 1)
                if line.strip():
                    yield f"line {number}", line

    def _check_first(self, line: str) -> None:
        if line.lstrip().startswith("["):
            raise SourceRefused(f"{self.path} is one JSON list. Write one object on each line instead (JSON Lines).")
        try:
            row = _object(line)
        except ValueError:
            return  # a bad line is rejected alone
        columns.check_header(row)
        self.far = columns.has_addresses(row)

    def _record(self, where: str, line: str) -> ProductRecord | Reject:
        if len(line) > MAX_LINE:
            return Reject(where, f"This line has more than {MAX_LINE:,} characters.")
        if not _utf8(line):
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
"""From what a table calls a photo to where its bytes come from."""


def in_folder(folder: Path) -> PhotoOf:
    """Photos by their paths from a folder, which must be resolved, or by their addresses on the web."""
    return lambda name: AddressedPhoto(name) if is_address(name) else FilePhoto(folder, name)


def record(row: dict[str, object], where: str, sku: str, photo: PhotoOf) -> ProductRecord | Reject:
    """What a row whose header has been checked says, or why it says nothing."""
    try:
        return columns.record(row, where, photo)
    except columns.BadRow as error:
        return Reject(where, str(error), sku)


def _open(path: Path) -> TextIO:
    """UTF-8, with or without its mark; a byte that is none becomes a surrogate, so that one line fails alone."""
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


def _utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


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
        raise ValueError("it has no names")  # noqa: TRY004 - the caller speaks of one kind of error
    return {columns.normalise(name): cell for name, cell in value.items()}


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
