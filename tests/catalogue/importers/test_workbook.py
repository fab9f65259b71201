"""Excel workbooks as sources."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from benchmarks import imports as hostile
from catalogue.importers.records import ProductRecord, Reject, SourceRefused
from catalogue.importers.sources import open_source
from catalogue.importers.workbook import WorkbookSource


def book(tmp_path: Path, *rows: list[Any], name: str = "t.xlsx") -> Path:
    made = openpyxl.Workbook()
    sheet: Any = made.active
    for row in rows:
        sheet.append(row)
    made.create_sheet("Notes").append(["not a table"])
    path = tmp_path / name
    made.save(path)
    return path


def read(path: Path) -> list[ProductRecord | Reject]:
    source = WorkbookSource(path)
    try:
        found = list(source)
        assert source.total == len(found)
        return found
    finally:
        source.close()


def only(path: Path) -> ProductRecord:
    (found,) = read(path)
    assert isinstance(found, ProductRecord)
    return found


def test_the_first_sheet_is_read_with_headings_as_people_write_them(tmp_path: Path) -> None:
    found = only(book(tmp_path, ["SKU", "Title", "External URL"], ["a", "Coat", "https://shop.example/a"]))
    assert (found.sku, found.where) == ("a", "row 2")
    assert found.values == {"title": "Coat", "external_url": "https://shop.example/a"}


def test_numbers_and_dates_are_read_as_the_sheet_shows_them(tmp_path: Path) -> None:
    header = ["sku", "title", "price", "stock", "visible_from", "visible_until"]
    row = [1001, 501, 0.1 + 0.2, 7.0, date(2026, 1, 31), datetime(2026, 2, 1, 9, 30)]  # noqa: DTZ001
    found = only(book(tmp_path, header, row))
    assert found.sku == "1001"
    assert found.values == {
        "title": "501",
        "price": Decimal("0.30"),
        "stock": 7,
        "visible_from": datetime(2026, 1, 31, tzinfo=UTC),
        "visible_until": datetime(2026, 2, 1, 9, 30, tzinfo=UTC),
    }


def test_blank_rows_are_skipped_and_short_rows_are_padded(tmp_path: Path) -> None:
    path = book(tmp_path, ["sku", "title", "price"], ["a", "Coat"], [None, "", None], ["b", "Hat", 3])
    first, second = read(path)
    assert isinstance(first, ProductRecord)
    assert first.values["price"] is None
    assert second.where == "row 4"


def test_a_bad_row_fails_alone_with_a_sentence(tmp_path: Path) -> None:
    path = book(tmp_path, ["sku", "title", "price"], ["a", "Coat", "cheap"], ["b", "Hat", 3, "more"], ["c", "Bag", 1])
    first, second, third = read(path)
    assert isinstance(first, Reject)
    assert first.reason.startswith("price is 'cheap'; write a number with a point")
    assert isinstance(second, Reject)
    assert second.reason.startswith("This row has cells to the right of the last heading.")
    assert isinstance(third, ProductRecord)


@pytest.mark.parametrize("header", [["title"], ["sku", "titel"], [], ["sku", None, "title"]])
def test_a_wrong_header_is_refused(tmp_path: Path, header: list[Any]) -> None:
    with pytest.raises(SourceRefused, match="column"):
        WorkbookSource(book(tmp_path, header, ["a"]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_workbook_is_refused_with_a_sentence(tmp_path: Path, share: float) -> None:
    path = book(tmp_path, ["sku", "title"], ["a", "Coat"])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceRefused, match="cannot be read as an Excel workbook"):
        WorkbookSource(path)


def test_a_workbook_is_known_by_its_name(tmp_path: Path) -> None:
    source = open_source(book(tmp_path, ["sku", "title"], ["a", "Coat"], name="Shop.XLSX"))
    assert isinstance(source, WorkbookSource)
    source.close()


@pytest.mark.parametrize(
    ("cell", "text"), [(time(9, 30), "09:30:00"), (timedelta(hours=30), "1 day, 6:00:00")], ids=["time", "duration"]
)
def test_a_time_in_the_wrong_column_rejects_its_row_alone(tmp_path: Path, cell: Any, text: str) -> None:
    first, second = read(book(tmp_path, ["sku", "title", "price"], ["a", "Coat", cell], ["b", "Hat", 3]))
    assert isinstance(first, Reject)
    assert first.reason.startswith(f"price is {text!r}; write a number")
    assert isinstance(second, ProductRecord)


def test_shared_strings_are_read_without_formats_and_phonetics(tmp_path: Path) -> None:
    rich = "<si><r><t>Wool </t></r><r><t>coat</t></r><rPh sb='0' eb='1'><t>read so</t></rPh></si>"
    cells = "".join(f'<c t="s"><v>{number}</v></c>' for number in (1, 0))
    found = only(
        hostile.workbook(tmp_path / "t.xlsx", f"<row>{cells}</row>", strings=f"{rich}<si><t>a_x000D_b</t></si>")
    )
    assert (found.sku, found.values["title"]) == ("a\rb", "Wool coat")


def test_a_cell_with_an_error_is_not_empty(tmp_path: Path) -> None:
    cells = '<c t="str"><v>a</v></c><c t="e"><v>#N/A</v></c>'
    assert only(hostile.workbook(tmp_path / "t.xlsx", f"<row>{cells}</row>")).values["title"] == "#N/A"


def test_cells_are_placed_by_their_references(tmp_path: Path) -> None:
    cells = '<c r="B7" t="str"><v>Coat</v></c><c r="A7" t="str"><v>a</v></c>'
    found = only(hostile.workbook(tmp_path / "t.xlsx", f'<row r="7">{cells}</row>'))
    assert (found.where, found.sku, found.values) == ("row 7", "a", {"title": "Coat", "description": ""})


def test_dates_may_be_counted_from_1904(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.epoch = CALENDAR_MAC_1904
    sheet: Any = made.active
    sheet.append(["sku", "title", "visible_from"])
    sheet.append(["a", "Coat", date(2026, 1, 31)])
    made.save(tmp_path / "t.xlsx")
    assert only(tmp_path / "t.xlsx").values["visible_from"] == datetime(2026, 1, 31, tzinfo=UTC)


def test_a_missing_shared_string_refuses_the_workbook(tmp_path: Path) -> None:
    path = hostile.workbook(tmp_path / "t.xlsx", '<row><c t="s"><v>5</v></c></row>', strings="<si/>")
    with pytest.raises(SourceRefused, match="cannot be read as an Excel workbook"):
        WorkbookSource(path)
