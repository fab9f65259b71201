"""Files from a supplier that are made to cost much: each is refused, or fails by itself, at little cost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks import imports as hostile
from catalogue.importers import uploads
from catalogue.importers.archive import ArchiveSource
from catalogue.importers.records import ProductRecord, Reject, SourceRefused
from catalogue.importers.tabular import CsvSource
from catalogue.importers.workbook import WorkbookSource

SECONDS = 15
"""Of a processor, to open any of these files; most take less than two. Without limits they took up to minutes."""

MEGABYTES = 100
"""By which a process may grow that reads a table of 30 MB."""

ROWS = 20_000


@contextmanager
def cheap() -> Iterator[None]:
    """Hold what happens within to the processor time that a file may cost, that of its helpers included."""
    before = spent()
    yield
    assert spent() - before < SECONDS


def spent() -> float:
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + helpers.ru_utime + helpers.ru_stime


def refusal(open_source: Callable[[], object]) -> str:
    with cheap(), pytest.raises(SourceRefused) as caught:
        open_source()
    return str(caught.value)


# Workbooks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("three million blank rows", "The table has more than 20,000 rows"),
        ("row 99,999,999,999", "The table has more than 20,000 rows"),
        ("forty million blank cells", "more than 1,000,000 cells"),
        ("three million shared strings", "more than 1,000,000 cells"),
        ("a long shared string", "too much text"),
        ("a text shared by a million cells", "too much text"),
        ("a number of a million digits", "too much text"),
        ("entities in entities", "cannot be read as an Excel workbook"),
        ("an entity from a file", "cannot be read as an Excel workbook"),
        ("ten million levels", "more time or memory"),
        ("a million styles", "more time or memory"),
        ("column ZZZZZZZZ", "cannot be read as an Excel workbook"),
    ],
)
def test_a_workbook_that_would_cost_much_is_refused_with_what_to_do(tmp_path: Path, name: str, sentence: str) -> None:
    path = hostile.WORKBOOKS[name](tmp_path / "t.xlsx")
    assert path.stat().st_size < 1_000_000
    assert sentence in refusal(lambda: WorkbookSource(path, None, ROWS))


def test_many_other_sheets_and_parts_are_not_read(tmp_path: Path) -> None:
    path = hostile.workbook(tmp_path / "t.xlsx", '<row><c t="str"><v>a</v></c></row>', sheets=1_000, extra=1_000)
    with closing(WorkbookSource(path)) as source:
        assert source.total == 1


def test_the_most_rows_and_cells_are_read_within_the_budget(tmp_path: Path) -> None:
    row = f"<row>{'<c><v>1</v></c>' * 3}{'<c/>' * 46}</row>"
    path = hostile.workbook(tmp_path / "t.xlsx", row * ROWS)
    with cheap(), closing(WorkbookSource(path, None, ROWS)) as source:
        assert source.total == ROWS


# CSV --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("sku," + "a," * 400_000, "first line has more than 100,000 characters"),
        ("sku," + "a," * 49_000, "49002 columns; at most 200"),
        ("sku\n" + "\n" * 1_000_001, "more than 1,000,000 blank rows"),
        ("sku\n" + "a\n" * 400_000, "more than 20,000 rows"),
        (b"\xff\xfe" + "sku\n".encode("utf-16-le") * 100_000, "is UTF-16"),
    ],
    ids=["long header", "many columns", "blank rows", "rows", "UTF-16"],
)
def test_a_table_that_would_cost_much_is_refused_with_what_to_do(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    path = hostile.text(lambda: content)(tmp_path / "t.csv")
    assert sentence in refusal(lambda: CsvSource(path, None, ROWS))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a" * 3_000_000, "cannot be split into cells"),
        ('a,"' + "x" * 200_000 + '"', "more than 131,072 characters"),
        ("a,b," + "x|" * 60_000, "at most 100"),
        ("a,b," + "https://a.example/ " * 6_000, "at most 100"),
        ("a,b,," + "x>" * 60_000, "at most 20 levels"),
        ("a,b,,," + "[" * 120_000, "write a JSON object"),
        ("a\0b,c", "NUL"),
    ],
    ids=["long", "long cell", "photos", "addresses", "levels", "nested", "NUL"],
)
def test_a_row_that_would_cost_much_is_rejected_and_the_next_is_read(tmp_path: Path, row: str, sentence: str) -> None:
    header = ["sku", "title", "image_urls" if "https" in row else "photos", "category", "attributes"]
    cells = row + "," * (len(header) - 1 - row.count(","))
    path = hostile.text(lambda: f"{','.join(header)}\n{cells}\nb,Hat{',' * 3}\n")(tmp_path / "t.csv")
    with cheap(), closing(CsvSource(path, None, ROWS)) as source:
        *bad, last = source
    assert isinstance(bad[0], Reject)
    assert sentence in bad[0].reason
    assert len(bad[0].reason) < 1_000
    assert isinstance(last, ProductRecord)
    assert last.sku == "b"


def test_a_row_that_does_not_end_takes_no_memory() -> None:
    program = [sys.executable, "-m", "benchmarks.imports", "--only", "a row that does not end", "--json"]
    done = subprocess.run(program, check=True, capture_output=True, text=True)  # noqa: S603
    (figures,) = json.loads(done.stdout)["files"]
    assert figures["megabytes"] < MEGABYTES
    assert figures["seconds"] < SECONDS


# Zips -------------------------------------------------------------------------------------------------------


def test_a_directory_of_many_entries_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = hostile.archive(tmp_path / "t.zip", 10_000)
    assert "more than 1,000 entries" in refusal(lambda: ArchiveSource(path, max_entries=1_000))


def test_a_directory_of_long_names_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(20):
            made.writestr(f"{number}{'x' * 60_000}.jpg", b"")
    assert "entries with very long names" in refusal(lambda: ArchiveSource(path, max_entries=1_000))


def test_entries_that_share_their_bytes_count_each(tmp_path: Path) -> None:
    path = hostile.overlapping(tmp_path / "t.zip", 3_000, 9_000_000)
    assert path.stat().st_size < 1_000_000
    assert "The archive expands to 27,000,000,000 bytes" in refusal(
        lambda: ArchiveSource(path, uploads.MAX_EXPANDED_BYTES)
    )
