"""Refinements in addresses: what is read is what was written."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from search.reading.refinement import MOST_WISHES, Criteria, Refinement
from search.vision import colours
from search.vision.pictures import Box
from search.vision.vectors import MAX_COLOUR_WEIGHT
from search.web.forms import RefinementForm
from tests import shop


def read(address: str) -> RefinementForm:
    return RefinementForm(QueryDict(address))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, 900)), draw(st.integers(0, 900))
    right, bottom = draw(st.integers(left + 100, 1000)), draw(st.integers(top + 100, 1000))
    return Box.from_sequence([edge / 1000 for edge in (left, top, right, bottom)])


SKUS = st.lists(st.text("aZ0/%&=+ é,", min_size=1).filter(str.strip), unique=True, max_size=4).map(tuple)
PRICES = st.none() | st.decimals(0, 10_000, places=2)
REFINEMENTS = st.builds(
    Refinement,
    box=st.none() | boxes(),
    colour_weight=st.integers(0, 10).map(lambda step: step * MAX_COLOUR_WEIGHT / 10),
    criteria=st.builds(
        Criteria,
        colour=st.lists(st.sampled_from(colours.NAMES), unique=True).map(tuple),
        price_min=PRICES,
        in_stock=st.booleans(),
    ),
    like=SKUS,
    dislike=SKUS,
)


@given(REFINEMENTS)
def test_a_refinement_survives_its_address(refinement: Refinement) -> None:
    form = read(urlencode(RefinementForm.parameters(refinement)))
    # Categories and brands are none here, so that no database is asked.
    for name in ("category", "brand"):
        del form.fields[name]
        setattr(form, f"clean_{name}", None)
    assert form.is_valid(), form.errors
    form.cleaned_data |= {"category": (), "brand": ()}
    assert form.refinement == refinement


@pytest.mark.django_db
def test_an_address_without_choices_is_the_default() -> None:
    form = read("price_min=&price_max=&box=&box=&box=&box=&colour_weight=&category=&cursor=x")
    assert form.is_valid()
    assert form.refinement == Refinement()
    assert RefinementForm.parameters(form.refinement) == []


@pytest.mark.django_db
def test_categories_and_brands_are_known_by_their_addresses() -> None:
    shop.product("1", category=shop.category("Hats"), brand=shop.brand("Acme"))
    form = read("category=hats&category=hats&brand=acme&price_max=20")
    assert form.is_valid()
    assert form.refinement.criteria == Criteria(category=("hats",), brand=("acme",), price_max=Decimal(20))
    assert read("category=hats&category=shoes").errors["category"] == ["Unknown value: shoes."]


@pytest.mark.django_db
@pytest.mark.parametrize("box", ["0.1,0.2,0.8", "0,0,1,1,1", "a,b,c,d", "0,0,2,1", "0.5,0,0.5,1", "nan,0,1,1"])
def test_a_box_that_is_none_is_refused(box: str) -> None:
    assert list(read(f"box={box}").errors) == ["box"]


@pytest.mark.django_db
def test_nobody_likes_that_many_products() -> None:
    many = "&".join(f"like={number}" for number in range(MOST_WISHES + 1))
    assert read(many).errors == {"like": ["Choose at most 20."]}
