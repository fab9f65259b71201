"""Reads the first sheet of an Excel workbook, as a program of its own: `python xlsx.py PATH MAX_ROWS`.

A few kilobytes of a workbook can become gigabytes of XML. `workbook` therefore has it read by this process, which
the kernel stops at the limits below. It imports nothing of the site, so that it starts fast and holds no secrets.

Standard output gets a JSON list for the first row and for each later row that is not blank: its number, then its
cells as strings, booleans or null, without blank cells at the end. The exit status is 0, or one of those below.
The format is ECMA-376, Part 1, 18.2 to 18.8.
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
from xml.parsers import expat

MAX_SECONDS = 20
"""Processor seconds. A million cells, the most that is taken by default, need about eight."""

MAX_MEMORY = 512_000_000
"""Bytes of address space. A million cells need 30 MB, as many shared strings of 100 characters 200 MB."""

MAX_CELLS = 50
"""Cells, and shared strings, for each row that is taken: on average, blank ones too."""

MAX_TEXT = 100_000_000
"""Bytes of rows written: a text that many cells share is in a workbook once, and is written here for each of them."""

MAX_PART = 10_000_000
"""Bytes of a part that is read as a whole, such as the styles: twelve times that in memory."""

MAX_CELL = 131_072
"""Characters of a cell: what `csv` takes. Excel itself takes 32,767."""

MAX_COLUMNS = 1_024
"""Cells of a row that are written: more than the headings that are taken, so that what is too wide is noticed."""

MAX_ROW_NUMBER = 1_048_576
"""Excel's own last row: beyond it there is nothing, blank or not."""

LAST_COLUMN = 16_384
"""Excel's own: XFD."""

DAMAGED, NO_SHEET, TOO_MANY_ROWS, TOO_MANY_CELLS, TOO_MUCH_MEMORY, TOO_MUCH_TEXT = range(10, 16)
"""Exit statuses. Beyond `MAX_SECONDS` the process is killed by SIGXCPU."""

_PIECE = 65_536
_DIGITS = ".15g"
"""As many digits as Excel keeps: 0.1 + 0.2 is 0.3 there."""

_PLAIN = re.compile(r"[0-9]{1,15}", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


class Refused(ValueError):
    """Why nothing is read."""

    status = DAMAGED


class Damaged(Refused):
    """This is no workbook, or a part of it is missing or cannot be understood."""


class NoSheet(Refused):
    """The workbook has no sheet of cells."""

    status = NO_SHEET


class TooManyRows(Refused):
    """The sheet has more rows than are taken."""

    status = TOO_MANY_ROWS


class TooManyCells(Refused):
    """The sheet has more cells, or the workbook more shared strings, than are taken."""

    status = TOO_MANY_CELLS


class TooMuchText(Refused):
    """A cell has more than `MAX_CELL` characters, or all rows come to more than `MAX_TEXT` bytes."""

    status = TOO_MUCH_TEXT


def rows(file: IO[bytes], max_cells: int) -> Iterator[tuple[int, list[Any]]]:
    """The number and cells of the first sheet's first row, and of each later one that is not blank.

    Raises `Damaged`, `NoSheet`, `TooManyRows`, `TooManyCells` or `TooMuchText`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            book = _Book(archive)
            strings = book.strings(max_cells)
            yield from _Sheet(strings, book.moments(), book.since_1904, max_cells).read(archive, book.sheet)
    except (
        ET.ParseError, EOFError, IndexError, KeyError, NotImplementedError, OSError, RuntimeError,
        UnicodeError, expat.ExpatError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise Damaged(str(error)) from error


class _Book:
    """Where the parts of a workbook are, and what its sheet refers to."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        names = [name for kind, name in self._relations("").values() if kind == "officeDocument"]
        if not names:
            raise Damaged
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
            raise NoSheet

    def strings(self, most: int) -> list[str]:
        """The texts that cells refer to by number."""
        name = self._others.get("sharedStrings")
        return _Strings(most).read(self.archive, name) if name else []

    def moments(self) -> dict[str, bool]:
        """The styles of cells that hold a date or a time; True for those that hold a duration."""
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

    def _tree(self, name: str) -> ET.Element:
        """A part that is read as a whole: all but sheets and strings."""
        if self.archive.getinfo(name).file_size > MAX_PART:  # no more than that is unpacked
            raise MemoryError
        return ET.fromstring(self.archive.read(name))  # noqa: S314 - the process has limits

    def _relations(self, name: str) -> dict[str, tuple[str, str]]:
        """By id: the kind and the full name of each part that a part (or, for "", the workbook) refers to."""
        folder, base = posixpath.split(name)
        root = self._tree(posixpath.join(folder, "_rels", f"{base}.rels"))
        return {
            element.get("Id", ""): (
                posixpath.basename(element.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/"),
            )
            for element in root
        }


class _Part:
    """A part that is read piece by piece: its elements call `start_NAME` and `end_NAME` where there is such a method.

    `take_text` gives the characters of the `v` or `t`s since the last time, without those that say how to pronounce
    others.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._text: list[str] = []
        self._length = 0
        self._heard = False
        self._pronounced = False
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        self._starts = cache(lambda name: getattr(self, f"start_{_local(name)}", None))
        self._ends = cache(lambda name: getattr(self, f"end_{_local(name)}", None))

    def pieces(self, archive: zipfile.ZipFile, name: str) -> Iterator[None]:
        """Read a part; yields after each piece."""
        with archive.open(name) as file:
            while piece := file.read(_PIECE):
                self._parser.Parse(piece, False)
                yield
        self._parser.Parse(b"", True)
        yield

    def take_text(self) -> str:
        text = "".join(self._text)
        self._text.clear()
        self._length = 0
        return text

    def count(self) -> None:
        """Count a cell or a string."""
        self._left -= 1
        if self._left < 0:
            raise TooManyCells

    def start_t(self, attributes: dict[str, str]) -> None:
        self._heard = not self._pronounced

    def end_t(self) -> None:
        self._heard = False

    def start_rPh(self, attributes: dict[str, str]) -> None:  # noqa: N802 - the element's name
        self._pronounced = True

    def end_rPh(self) -> None:  # noqa: N802
        self._pronounced = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if handler := self._starts(name):
            handler(attributes)

    def _end(self, name: str) -> None:
        if handler := self._ends(name):
            handler()

    def _data(self, text: str) -> None:
        if self._heard:
            self._text.append(text)
            self._length += len(text)
            if self._length > MAX_CELL:
                raise TooMuchText


class _Strings(_Part):
    """The shared strings of a workbook."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.texts: list[str] = []

    def read(self, archive: zipfile.ZipFile, name: str) -> list[str]:
        for _piece in self.pieces(archive, name):
            pass
        return self.texts

    def end_si(self) -> None:
        self.count()
        self.texts.append(_unescaped(self.take_text()))


class _Sheet(_Part):
    """The rows of a sheet."""

    def __init__(self, strings: list[str], moments: dict[str, bool], since_1904: bool, most: int) -> None:
        super().__init__(most)
        self._strings = strings
        self._moments = moments
        self._since_1904 = since_1904
        self._number = 0
        self._column = 0
        self._cells: list[Any] = []
        self._kind = self._style = ""
        self._ready: list[tuple[int, list[Any]]] = []

    def read(self, archive: zipfile.ZipFile, name: str) -> Iterator[tuple[int, list[Any]]]:
        for _piece in self.pieces(archive, name):
            yield from self._ready
            self._ready.clear()

    def start_row(self, attributes: dict[str, str]) -> None:
        self._number = int(attributes.get("r", self._number + 1))
        if self._number > MAX_ROW_NUMBER:
            raise TooManyRows
        self._cells = []
        self._column = 0

    def start_c(self, attributes: dict[str, str]) -> None:
        where = attributes.get("r")
        self._column = self._column + 1 if where is None else _column(where.rstrip("0123456789"))
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "0")
        self.count()

    def start_v(self, attributes: dict[str, str]) -> None:
        self._heard = True

    def end_v(self) -> None:
        self._heard = False

    def end_c(self) -> None:
        text = self.take_text()
        if text and (value := self._value(text)) != "":
            gap = self._column - 1 - len(self._cells)
            self._cells += [None] * gap
            if gap < 0:  # cells come in order; where they do not, the last word counts
                self._cells[self._column - 1] = value
            else:
                self._cells.append(value)

    def end_row(self) -> None:
        if self._cells or self._number == 1:
            self._ready.append((self._number, self._cells))

    def _value(self, text: str) -> Any:
        match self._kind:
            case "s":
                return self._strings[int(text)]
            case "b":
                return text.strip() in {"1", "true"}
            case "n" if (duration := self._moments.get(self._style)) is not None:
                return self._moment(float(text), duration)
            case "n":
                return text if _PLAIN.fullmatch(text) else format(float(text), _DIGITS)
        return _unescaped(text)

    def _moment(self, number: float, duration: bool) -> str:
        from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

        epoch = CALENDAR_MAC_1904 if self._since_1904 else CALENDAR_WINDOWS_1900
        try:
            moment = from_excel(number, epoch, timedelta=duration)
        except (OverflowError, ValueError):
            return "#VALUE!"  # as Excel shows it
        return moment.isoformat() if isinstance(moment, datetime) else str(moment)


@cache
def _local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]


@cache
def _column(letters: str) -> int:
    """A -> 1, Z -> 26, AA -> 27. Raises `Damaged` beyond Excel's last column."""
    number = 0
    for letter in letters[:4]:
        number = number * 26 + ord(letter) - ord("A") + 1
    if not 1 <= number <= LAST_COLUMN:
        raise Damaged(letters)
    return number


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def write(path: str, max_rows: int, out: IO[str]) -> None:
    """Write the rows of a workbook, each as a line of JSON. Raises what `rows` does."""
    found = written = 0
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would be one more thing to load
        for number, cells in rows(file, MAX_CELLS * max_rows):
            found += number > 1
            if found > max_rows:
                raise TooManyRows
            line = json.dumps([number, *cells[:MAX_COLUMNS]])
            written += len(line)
            if written > MAX_TEXT:
                raise TooMuchText
            out.write(f"{line}\n")
    out.flush()


def limit() -> None:
    """Hold this process to its limits."""
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
    # openpyxl would import numpy, whose threads reserve memory, and neither is needed for this.
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
