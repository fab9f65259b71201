"""The list of demo products."""

import string
from collections import Counter
from itertools import islice

import pytest

from demo.fabrics import PATTERNS, TEXTURES
from demo.palette import PARTNERS, SHADES
from demo.photos import CUTS
from demo.products import BRANDS, COLOURS, KINDS, DemoProduct, products


@pytest.fixture(scope="module")
def shop() -> list[DemoProduct]:
    return list(products())


def test_there_are_240_products_with_skus_of_their_own(shop: list[DemoProduct]) -> None:
    assert [p.sku for p in shop] == [f"DEMO-{n:04d}" for n in range(1, 241)]


def test_the_list_is_the_same_each_time_and_a_shorter_one_is_its_beginning(shop: list[DemoProduct]) -> None:
    assert list(products()) == shop
    assert list(products(30)) == shop[:30]


def test_every_kind_has_twenty_products_and_so_has_every_category(shop: list[DemoProduct]) -> None:
    assert Counter(p.attributes["kind"] for p in shop) == dict.fromkeys(KINDS, 20)
    assert min(Counter(p.category for p in shop).values()) >= 20


def test_the_first_dozen_shows_every_kind() -> None:
    assert {p.attributes["kind"] for p in islice(products(), 12)} == set(KINDS)


def test_every_attribute_is_one_that_can_be_drawn(shop: list[DemoProduct]) -> None:
    for p in shop:
        a = p.attributes
        assert a["kind"] in CUTS
        assert a["pattern"] in {"plain", *PATTERNS}
        assert a["texture"] in TEXTURES
        assert {a["colour"], a["second_colour"]} <= SHADES.keys()
        assert all(isinstance(value, str) and value for value in a.values())


def test_every_kind_comes_in_at_least_twelve_colours(shop: list[DemoProduct]) -> None:
    for kind in KINDS:
        assert len({p.attributes["colour"] for p in shop if p.attributes["kind"] == kind}) >= 12


def test_all_patterns_textures_and_brands_are_on_sale(shop: list[DemoProduct]) -> None:
    assert {p.attributes["pattern"] for p in shop} == {"plain", *PATTERNS}
    assert {p.attributes["texture"] for p in shop} == set(TEXTURES)
    assert {p.brand for p in shop} == set(BRANDS)


def test_words_are_complete_sentences_with_nothing_left_to_fill_in(shop: list[DemoProduct]) -> None:
    for p in shop:
        assert p.title.endswith(f" in {p.attributes['colour']}")
        assert p.description.endswith(".")
        for words in (p.title, p.description):
            assert words[0] in string.ascii_uppercase
            assert "  " not in words
            assert not set("{}_") & set(words)
            assert "A A" not in words


def test_prices_are_in_the_range_of_the_kind_and_in_euros(shop: list[DemoProduct]) -> None:
    for p in shop:
        low, high = KINDS[p.attributes["kind"]].price
        assert low - 1 < p.price < high
        assert p.price.as_tuple().exponent == -2
        assert p.currency == "EUR"


def test_a_few_products_are_sold_out_and_most_are_not(shop: list[DemoProduct]) -> None:
    sold_out = sum(p.stock == 0 for p in shop)
    assert 5 <= sold_out <= 40


def test_every_colour_has_partners_to_go_with_it() -> None:
    assert set(PARTNERS) == set(COLOURS)
    assert {partner for partners in PARTNERS.values() for partner in partners} <= set(COLOURS)
