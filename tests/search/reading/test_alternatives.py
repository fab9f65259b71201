"""What is shown beside a product, chosen from what is stored of a shop's photos."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.template import Context, Template
from django.utils import timezone

from catalogue.models import Product
from search.exceptions import IndexMissing
from search.indexes.embedded import EmbeddedIndex
from search.models import Embedding, IndexVersion
from search.reading import alternatives as module
from search.reading.alternatives import Alternative, alternatives, colours_of
from search.vision.matches import Match
from search.writing import indexing
from tests import shop
from tests.drawing import photo
from tests.search.grid import configured

pytestmark = pytest.mark.django_db

#: Bounds that let all drawn garments of a kind count as similar, and no others.
BOUNDS = '{"same_item": 0.99, "very_similar": 0.97, "similar": 0.9, "loosely_similar": 0.5, "photos": 30}'


@pytest.fixture
def shirts(settings: Any) -> list[Product]:
    """Shirts of three colours, three of each, priced 10, 20, ...; the model says that they are all of one style."""
    settings.EMBEDDERS = {"default": configured()}
    made = [
        shop.product(f"{name}-{seed}", photo("shirt", colour, seed=seed), price=10 + 10 * seed)
        for name, colour in shop.COLOURS.items()
        for seed in range(3)
    ]
    indexing.reconcile()
    IndexVersion.objects.update(calibration_json=BOUNDS)
    return made


def skus(row: Any) -> list[str]:
    return [one.product.sku for one in row]


def look(sku: str) -> Product:
    return Product.objects.prefetch_related("photos").get(sku=sku)


def set_match(sku: str, like: str, cosine: float) -> None:
    """Store for a product an embedding of a cosine with another's."""
    base = Embedding.unpack([_stored(like).embedding])[0]
    other = np.zeros_like(base)
    other[np.argmin(np.abs(base))] = 1
    other -= (other @ base) * base
    row = cosine * base + (1 - cosine**2) ** 0.5 * other / np.linalg.norm(other)
    Embedding.objects.filter(pk=_stored(sku).pk).update(embedding=Embedding.pack(row))


def _stored(sku: str) -> Embedding:
    return Embedding.objects.get(digest=look(sku).photos.get().sha256)


def test_other_colours_are_of_other_colours_and_few_of_each(shirts: list[Product]) -> None:
    beside = alternatives(look("red-0"))
    colours = [one.colour for one in beside.other_colours]
    assert colours
    assert "red" not in colours
    assert all(colours.count(colour) <= module.MOST_OF_A_COLOUR for colour in colours)
    assert all(one.colour == colours_of(look(one.product.sku))[0] for one in beside.other_colours)


def test_what_is_for_less_costs_less_in_the_same_money(shirts: list[Product]) -> None:
    Product.objects.filter(sku="green-0").update(currency="JPY")
    Product.objects.filter(sku="blue-0").update(price=None)
    cheaper = skus(alternatives(look("red-2")).for_less)
    assert cheaper
    assert set(cheaper) <= {"red-0", "red-1", "blue-1", "green-1"}


@pytest.mark.parametrize("price", [None, 10])
def test_nothing_is_for_less_than_the_least_or_than_no_price(shirts: list[Product], price: int | None) -> None:
    Product.objects.filter(sku="red-2").update(price=price)
    assert alternatives(look("red-2")).for_less == []


def test_no_product_is_in_two_rows_while_there_are_enough(shirts: list[Product]) -> None:
    for seed in range(5, 9):
        shop.product(f"green-{seed}", photo("shirt", shop.COLOURS["green"], seed=seed), price=5)
    indexing.sync()
    beside = alternatives(look("red-2"))
    shown = skus([*beside.similar, *beside.other_colours, *beside.for_less])
    assert len(shown) == len(set(shown)) > 8
    assert beside.for_less
    assert "red-2" not in shown
    assert len(beside.similar) >= 2


def test_what_is_not_similar_is_neither_another_colour_nor_for_less(shirts: list[Product]) -> None:
    for one in shirts:
        if one.sku != "red-2":
            set_match(one.sku, "red-2", 0.8)  # loosely similar
    beside = alternatives(look("red-2"))
    assert len(beside.similar) == 8
    assert {one.match for one in beside.similar} == {Match.LOOSELY_SIMILAR}
    assert (beside.other_colours, beside.for_less) == ([], [])


def test_what_is_not_alike_at_all_does_not_look_similar(shirts: list[Product]) -> None:
    for one in shirts:
        if one.sku not in {"red-2", "red-1", "blue-1"}:
            set_match(one.sku, "red-2", 0.2)
    assert set(skus(alternatives(look("red-2")).similar)) == {"red-1", "blue-1"}


def test_others_of_its_category_are_shown_even_if_nothing_is_alike(shirts: list[Product]) -> None:
    for one in shirts:
        if one.sku != "red-2":
            set_match(one.sku, "red-2", 0.2)
    assert alternatives(look("red-2")).similar == []
    named = ["red-2", "red-1", "green-0"]
    Product.objects.filter(sku__in=named).update(category=shop.category("Shirts"))
    assert set(skus(alternatives(look("red-2")).similar)) == {"red-1", "green-0"}


def test_a_row_of_one_is_no_row(shirts: list[Product]) -> None:
    for one in shirts:
        if one.sku not in {"red-2", "red-1"}:
            set_match(one.sku, "red-2", 0.2)
    assert alternatives(look("red-2")) == module.Alternatives([], [], [])


def test_a_product_with_many_photos_comes_once(shirts: list[Product]) -> None:
    for seed in range(5, 9):
        shop.add_photo(shirts[0], photo("shirt", shop.COLOURS["red"], seed=seed), seed)
    indexing.sync()
    for row in vars(alternatives(look("red-2"))).values():
        assert len(skus(row)) == len(set(skus(row)))


def test_a_row_repeats_no_more_products_than_it_needs(shirts: list[Product]) -> None:
    Product.objects.exclude(sku__in=["red-1", "red-2", "blue-1", "green-1"]).delete()
    indexing.sync()
    for sku in ("red-1", "blue-1", "green-1"):
        set_match(sku, "red-2", 0.95)
    beside = alternatives(look("red-2"))
    # Two look similar; of the other colours one is new, and one is repeated so that there is a row.
    assert len(beside.similar) == 2
    assert set(skus(beside.other_colours)) == {"blue-1", "green-1"}
    assert len(beside.for_less) == 2


def test_products_that_were_hidden_a_moment_ago_are_left_out(shirts: list[Product]) -> None:
    hidden = timezone.now() - timedelta(seconds=1)
    Product.objects.filter(sku__startswith="blue").update(visible_until=hidden)  # the index does not know it yet
    beside = alternatives(look("red-2"))
    assert not any(sku.startswith("blue") for sku in skus([*beside.similar, *beside.other_colours, *beside.for_less]))


def test_the_nearest_come_first(shirts: list[Product]) -> None:
    order = list(Match)
    for row in (alternatives(look("red-1")).similar, alternatives(look("red-1")).other_colours):
        assert row
    set_match("blue-2", "red-1", 0.999)
    best: Alternative = next(
        one for row in vars(alternatives(look("red-1"))).values() for one in row if one.product.sku == "blue-2"
    )
    assert order.index(best.match) == 0


def test_a_product_that_search_does_not_know_has_none(shirts: list[Product]) -> None:
    shop.product("new", photo("hat"))
    assert alternatives(look("new")) == module.Alternatives()
    shop.product("bare")
    assert alternatives(look("bare")) == module.Alternatives()
    assert colours_of(look("bare")) == []


def test_without_an_index_there_is_an_error_and_the_page_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    shop.product("1", photo())
    with pytest.raises(IndexMissing):
        alternatives(look("1"))
    drawn = Template("{% load similar %}{% product_alternatives product as a %}[{{ a.similar|length }}]")
    assert drawn.render(Context({"product": look("1")})) == "[0]"
    assert "Nothing like 1 could be shown" in caplog.text


def test_colours_have_names_and_swatches(shirts: list[Product]) -> None:
    drawn = Template(
        "{% load similar %}{% product_colours product as c %}{% for l, s in c %}{{ l }} {{ s }};{% endfor %}"
    )
    assert "Red #cc2229;" in drawn.render(Context({"product": look("red-0")}))
    filters = Template(
        "{% load similar %}{{ 'navy'|colour_label }} {{ 'navy'|colour_swatch }}[{{ 'x'|colour_label }}]"
    )
    assert filters.render(Context()) == "Navy #1f2a52[]"


@pytest.mark.parametrize("more", [0, 6])
def test_two_searches_and_the_same_queries_however_many_there_are(
    shirts: list[Product],
    django_assert_num_queries: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    more: int,
) -> None:
    for seed in range(10, 10 + more):
        shop.product(f"more-{seed}", photo("shirt", shop.COLOURS["green"], seed=seed), price=seed)
    indexing.sync()
    product = look("red-2")
    alternatives(product)  # the index is loaded
    searches: list[int] = []
    search = EmbeddedIndex.search

    def counted(self: Any, vector: Any, k: int, where: Any = None) -> Any:
        searches.append(k)
        return search(self, vector, k, where)

    monkeypatch.setattr(EmbeddedIndex, "search", counted)
    # The version; the product's embedding; what is new in the index, for each search; the photos, their embeddings;
    # and those that are shown.
    with django_assert_num_queries(7):
        alternatives(product)
    assert len(searches) == 2
