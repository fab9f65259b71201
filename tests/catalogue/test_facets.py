"""Facets: the counts of each one apply the other filters, not its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from catalogue.facets import SHOWN, Choice, Facet, Facets, PriceRange
from catalogue.filters import Criteria
from catalogue.models import Category
from catalogue.tree import CategoryTree
from tests import shop


def counts(facet: Facet) -> dict[str, int]:
    return {choice.value: choice.count for choice in facet.choices}


def facets(criteria: Criteria | None = None, within: Category | None = None) -> Facets:
    return Facets.of(criteria or Criteria(), CategoryTree.load(), within)


@pytest.fixture
def clothes(db: None) -> Category:
    """Two hats and a cap of Acme, a shirt of Globex."""
    clothes = shop.category("Clothes")
    hats = shop.category("Hats", clothes)
    acme = shop.brand("Acme")
    shop.product("1", category=hats, brand=acme, price=10, stock=1)
    shop.product("2", category=hats, brand=acme, price=20, stock=0)
    shop.product("3", category=shop.category("Caps", hats), brand=acme, price=30, stock=1)
    shop.product("4", category=shop.category("Shirts", clothes), brand=shop.brand("Globex"), price="40.50", stock=1)
    shop.product("5", category=hats, brand=acme, price=1, visible_until=timezone.now() - timedelta(days=1))
    return clothes


def test_without_filters_everything_visible_is_counted(clothes: Category) -> None:
    found = facets()
    assert counts(found.category) == {"clothes": 4, "hats": 3, "caps": 1, "shirts": 1}
    assert [choice.depth for choice in found.category.choices] == [0, 1, 2, 1]
    assert counts(found.brand) == {"acme": 3, "globex": 1}
    assert counts(found.in_stock) == {"true": 3}
    assert found.price == PriceRange(Decimal(10), Decimal("40.50"), "EUR")


def test_a_facet_applies_the_other_filters(clothes: Category) -> None:
    found = facets(Criteria(brand=("acme",), price_max=Decimal(20)))
    # The brands under the price alone; the categories under both; the prices under the brand alone.
    assert counts(found.brand) == {"acme": 2}
    assert counts(found.category) == {"clothes": 2, "hats": 2, "caps": 0, "shirts": 0}
    assert counts(found.in_stock) == {"true": 1}
    assert found.price == PriceRange(Decimal(10), Decimal(30), "EUR")


def test_a_choice_counts_the_products_it_would_leave(clothes: Category) -> None:
    criteria = Criteria(price_min=Decimal(20))
    for choice in facets(criteria).brand.choices:
        assert Criteria(brand=(choice.value,), price_min=Decimal(20)).products().count() == choice.count


def test_in_a_category_only_its_descendants_count(clothes: Category) -> None:
    found = facets(within=Category.objects.get(slug="hats"))
    assert counts(found.category) == {"caps": 1}
    assert counts(found.brand) == {"acme": 3}


def test_a_chosen_brand_without_products_can_be_removed(clothes: Category) -> None:
    found = facets(Criteria(brand=("globex",), price_max=Decimal(10)))
    assert Choice("globex", "Globex", 0, chosen=True) in found.brand.offered


def test_several_currencies_are_not_named_as_one(clothes: Category) -> None:
    shop.product("6", price=900, currency="JPY")
    assert facets().price.currency == ""


def test_an_empty_shop_has_no_prices(db: None) -> None:
    assert facets().price == PriceRange()


@pytest.mark.parametrize("products", [1, 12])
def test_the_queries_of_facets_do_not_grow(
    db: None, django_assert_num_queries: Callable[..., Any], products: int
) -> None:
    for number in range(products):
        shop.product(str(number), category=shop.category(f"C{number}"), brand=shop.brand(f"B{number}"))
    tree = CategoryTree.load()
    with django_assert_num_queries(4):
        Facets.of(Criteria(brand=("b0",)), tree)


def drawn(facet: Facet) -> str:
    return render_to_string("catalogue/facet.html", {"facet": facet})


def test_choices_that_leave_nothing_are_left_out_unless_chosen() -> None:
    shown = drawn(Facet("brand", "Brand", [Choice("a", "Ayes", 0, False), Choice("b", "Bees", 0, True)]))
    assert "Ayes" not in shown
    assert 'value="b" checked' in shown
    assert drawn(Facet("brand", "Brand", [Choice("a", "Ayes", 0, False)])).strip() == ""


def test_many_choices_are_folded_and_a_chosen_one_is_never_hidden() -> None:
    few = [Choice(str(n), f"No. {n}", 1, False) for n in range(SHOWN)]
    assert "<details" not in drawn(Facet("brand", "Brand", few))
    many = [*few, Choice("last", "Last", 1, False)]
    assert "Show all 9" in drawn(Facet("brand", "Brand", many))
    assert "open>" not in drawn(Facet("brand", "Brand", many))
    chosen = [*few, Choice("last", "Last", 1, chosen=True)]
    assert "open>" in drawn(Facet("brand", "Brand", chosen))


def test_a_facet_shows_swatches_and_errors() -> None:
    shown = drawn(Facet("colour", "Colour", [Choice("red", "Red", 3, False, swatch="#cc2229")], ("No such colour.",)))
    assert 'fill="#cc2229"' in shown
    assert 'aria-describedby="colour-error"' in shown
    assert 'id="colour-error">No such colour.' in shown


# The tree -----------------------------------------------------------------------------------------------------


def test_categories_in_a_ring_do_not_hang_anything(clothes: Category) -> None:
    hats, caps = Category.objects.get(slug="hats"), Category.objects.get(slug="caps")
    Category.objects.filter(pk=hats.pk).update(parent=caps)
    tree = CategoryTree.load()
    assert {category.slug for category, _depth in tree.below()} == {"clothes", "shirts"}
    assert tree.ids(["hats"]) == {hats.pk, caps.pk}
    assert [category.slug for category in tree.path(hats.pk)] == ["caps", "hats"]
    assert tree.totals({hats.pk: 1}, hats)[caps.pk] >= 0


def test_a_path_leads_from_the_top(clothes: Category) -> None:
    tree = CategoryTree.load()
    caps = tree.find("caps")
    assert caps is not None
    assert [category.slug for category in tree.path(caps.pk)] == ["clothes", "hats", "caps"]
    assert tree.path(None) == []
    assert tree.find("none") is None
