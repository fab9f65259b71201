"""Bulk edit: form, preview and write."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalogue.models import Product
from tests import shop
from tests.catalogue.observing import queries
from tests.catalogue.staff import PRODUCTS, VIEWER, member, page
from tests.drawing import photo

pytestmark = pytest.mark.django_db


def form(products: list[Product], stage: str = "", **values: Any) -> dict[str, Any]:
    sent: dict[str, Any] = {"action": "bulk_edit", "_selected_action": [product.pk for product in products]}
    sent |= {f"bulk-{name}": value for name, value in values.items()}
    return {**sent, **({"stage": stage} if stage else {})}


def ask(client: Client, products: list[Product], stage: str = "", **values: Any) -> Any:
    """Send a step; “apply” is preceded by its preview."""
    sent = form(products, stage, **values)
    return apply(client, sent) if stage == "apply" else client.post(PRODUCTS, sent)


def apply(client: Client, sent: dict[str, Any], address: str = PRODUCTS) -> Any:
    shown = client.post(address, {**sent, "stage": "preview"})
    previewed = (shown.context or {}).get("previewed", "")
    return client.post(address, {**sent, "stage": "apply", "previewed": previewed})


def prices() -> list[Decimal | None]:
    return list(Product.objects.order_by("sku").values_list("price", flat=True))


def test_the_form_lists_the_selected_products(admin_client: Client) -> None:
    made = [shop.product(sku, photo(), title=f"Coat {sku}") for sku in "abc"]
    shown = page(ask(admin_client, made[:2]))
    assert "2 products are chosen." in shown
    assert "Coat a" in shown
    assert made[1].photos.get().thumbnail.url in shown
    assert "Coat c" not in shown


def test_the_preview_shows_before_and_after_and_writes_nothing(admin_client: Client) -> None:
    made = [shop.product("a", price="10.00"), shop.product("b", price="8.00"), shop.product("c")]
    shown = page(ask(admin_client, made, "preview", price_change="set", price="8"))
    assert "2 products will change" in shown
    assert "One is as you want it already." in shown
    assert "<del>10.00</del>" in shown
    assert "<ins>8.00</ins>" in shown
    assert prices() == [Decimal(10), Decimal(8), None]


@pytest.mark.parametrize(
    ("percent", "wanted"),
    [("-20", ("8.00", "0.80")), ("7.5", ("10.75", "1.08")), ("-100", ("0", "0"))],  # 1.075 is rounded half up
)
def test_prices_change_by_percent_if_there_are_any(
    admin_client: Client, percent: str, wanted: tuple[str, str]
) -> None:
    made = [shop.product("a", price="10.00"), shop.product("b", price="1.00"), shop.product("c")]
    assert ask(admin_client, made, "apply", price_change="percent", price=percent).status_code == 302
    assert prices() == [*map(Decimal, wanted), None]


def test_category_and_brand_are_set_and_removed(admin_client: Client) -> None:
    coats, acme = shop.category("Coats"), shop.brand("Acme")
    made = shop.product("a", brand=shop.brand("Globex"))
    ask(admin_client, [made], "apply", category=coats.pk, brand="none")
    made.refresh_from_db()
    assert (made.category, made.brand) == (coats, None)
    ask(admin_client, [made], "apply", category="none", brand=acme.pk)
    made.refresh_from_db()
    assert (made.category, made.brand) == (None, acme)


def test_visibility_is_changed(admin_client: Client) -> None:
    now = timezone.now()
    made = [shop.product("shown"), shop.product("over", visible_until=now - timedelta(days=1))]
    ask(admin_client, made, "apply", visibility="show")
    assert Product.objects.visible().count() == 2
    ask(admin_client, made, "apply", visibility="hide")
    assert not Product.objects.visible().exists()
    dates = {"visible_from_0": "2030-01-01", "visible_from_1": "00:00", "visible_until_0": "", "visible_until_1": ""}
    ask(admin_client, made, "apply", visibility="dates", **dates)
    assert set(Product.objects.values_list("visible_from__year", "visible_until")) == {(2030, None)}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Choose at least one change."),
        ({"price_change": "set"}, "Enter a number."),
        ({"price_change": "set", "price": "-1"}, "greater than or equal to 0"),
        ({"price_change": "set", "price": "cheap"}, "Enter a number."),
        ({"price_change": "percent", "price": "-101"}, "greater than or equal to -100"),
        ({"category": "999"}, "Select a valid choice."),
        (
            {
                "visibility": "dates", "visible_from_0": "2026-05-02", "visible_from_1": "10:00",
                "visible_until_0": "2026-05-01", "visible_until_1": "10:00",
            },
            "must be later than",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["preview", "apply"])
def test_invalid_changes_are_refused(admin_client: Client, values: dict[str, str], sentence: str, stage: str) -> None:
    made = shop.product("a", price="10.00")
    assert sentence in page(ask(admin_client, [made], stage, **values))
    made.refresh_from_db()
    assert (made.price, made.visible_from, made.category) == (Decimal(10), None, None)


def test_a_bulk_edit_is_announced_and_logged(admin_client: Client, announced: list[list[int]]) -> None:
    made = [shop.product(sku, photo(), price="10.00") for sku in "ab"]
    announced.clear()
    ask(admin_client, made, "apply", price_change="set", price="5")
    assert announced == [sorted(product.photos.get().pk for product in made)]
    assert "2 products have been changed." in page(admin_client.get(PRODUCTS))
    history = page(admin_client.get(f"{PRODUCTS}{made[0].pk}/history/"))
    assert "Changed in a bulk edit." in history


def test_the_number_of_queries_does_not_grow_with_the_products(admin_client: Client) -> None:
    def asked(products: list[Product], stage: str) -> int:
        return queries(lambda: ask(admin_client, products, stage, price_change="percent", price="1", brand="none"))

    made = [shop.product(str(number), photo(), price="10.00", brand=shop.brand("Acme")) for number in range(12)]
    asked(made[:1], "preview")  # fills caches, as that of content types
    assert asked(made[:2], "preview") == asked(made, "preview")
    asked(made[:1], "apply")
    assert asked(made[1:3], "apply") == asked(made[3:], "apply")


def test_a_whole_filtered_list_is_changed(admin_client: Client) -> None:
    inside = [shop.product(f"in-{number}", category=shop.category("Coats"), price="1.00") for number in range(3)]
    shop.product("out", price="1.00")
    sent = {"action": "bulk_edit", "select_across": "1", "_selected_action": [inside[0].pk]}
    sent |= {"bulk-price_change": "set", "bulk-price": "2", "index": "0"}
    apply(admin_client, sent, f"{PRODUCTS}?category={shop.category('Coats').pk}")
    assert sorted(Product.objects.values_list("sku", "price")) == [
        ("in-0", Decimal(2)), ("in-1", Decimal(2)), ("in-2", Decimal(2)), ("out", Decimal(1)),
    ]  # fmt: skip


def test_a_repeated_form_is_applied_once(admin_client: Client) -> None:
    sent = form([shop.product("a", price="10.00")], "apply", price_change="percent", price="-20")
    sent["previewed"] = admin_client.post(PRODUCTS, {**sent, "stage": "preview"}).context["previewed"]
    assert admin_client.post(PRODUCTS, sent).status_code == 302
    again = admin_client.post(PRODUCTS, sent)
    assert prices() == [Decimal(8)]
    assert "The products have changed since this preview." in page(again)
    assert "<ins>6.40</ins>" in page(again)
    admin_client.post(PRODUCTS, {**sent, "previewed": again.context["previewed"]})
    assert prices() == [Decimal("6.40")]


@pytest.mark.parametrize(
    "change", [{"price": "12.00"}, {"brand": None}, {"visible_from": "2040-01-01T00:00:00Z"}], ids=str
)
def test_products_that_changed_since_the_preview_are_not_written(
    admin_client: Client, change: dict[str, Any]
) -> None:
    made = shop.product("a", price="10.00", brand=shop.brand("Acme"))
    values = {"price_change": "percent", "price": "10", "brand": shop.brand("Globex").pk, "visibility": "hide"}
    sent = form([made], "apply", **values)
    sent["previewed"] = admin_client.post(PRODUCTS, {**sent, "stage": "preview"}).context["previewed"]
    Product.objects.update(**change)
    before = Product.objects.values().get()
    assert "The products have changed since this preview." in page(admin_client.post(PRODUCTS, sent))
    assert Product.objects.values().get() == before


def test_each_product_is_written_in_its_own_fields_alone(admin_client: Client) -> None:
    made = [shop.product("a", price="8.00"), shop.product("b", price="10.00", brand=shop.brand("Acme"))]
    with CaptureQueriesContext(connection) as captured:
        ask(admin_client, made, "apply", price_change="set", price="10.00", brand="none")
    first, second = [query["sql"] for query in captured if query["sql"].startswith('UPDATE "catalogue_product"')]
    assert ('"price" =' in first, '"brand_id" =' in first) == (True, False)
    assert ('"price" =' in second, '"brand_id" =' in second) == (False, True)


def test_viewers_change_nothing() -> None:
    made = shop.product("a", price="10.00")
    ask(member(VIEWER), [made], "apply", price_change="set", price="5")
    made.refresh_from_db()
    assert made.price == Decimal(10)
