"""CSV and JSON Lines as sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalogue.importers.records import ProductRecord, Reject, Source, SourceRefused
from catalogue.importers.sources import open_source
from catalogue.importers.tabular import CsvSource, JsonLinesSource


def table(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def titles(source: Source) -> dict[str, str]:
    return {record.sku: record.values["title"] for record in source if isinstance(record, ProductRecord)}


def rejects(source: Source) -> dict[str, str]:
    return {record.where: record.reason for record in source if isinstance(record, Reject)}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str, mark: str, newline: str) -> None:
    rows = [["SKU", "Title", "Price"], ["1", "Röcke", "1.50"], ["2", '"a,b;c"', ""]]
    path = table(tmp_path, mark + newline.join(delimiter.join(row) for row in rows))
    source = CsvSource(path)
    assert titles(source) == {"1": "Röcke", "2": "a,b;c"}
    assert source.total == 2


def test_lines_within_a_cell_and_blank_lines_are_counted_right(tmp_path: Path) -> None:
    source = CsvSource(table(tmp_path, 'sku,title,price\n1,"two\nlines",1\n\n,,\n2,Coat,x\n'))
    assert list(rejects(source)) == ["line 6"]
    assert source.total == 2


def test_a_row_of_another_length_is_rejected_alone(tmp_path: Path) -> None:
    source = CsvSource(table(tmp_path, "sku,title\n1,Coat,red\n2\n3,Hat\n"))
    assert titles(source) == {"3": "Hat"}
    assert rejects(source)["line 2"].startswith("This row has 3 cells, the header 2.")
    assert "line 3" in rejects(source)


def test_a_line_that_is_not_utf8_is_rejected_alone(tmp_path: Path) -> None:
    source = CsvSource(table(tmp_path, b"sku,title\n1,R\xf6cke\n2,Hat\n"))
    assert titles(source) == {"2": "Hat"}
    assert "not UTF-8" in rejects(source)["line 2"]


def test_an_unclosed_quotation_mark_rejects_its_own_rows(tmp_path: Path) -> None:
    rows = "".join(f"{number},{'Hat ' * 40}\n" for number in range(2_000))
    source = CsvSource(table(tmp_path, f'sku,title\nA,Coat\nB,"open\n{rows}'))
    found = list(source)
    assert {"A", "1999"} <= {record.sku for record in found if isinstance(record, ProductRecord)}
    (reject,) = (record for record in found if isinstance(record, Reject))
    assert reject.where == "line 3"
    assert "quotation mark" in reject.reason


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("sku,titel\n", "did you mean 'title'"),
        ("title\n", "'sku' is missing"),
        ("", "'sku' is missing"),
        ("sku,title\n1,a\n".encode("utf-16"), "UTF-16"),
        (b"sku,gr\xf6sse\n", "not UTF-8"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(SourceRefused, match=sentence):
        CsvSource(table(tmp_path, content))


def lines(*rows: object) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


def test_each_line_of_json_is_a_product(tmp_path: Path) -> None:
    source = JsonLinesSource(
        table(tmp_path, "\ufeff" + lines({"sku": 1, "title": "Coat"}, "", {"SKU": "2", "title": "Hat"}))
    )
    assert titles(source) == {"1": "Coat", "2": "Hat"}
    assert source.total == 2


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"sku": "1", "price": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"sku": "1", "titel": "x"}', "did you mean 'title'"),
        ('{"title": "x"}', "'sku' is missing"),
        ('{"sku": "1", "title": "' + "x" * 1_100_000 + '"}', "more than 1,000,000 characters"),
        ('{"sku": "1", "price": "1,50"}', "price is '1,50'"),
    ],
)
def test_a_bad_line_of_json_is_rejected_alone(tmp_path: Path, line: str, sentence: str) -> None:
    good = {"sku": "ok", "title": "Hat"}
    source = JsonLinesSource(table(tmp_path, lines(good, line, {**good, "sku": "ok2"})))
    assert list(titles(source)) == ["ok", "ok2"]
    assert sentence in rejects(source)["line 2"]


def test_wrong_names_in_the_first_line_of_json_refuse_it_all(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="did you mean 'title'"):
        JsonLinesSource(table(tmp_path, lines({"sku": "1", "titel": "x"})))


def test_a_json_list_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="one object on each line"):
        JsonLinesSource(table(tmp_path, '[{"sku": "1"}]'))


def test_a_source_is_recognized_by_name_or_content(tmp_path: Path) -> None:
    assert isinstance(open_source(table(tmp_path, "sku\n", "t.tsv")), CsvSource)
    assert isinstance(open_source(table(tmp_path, '{"sku": "1"}', "t.ndjson")), JsonLinesSource)
    assert isinstance(open_source(table(tmp_path, "sku\n", "t.export"), "csv"), CsvSource)
    with pytest.raises(SourceRefused, match="--format"):
        open_source(table(tmp_path, "sku\n", "t.export"))
    with pytest.raises(SourceRefused, match="nothing at"):
        open_source(tmp_path / "nowhere.csv")
    with pytest.raises(SourceRefused, match="not a folder"):
        open_source(tmp_path / "t.tsv", "folder")
