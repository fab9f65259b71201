"""Filters in URLs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict

from catalogue.filters import MAX_VALUES, Criteria, FilterForm
from catalogue.models import Product
from tests import shop

pytestmark = pytest.mark.django_db


def read(address: str) -> FilterForm:
    return FilterForm(QueryDict(address))


@pytest.fixture
def products() -> list[Product]:
    clothes = shop.category("Clothes")
    hats, shirts = shop.category("Hats", clothes), shop.category("Shirts", clothes)
    return [
        shop.product("hat", category=hats, brand=shop.brand("Acme"), price=10, stock=1),
        shop.product("cap", category=shop.category("Caps", hats), brand=shop.brand("Globex"), price=20, stock=0),
        shop.product("shirt", category=shirts, brand=shop.brand("Acme"), price=30),
        shop.product("mug"),
    ]


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        (Criteria(), {"hat", "cap", "shirt", "mug"}),
        (Criteria(category=("clothes",)), {"hat", "cap", "shirt"}),
        (Criteria(category=("hats",)), {"hat", "cap"}),
        (Criteria(category=("caps", "shirts")), {"cap", "shirt"}),
        (Criteria(brand=("acme",)), {"hat", "shirt"}),
        (Criteria(brand=("acme", "globex")), {"hat", "cap", "shirt"}),
        (Criteria(price_min=Decimal(20)), {"cap", "shirt"}),
        (Criteria(price_max=Decimal(20)), {"hat", "cap"}),
        (Criteria(in_stock=True), {"hat", "shirt", "mug"}),
        (Criteria(category=("hats",), brand=("acme",), in_stock=True), {"hat"}),
    ],
)
def test_criteria_leave_the_products_that_meet_all_of_them(
    products: list[Product], criteria: Criteria, left: set[str]
) -> None:
    assert set(criteria.products().values_list("sku", flat=True)) == left


def test_many_categories_cost_no_more_queries_than_one(
    products: list[Product], django_assert_num_queries: Callable[..., Any]
) -> None:
    for slugs in (("hats",), ("hats", "caps", "shirts")):
        with django_assert_num_queries(2):
            list(Criteria(category=slugs).products())


def test_criteria_survive_their_address(products: list[Product]) -> None:
    criteria = Criteria(("hats", "caps"), ("acme",), Decimal("0.50"), Decimal("1000000"), in_stock=True)
    form = read(urlencode(criteria.parameters()))
    assert form.is_valid(), form.errors
    assert form.criteria == criteria
    assert Criteria().parameters() == []


@pytest.mark.parametrize(
    ("address", "field", "sentence"),
    [
        ("category=nowhere", "category", "Unknown value: nowhere."),
        ("brand=acme&brand=nobody", "brand", "Unknown value: nobody."),
        ("brand=a%00b", "brand", "Null characters are not allowed."),
        ("price_min=cheap", "price_min", "Enter a number."),
        ("price_max=NaN", "price_max", "Enter a number."),
        ("price_max=1e99999999", "price_max", "Ensure that there are no more than 12 digits in total."),
        ("price_min=-1", "price_min", "greater than or equal to 0"),
        ("in_stock=null", "in_stock", "Use true or false."),
        ("in_stock=maybe", "in_stock", "Use true or false."),
        ("price_min=20&price_max=10", "price_min", "The minimum price is above the maximum."),
        ("&".join(f"brand={n}" for n in range(MAX_VALUES + 1)), "brand", "Choose at most 50."),
    ],
)
def test_invalid_parameters_are_refused(products: list[Product], address: str, field: str, sentence: str) -> None:
    form = read(address)
    assert list(form.errors) == [field]
    assert sentence in form.errors[field][0]


@pytest.mark.parametrize(
    ("word", "asked"),
    [("true", True), ("True", True), ("on", True), ("1", True), ("false", False), ("off", False), ("0", False)],
)
def test_in_stock_accepts_the_usual_spellings(products: list[Product], word: str, asked: bool) -> None:
    form = read(f"in_stock={word}")
    assert form.is_valid()
    assert form.criteria.in_stock is asked


def test_parameters_of_others_are_left_alone(products: list[Product]) -> None:
    form = read("utm_source=letter&in_stock=false&price_min=&brand=&brand=acme&brand=acme")
    assert form.is_valid()
    assert form.criteria == Criteria(brand=("acme",))
