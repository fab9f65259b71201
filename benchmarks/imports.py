"""What reading a file to import costs: those that are made to cost much, beside an ordinary one of 20,000 rows.

`python -m benchmarks.imports [--only WORD] [--json]` makes each file, reads it as the admin does, without the
database and without decoding photos, and prints processor seconds and memory: by how much the reading process grows,
and what the process takes that reads a workbook for it.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import processor

ROWS = 20_000
COLUMNS = 14

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_HEADER = '<row r="1">{}</row>'.format(
    "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("sku", "title", "description"))
)


def workbook(
    path: Path,
    body: str = "",
    *,
    strings: str | None = None,
    styles: str | None = None,
    sheets: int = 1,
    prolog: str = "",
    extra: int = 0,
) -> Path:
    """Write a workbook with a header and whatever rows, shared strings and styles these pieces of XML are.

    `extra` adds so many empty parts, and `prolog` comes before the sheet's root.
    """

    def relations(*targets: tuple[str, str]) -> str:
        inner = "".join(
            f'<Relationship Id="r{number}" Type="{_DOCUMENT}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets)
        )
        return f'<Relationships xmlns="{_PACKAGE}">{inner}</Relationships>'

    parts = [("worksheet", "sheet.xml")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("_rels/.rels", relations(("officeDocument", "book.xml")))
        names = "".join(f'<sheet name="s{number}" sheetId="{number}" r:id="r0"/>' for number in range(sheets))
        archive.writestr(
            "book.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{names}</sheets></workbook>'
        )
        archive.writestr(
            "sheet.xml",
            f'{prolog}<worksheet xmlns="{_MAIN}"><sheetData>{_HEADER}{body}</sheetData></worksheet>',
        )
        for kind, tag, content in (("sharedStrings", "sst", strings), ("styles", "styleSheet", styles)):
            if content is not None:
                parts.append((kind, f"{kind}.xml"))
                archive.writestr(f"{kind}.xml", f'<{tag} xmlns="{_MAIN}">{content}</{tag}>')
        archive.writestr("_rels/book.xml.rels", relations(*parts))
        for number in range(extra):
            archive.writestr(str(number), b"")
    return path


def _ordinary_rows() -> Iterator[list[str]]:
    draw = random.Random(1)
    yield ["sku", "title", "description", "price", *(f"attribute:a{number}" for number in range(4, COLUMNS))]
    for number in range(ROWS):
        values = (f"value {draw.randrange(1_000)}" for _column in range(4, COLUMNS))
        yield [
            f"C-{number}",
            f"Coat {number}",
            f"{draw.random()} " * 10,
            f"{draw.randrange(10_000) / 100:.2f}",
            *values,
        ]


def ordinary_csv(path: Path) -> Path:
    """Write the ordinary table."""
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_ordinary_rows())
    return path


def ordinary_workbook(path: Path) -> Path:
    """Write the ordinary table as a workbook."""
    import openpyxl

    made = openpyxl.Workbook(write_only=True)
    sheet = made.create_sheet()
    for row in _ordinary_rows():
        sheet.append(row)
    made.save(path)
    return path


def archive(path: Path, entries: int, method: int = zipfile.ZIP_STORED, data: bytes = b"") -> Path:
    """Write a zip of so many files."""
    with zipfile.ZipFile(path, "w", method) as made:
        for number in range(entries):
            made.writestr(f"{number}.jpg", data)
    return path


def overlapping(path: Path, entries: int, size: int) -> Path:
    """Write a zip whose entries are all the same packed bytes (D. Fifield, “A better zip bomb”, 2019)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("0000.jpg", b"\0" * size)
    data = out.getvalue()
    end = data.rindex(b"PK\5\6")
    start = data.rindex(b"PK\1\2", 0, end)
    entry = data[start:end]
    directory = b"".join(entry.replace(b"0000.jpg", b"%04d.jpg" % number) for number in range(entries))
    counts = entries.to_bytes(2, "little") * 2 + len(directory).to_bytes(4, "little") + start.to_bytes(4, "little")
    path.write_bytes(data[:start] + directory + b"PK\5\6\0\0\0\0" + counts + b"\0\0")
    return path


def text(content: Callable[[], str | bytes]) -> Callable[[Path], Path]:
    """Return what writes this content, which is made only then."""

    def write(path: Path) -> Path:
        made = content()
        path.write_bytes(made.encode() if isinstance(made, str) else made)
        return path

    return write


def _cell(kind: str, value: str) -> str:
    return f'<c t="{kind}"><v>{value}</v></c>'


def _attributes(count: int) -> str:
    """Blank cells that have a thousand attributes each, no two of one name."""
    names = (" ".join(f"a{number}=''" for number in range(first, first + 1_000)) for first in range(0, count, 1_000))
    return "".join(f"<c {of_a_cell}/>" for of_a_cell in names)


_STYLE = '<xf numFmtId="14"/>'
_ENTITIES = "<!DOCTYPE x [<!ENTITY e0 'lol'>{}]>".format(
    "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
)
_OUTER = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
_ENTITY_ROW = '<row r="2"><c t="inlineStr"><is><t>{}</t></is></c></row>'

WORKBOOKS: dict[str, Callable[[Path], Path]] = {
    "three million blank rows": lambda path: workbook(path, "<row/>" * 3_000_000),
    "forty million blank cells": lambda path: workbook(path, f"<row>{'<c/>' * 40_000_000}</row>"),
    "three million shared strings": lambda path: workbook(path, strings="<si/>" * 3_000_000),
    "a long shared string": lambda path: workbook(path, strings=f"<si><t>{'x' * 100_000_000}</t></si>"),
    "a text shared by a million cells": lambda path: workbook(
        path, f"<row>{_cell('s', '0') * 3}</row>" * ROWS, strings=f"<si><t>{'x' * 30_000}</t></si>"
    ),
    "row 1,048,576": lambda path: workbook(path, f'<row r="1048576">{_cell("str", "a") * 2}</row>'),
    "row 99,999,999,999": lambda path: workbook(path, f'<row r="99999999999">{_cell("str", "a") * 2}</row>'),
    "column ZZZZZZZZ": lambda path: workbook(path, '<row><c r="ZZZZZZZZ2" t="str"><v>a</v></c></row>'),
    "two million names of attributes": lambda path: workbook(path, f"<row>{_attributes(2_000_000)}</row>"),
    "ten million levels": lambda path: workbook(path, "<a>" * 10_000_000),
    "a number of a million digits": lambda path: workbook(path, f"<row>{_cell('n', '9' * 1_000_000)}</row>"),
    "entities in entities": lambda path: workbook(path, _ENTITY_ROW.format("&e9;"), prolog=_ENTITIES),
    "an entity from a file": lambda path: workbook(path, _ENTITY_ROW.format("&e;"), prolog=_OUTER),
    "a million styles": lambda path: workbook(path, styles=f"<cellXfs>{_STYLE * 1_000_000}</cellXfs>"),
    "a million sheets": lambda path: workbook(path, sheets=1_000_000),
    "a hundred thousand parts": lambda path: workbook(path, extra=100_000),
}

TABLES: dict[str, Callable[[Path], Path]] = {
    "a million columns": text(lambda: "sku," + "a," * 1_000_000 + "\n"),
    "fifty thousand columns": text(lambda: "sku," + "a," * 49_000 + "\nx\n"),
    "a line of 29 MB": text(lambda: "sku,title\n" + "a" * 29_000_000 + "\nb,Hat\n"),
    "a quotation mark that is not closed": text(lambda: 'sku,title\n"' + "a\n" * 14_000_000),
    "a row that does not end": text(lambda: "sku,title\n" + '"\n",' * 7_000_000),
    "twenty-nine million blank lines": text(lambda: "sku\n" + "\n" * 29_000_000),
    "fourteen million rows": text(lambda: "sku\n" + "a\n" * 14_000_000),
    "NULs": text(lambda: "sku,title\n" + "\0" * 29_000_000),
    "bytes that are not UTF-8": text(lambda: b"sku,title\n" + b"\xff" * 29_000_000),
    "UTF-16": text(lambda: b"\xff\xfe" + "sku,title\n".encode("utf-16-le") * 1_000_000),
    "ten million photos": text(lambda: "sku,title,photos\n" + ("a,b," + "x|" * 60_000 + "\n") * 240),
    "ten million levels of a category": text(lambda: "sku,title,category\n" + ("a,b," + "x>" * 60_000 + "\n") * 240),
    "attributes that nest": text(lambda: "sku,attributes\n" + ("a," + "[" * 120_000 + "\n") * 240),
}

ARCHIVES: dict[str, Callable[[Path], Path]] = {
    "a hundred thousand entries": lambda path: archive(path, 100_000),
    "entries that overlap": lambda path: overlapping(path, 3_000, 9_000_000),
    "entries packed by LZMA": lambda path: archive(path, 10, zipfile.ZIP_LZMA, b"\0" * 1_000_000),
}

FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "20,000 ordinary rows, workbook": (".xlsx", ordinary_workbook),
    "20,000 ordinary rows, CSV": (".csv", ordinary_csv),
    **{f"{name}, workbook": (".xlsx", make) for name, make in WORKBOOKS.items()},
    **{f"{name}, CSV": (".csv", make) for name, make in TABLES.items()},
    **{f"{name}, zip": (".zip", make) for name, make in ARCHIVES.items()},
}


def read(path: Path) -> dict[str, Any]:
    """Read a file as the admin does, and each photo of a zip. Returns seconds, megabytes and what came of it."""
    from catalogue.images import ImageRefused
    from catalogue.importers.archive import ArchiveSource
    from catalogue.importers.records import ProductRecord, SourceRefused
    from catalogue.importers.tabular import CsvSource
    from catalogue.importers.uploads import MAX_ENTRIES, MAX_EXPANDED_BYTES
    from catalogue.importers.workbook import WorkbookSource

    def open_source() -> Any:
        match path.suffix:
            case ".xlsx":
                return WorkbookSource(path, None, ROWS)
            case ".zip":
                return ArchiveSource(path, MAX_EXPANDED_BYTES, "", MAX_ENTRIES)
        return CsvSource(path, None, ROWS)

    before = _peak()
    start = time.process_time()
    try:
        source = open_source()
        good = bad = 0
        for record in source:
            good += isinstance(record, ProductRecord)
            bad += not isinstance(record, ProductRecord)
            if path.suffix == ".zip":
                try:
                    record.photos[0].read()
                except ImageRefused:
                    good, bad = good - 1, bad + 1
        source.close()
        outcome = f"{good:,} good, {bad:,} rejected"
    except SourceRefused as error:
        outcome = str(error)
    helper = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.process_time() - start + helper.ru_utime + helper.ru_stime, 2),
        "megabytes": round((_peak() - before) / 1_000),
        "outcome": outcome,
    }


def _reader_megabytes(path: Path) -> int:
    """Return what the process takes that reads a workbook; this one is small, and the peak of its own counts too."""
    program = [sys.executable, "-I", "catalogue/importers/xlsx.py", str(path), str(ROWS)]
    started = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _pid, _status, usage = os.wait4(started.pid, 0)
    return round(usage.ru_maxrss / 1_000)


def _make(name: str, path: Path) -> None:
    FILES[name][1](path)


def _peak() -> int:
    """Return the kilobytes that this process has had in memory at most, without those of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Measure each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="files whose names have this in them")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
        django.setup()
        print(json.dumps(read(options.file)))
        return
    if not options.json:
        print(processor())
        print(f"{'file':<45} {'KB':>8} {'seconds':>8} {'MB':>6}  outcome")
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, _maker) in FILES.items():
            if options.only not in name:
                continue
            path = Path(folder) / f"file{suffix}"
            # Made by a process of its own: what it takes would count as the reader's, which inherits its peak.
            maker = multiprocessing.get_context("spawn").Process(target=_make, args=(name, path))
            maker.start()
            maker.join()
            program = [sys.executable, "-m", "benchmarks.imports", "--file", str(path)]
            row: dict[str, Any] = {"file": name, "kilobytes": round(path.stat().st_size / 1_000)}
            row |= json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
            if suffix == ".xlsx":
                row["megabytes"] += _reader_megabytes(path)
            path.unlink()
            figures.append(row)
            if not options.json:
                size, seconds, memory = row["kilobytes"], row["seconds"], row["megabytes"]
                print(f"{name:<45} {size:>8,} {seconds:>8.2f} {memory:>6,}  {row['outcome'][:80]}", flush=True)
    if options.json:
        print(json.dumps({"processor": processor(), "files": figures}))


if __name__ == "__main__":
    main()
