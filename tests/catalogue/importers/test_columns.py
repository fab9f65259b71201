"""Cells and columns of a table."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from catalogue.importers import cells, columns
from catalogue.importers.records import BytesPhoto, ProductRecord, SourceRefused


def record(**cells: object) -> ProductRecord:
    return columns.record({"sku": "A-1", **cells}, "line 2", lambda name: BytesPhoto(name, b""))


def refusal(**cells: object) -> str:
    with pytest.raises(columns.BadRow) as caught:
        record(**cells)
    return str(caught.value)


def test_every_cell_becomes_a_value_of_the_model() -> None:
    taken = record(
        title=" Wool coat ",
        category="Outerwear / Coats",
        brand="Nordvale",
        price="129.9",
        currency="USD",
        attributes='{"material": "wool"}',
        external_url="https://shop.example/a-1",
        visible_from="2026-01-31",
        visible_until="2026-06-30T12:00+02:00",
        stock="3",
        photos="a.jpg| b.jpg",
        alt="front|back",
    )
    assert taken.values == {
        "title": "Wool coat",
        "category": ("Outerwear", "Coats"),
        "brand": "Nordvale",
        "price": Decimal("129.90"),
        "currency": "USD",
        "attributes": {"material": "wool"},
        "external_url": "https://shop.example/a-1",
        "visible_from": datetime(2026, 1, 31, tzinfo=UTC),
        "visible_until": datetime(2026, 6, 30, 10, tzinfo=UTC),
        "stock": 3,
    }
    assert [photo.name for photo in taken.photos or ()] == ["a.jpg", "b.jpg"]
    assert taken.alts == ("front", "back")


@pytest.mark.parametrize(
    "cell",
    [
        "https://a.example/1.jpg | http://a.example/2;x,y.jpg",
        "https://a.example/1.jpg\nhttp://a.example/2;x,y.jpg",
        '["https://a.example/1.jpg", "http://a.example/2;x,y.jpg"]',
        ["https://a.example/1.jpg", "http://a.example/2;x,y.jpg"],
    ],
)
def test_addresses_of_photos_come_after_their_names(cell: object) -> None:
    taken = record(image_urls=cell, photos="a.jpg", alt="front|back|above")
    names = ["a.jpg", "https://a.example/1.jpg", "http://a.example/2;x,y.jpg"]
    assert [photo.name for photo in taken.photos or ()] == names
    assert taken.alts == ("front", "back", "above")


def test_the_column_of_addresses_may_be_of_one() -> None:
    assert [photo.name for photo in record(image_url="https://a.example/1.jpg").photos or ()] == [
        "https://a.example/1.jpg"
    ]
    assert record(image_url="").photos == ()


def test_absent_columns_have_no_values() -> None:
    taken = record(title="Coat")
    assert taken.values == {"title": "Coat"}
    assert taken.photos is None
    assert taken.alts is None


def test_empty_cells_empty_the_field(settings: Any) -> None:
    settings.DEFAULT_CURRENCY = "CHF"
    taken = record(
        description="",
        category="",
        brand="",
        price="",
        currency="",
        attributes="",
        stock="",
        visible_from="",
        photos="",
    )
    assert taken.values == {
        "description": "",
        "category": (),
        "brand": "",
        "price": None,
        "currency": "CHF",
        "attributes": {},
        "stock": None,
        "visible_from": None,
    }
    assert taken.photos == ()


def test_json_values_mean_the_same_as_their_texts() -> None:
    taken = record(price=19.99, stock=4, category=["A/B", "C"], attributes={"n": 1}, photos=["a;b.jpg"], title=501)
    assert taken.values["price"] == Decimal("19.99")
    assert taken.values["stock"] == 4
    assert taken.values["category"] == ("A/B", "C")
    assert taken.values["attributes"] == {"n": 1}
    assert taken.values["title"] == "501"
    assert [photo.name for photo in taken.photos or ()] == ["a;b.jpg"]


def test_named_attributes_keep_their_names() -> None:
    assert record(**{"attribute:Sleeve length": "long"}).named_attributes == {"Sleeve length": "long"}


@pytest.mark.parametrize(
    ("price", "sentence"),
    [
        ("12,50", "price is '12,50'; write a number with a point, as in 12.50."),
        ("NaN", "price is 'NaN'; write a number"),
        ("Infinity", "write a number"),
        ("€12", "write a number with a point, without a currency"),
        ("1,234,50", "write a number"),
        ("-1", "a price cannot be negative"),
        ("1.005", "at most two digits"),
        ("1e30", "at most 9999999999.99"),
        ("１２", "write a number"),
        (True, "write a text"),
    ],
)
def test_a_bad_price_is_refused_with_a_sentence(price: object, sentence: str) -> None:
    assert sentence in refusal(price=price)


@pytest.mark.parametrize("stock", ["-1", "1.5", "many", "3000000000", "1e400"])
def test_a_bad_stock_is_refused(stock: str) -> None:
    assert f"stock is {stock!r}; write a whole number" in refusal(stock=stock)


@pytest.mark.parametrize("moment", ["31.01.2026", "2026-02-31", "2026-01-31 25:00", "0001-01-01T00:00+14:00", "soon"])
def test_a_bad_date_is_refused(moment: str) -> None:
    assert f"visible_from is {moment!r}; write a date as 2026-01-31" in refusal(visible_from=moment)


@pytest.mark.parametrize(
    ("name", "cell", "sentence"),
    [
        ("sku", "", "sku is ''"),
        ("sku", "x" * 201, "sku is"),
        ("title", "", "title is ''"),
        ("title", "x" * 201, "at most 200 characters"),
        ("title", "a\0b", "cannot be stored"),
        ("description", "\ud800", "cannot be stored"),
        ("currency", "euro", "currency is 'euro'"),
        ("external_url", "javascript:alert(1)", "external_url is"),
        ("category", "x" * 101, "at most 100 characters"),
        ("brand", "x" * 101, "at most 100 characters"),
        ("attributes", "[1]", "write a JSON object"),
        ("attributes", "{", "write a JSON object"),
        ("attributes", '{"a": NaN}', "write a JSON object"),
        ("attributes", '{"a": "\\u0000"}', "write a JSON object"),
        ("attributes", '{"a": "\\ud800"}', "write a JSON object"),
        ("attributes", '{"\\u0000": 1}', "write a JSON object"),
        ("attributes", '{"a": 1e999}', "write a JSON object"),
        ("attributes", '"wool"', "write a JSON object"),
        ("attributes", f'{{"a": {"1" * 5_000}}}', "write a JSON object"),
        ("attributes", "[" * 100_000, "write a JSON object"),
        ("alt", "a|b", "alt has 2 texts for 0 photos"),
        ("image_urls", "https://a.example/1.jpg|b.jpg", "image_urls is 'b.jpg'; write addresses"),
    ],
)
def test_a_bad_cell_is_refused_with_the_column_and_the_value(name: str, cell: str, sentence: str) -> None:
    assert sentence in refusal(**{name: cell})


def test_every_bad_cell_of_a_row_is_named() -> None:
    sentence = refusal(price="x", stock="y")
    assert "price" in sentence
    assert "stock" in sentence


@hypothesis(deadline=None)
@given(st.decimals(min_value=0, max_value=cells.MAX_PRICE, places=2))
def test_every_price_that_the_database_can_store_is_accepted(price: Decimal) -> None:
    assert record(price=str(price)).values["price"] == price


# The first text that hypothesis draws on a machine takes it seconds.
@hypothesis(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["title", "description", "category", "brand", "price", "stock", "visible_from", "photos", "alt"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=4,
    ),
)
def test_any_cell_is_accepted_or_refused(name: str, cell: object) -> None:
    with suppress(columns.BadRow):
        assert set(record(**{name: cell}).values) == {name} - {"photos", "alt"}


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Tops > Shirts", ("Tops", "Shirts")),
        ("Tops / Shirts", ("Tops", "Shirts")),
        ("Tops/Knits > Shirts", ("Tops/Knits", "Shirts")),
        ("Tops/Shirts >", ("Tops/Shirts",)),
        (" > ", ()),
    ],
)
def test_a_categorys_path_is_parted_by_either_sign(cell: str, names: tuple[str, ...]) -> None:
    assert record(category=cell).values["category"] == names


@pytest.mark.parametrize("names", [(), ("Tops",), ("Tops", "Shirts"), ("A/B",), ("A/B", "C/D")])
def test_a_path_that_is_written_is_read_again(names: tuple[str, ...]) -> None:
    assert record(category=cells.category_path(names)).values["category"] == names


SIGNS = st.text(st.sampled_from('>|/[]",\\ab \u00e9'), max_size=8).map(lambda text: " ".join(text.split()))


@given(st.lists(SIGNS.filter(bool), max_size=4))
def test_names_of_any_signs_are_read_as_they_were_written(names: list[str]) -> None:
    assert record(category=cells.category_path(names)).values["category"] == tuple(names)


@given(st.lists(SIGNS, max_size=4))
def test_texts_of_photos_of_any_signs_are_read_as_they_were_written(texts: list[str]) -> None:
    read = record(photos=[f"{number}.jpg" for number in range(4)], alt=cells.photo_texts(texts))
    assert read.alts == (tuple(texts) if any(texts) else ())


@pytest.mark.parametrize("cell", ["[Sale] front|back", "[1, 2", "[]x|y", "[1]"])
def test_a_bracket_that_begins_no_json_is_part_of_a_text(cell: str) -> None:
    assert record(photos="1.jpg|2.jpg", alt=cell).alts == tuple(cell.split("|"))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["sku", "titel"], "no column 'titel'; did you mean 'title'"),
        (["title"], "'sku' is missing"),
        (["sku", "price", "price"], "'price' appears twice"),
        (["sku", "alt"], "'photos' is missing"),
    ],
)
def test_a_wrong_header_is_refused(header: list[str], sentence: str) -> None:
    with pytest.raises(SourceRefused, match=sentence):
        columns.check_header(header)


def test_names_of_columns_are_read_as_people_write_them() -> None:
    assert columns.normalise(" Visible From ") == "visible_from"
    assert columns.normalise("Attribute: Fit") == "attribute:Fit"
