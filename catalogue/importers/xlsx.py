"""Reads the first sheet of an Excel workbook, as a program of its own: `python xlsx.py PATH MAX_ROWS`.

A few kilobytes of a workbook can become gigabytes of XML. `workbook` therefore runs this as a process, which the
kernel stops at the limits below. It imports nothing of the site, so that it starts fast and holds no secrets.
openpyxl cannot do this: it checks no limits while it reads, and does not know the strict variant of the format.

It writes a JSON list for the first row and for each later row that is not blank: its number, then its cells as
strings, booleans or null, without trailing blank cells. The exit status is 0, or one of those below. The format is
ECMA-376, Part 1, 18.2 to 18.8.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import resource
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import IO, Any
from xml.etree import ElementTree as ET

MAX_SECONDS = 20
"""Processor seconds. A million cells, the default limit, need about eleven."""

MAX_MEMORY = 512_000_000
"""Bytes of address space. A million cells need 30 MB, as many shared strings of 100 characters 200 MB."""

MAX_CELLS = 50
"""Cells (blank ones too), and shared strings, per allowed row."""

MAX_TEXT = 100_000_000
"""Bytes of all rows written: a shared string is stored once in a workbook and written here for each of its cells."""

MAX_PART = 10_000_000
"""Bytes of a part that is parsed as a whole, such as the styles. It takes twelve times that in memory."""

MAX_CELL = 131_072
"""Characters of a cell: the limit of `csv`. Excel's own is 32,767."""

MAX_COLUMNS = 1_024
"""Cells of a row that are written: more than the allowed columns, so that wider rows are noticed."""

MAX_ROW_NUMBER = 1_048_576
"""Excel's last row."""

LAST_COLUMN = 16_384
"""Excel's last column, XFD."""

DAMAGED, NO_SHEET, TOO_MANY_ROWS, TOO_MANY_CELLS, TOO_MUCH_MEMORY, TOO_MUCH_TEXT = range(10, 16)
"""Exit statuses. Beyond `MAX_SECONDS` the process is killed by SIGXCPU."""

_DIGITS = ".15g"
"""Excel's precision, in which 0.1 + 0.2 is 0.3."""

_PLAIN = re.compile(r"[0-9]{1,15}", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


class Refused(ValueError):
    """A workbook is not read; `status` is the exit status that says why."""

    def __init__(self, status: int, reason: object = "") -> None:
        super().__init__(reason)
        self.status = status


def rows(file: IO[bytes], max_cells: int) -> Iterator[tuple[int, list[Any]]]:
    """The number and cells of the first sheet's first row, and of each later one that is not blank.

    Raises `Refused`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            book = _Book(archive)
            yield from _Sheet(book, book.strings(max_cells)).rows(max_cells)
    except (
        ET.ParseError, EOFError, IndexError, KeyError, NotImplementedError, OSError, RuntimeError,
        UnicodeError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise Refused(DAMAGED, error) from error


class _Book:
    """The parts of a workbook, and what its sheet refers to."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        names = [name for kind, name in self._relations("").values() if kind == "officeDocument"]
        if not names:
            raise Refused(DAMAGED)
        parts = self._relations(names[0])
        self._others = dict(parts.values())
        root = self._tree(names[0])
        self.since_1904 = any(
            _local(element.tag) == "workbookPr" and element.get("date1904", "0") in {"1", "true", "on"}
            for element in root
        )
        sheets = (element for element in root.iter() if _local(element.tag) == "sheet")
        targets = (parts.get(sheet.get(_RELATION) or sheet.get(_STRICT_RELATION) or "", ("", "")) for sheet in sheets)
        self.sheet = next((name for kind, name in targets if kind == "worksheet"), "")
        if not self.sheet:
            raise Refused(NO_SHEET)

    def strings(self, most: int) -> list[str]:
        """The strings that cells refer to by number."""
        name = self._others.get("sharedStrings")
        return [_text(element) for element in self.elements(name, "si", "si", most)] if name else []

    def moments(self) -> dict[str, bool]:
        """The styles of dates and times; True for durations."""
        from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

        name = self._others.get("styles")
        if not name:
            return {}
        root = self._tree(name)
        codes = {str(number): code for number, code in BUILTIN_FORMATS.items()}
        codes |= {
            element.get("numFmtId", ""): element.get("formatCode", "")
            for element in root.iter()
            if _local(element.tag) == "numFmt"
        }
        styles = next((element for element in root if _local(element.tag) == "cellXfs"), ())
        used = ((str(style), codes.get(element.get("numFmtId", ""), "")) for style, element in enumerate(styles))
        return {style: is_timedelta_format(code) for style, code in used if is_date_format(code)}

    def elements(self, part: str, name: str, counted: str, most: int) -> Iterator[ET.Element]:
        """The elements of a part that have a name, one at a time. At most `most` elements may be called `counted`."""
        ancestors: list[ET.Element] = []
        with self.archive.open(part) as file:
            for event, element in ET.iterparse(file, ("start", "end")):  # noqa: S314 - the process has limits
                if event == "start":
                    ancestors.append(element)
                    most -= _local(element.tag) == counted
                    if most < 0:
                        raise Refused(TOO_MANY_CELLS)
                    continue
                ancestors.pop()
                if _local(element.tag) == name:
                    yield element
                    ancestors[-1].clear()  # memory does not grow with the part

    def _tree(self, name: str) -> ET.Element:
        """Parse a part as a whole."""
        if self.archive.getinfo(name).file_size > MAX_PART:  # `zipfile` unpacks no more than that
            raise MemoryError
        return ET.fromstring(self.archive.read(name))  # noqa: S314 - the process has limits

    def _relations(self, name: str) -> dict[str, tuple[str, str]]:
        """The kind and full name of the parts that a part (for "", the workbook) refers to, by id."""
        folder, base = posixpath.split(name)
        root = self._tree(posixpath.join(folder, "_rels", f"{base}.rels"))
        return {
            element.get("Id", ""): (
                posixpath.basename(element.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/"),
            )
            for element in root
        }


class _Sheet:
    """The rows of a sheet."""

    def __init__(self, book: _Book, strings: list[str]) -> None:
        self._book = book
        self._strings = strings
        self._moments = book.moments()

    def rows(self, max_cells: int) -> Iterator[tuple[int, list[Any]]]:
        number = 0
        for row in self._book.elements(self._book.sheet, "row", "c", max_cells):
            number = int(row.get("r", number + 1))
            if number > MAX_ROW_NUMBER:
                raise Refused(TOO_MANY_ROWS)
            cells = self._cells(row)
            if cells or number == 1:
                yield number, cells

    def _cells(self, row: ET.Element) -> list[Any]:
        """The values of a row, without blank cells at its end."""
        cells: list[Any] = []
        column = 0
        for cell in row:
            if _local(cell.tag) != "c":
                continue
            where = cell.get("r")
            column = column + 1 if where is None else _column(where.rstrip("0123456789"))
            if (value := self._value(cell)) != "":
                cells += [None] * (column - len(cells))
                cells[column - 1] = value
        return cells

    def _value(self, cell: ET.Element) -> Any:
        """What a cell shows: a string or a boolean; "" for a blank cell."""
        if not (text := _text(cell)):
            return ""
        match cell.get("t", "n"):
            case "s":
                return self._strings[int(text)]
            case "b":
                return text.strip() in {"1", "true"}
            case "n" if (duration := self._moments.get(cell.get("s", "0"))) is not None:
                return self._moment(float(text), duration)
            case "n":
                return text if _PLAIN.fullmatch(text) else format(float(text), _DIGITS)
        return text

    def _moment(self, number: float, duration: bool) -> str:
        from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

        epoch = CALENDAR_MAC_1904 if self._book.since_1904 else CALENDAR_WINDOWS_1900
        try:
            moment = from_excel(number, epoch, timedelta=duration)
        except (OverflowError, ValueError):
            return "#VALUE!"  # as Excel shows it
        return moment.isoformat() if isinstance(moment, datetime) else str(moment)


@cache
def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2].rpartition(":")[2]


@cache
def _column(letters: str) -> int:
    """A -> 1, Z -> 26, AA -> 27. Raises `Damaged` beyond Excel's last column."""
    number = 0
    for letter in letters[:4]:
        number = number * 26 + ord(letter) - ord("A") + 1
    if not 1 <= number <= LAST_COLUMN:
        raise Refused(DAMAGED, letters)
    return number


def _text(element: ET.Element) -> str:
    """The characters of a cell or a shared string, without phonetic hints."""
    pieces: list[str] = []
    for child in element:
        match _local(child.tag):
            case "v" | "t":
                pieces.append(child.text or "")
            case "r" | "is":
                pieces.append(_text(child))
    text = "".join(pieces)
    if len(text) > MAX_CELL:
        raise Refused(TOO_MUCH_TEXT)
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def write(path: str, max_rows: int, out: IO[str]) -> None:
    """Write the rows of a workbook, each as a line of JSON. Raises what `rows` does."""
    found = written = 0
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would be one more thing to load
        for number, cells in rows(file, MAX_CELLS * max_rows):
            found += number > 1
            if found > max_rows:
                raise Refused(TOO_MANY_ROWS)
            line = json.dumps([number, *cells[:MAX_COLUMNS]])
            written += len(line)
            if written > MAX_TEXT:
                raise Refused(TOO_MUCH_TEXT)
            out.write(f"{line}\n")
    out.flush()


def limit() -> None:
    """Set this process's limits."""
    for kind, value in (
        (resource.RLIMIT_CPU, MAX_SECONDS),
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    os.nice(5)  # shoppers first


def main(path: str, max_rows: str) -> int:
    """The program. Returns its exit status."""
    limit()
    # Keep openpyxl from importing numpy, whose threads reserve memory.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        write(path, int(max_rows), sys.stdout)
    except Refused as refused:
        return refused.status
    except MemoryError:
        return TOO_MUCH_MEMORY
    except (ValueError, OverflowError):
        return DAMAGED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
