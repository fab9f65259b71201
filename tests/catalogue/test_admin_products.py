"""The list and form of products: quick edits, actions, several photos at once, order."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from catalogue.admin.products import MAX_DELETED
from catalogue.models import Product
from tests import shop
from tests.catalogue.staff import PRODUCTS, file, member, page
from tests.drawing import photo

pytestmark = pytest.mark.django_db

ADD = reverse("admin:catalogue_product_add")


def change(product: Product) -> str:
    return reverse("admin:catalogue_product_change", args=[product.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {
        "sku": "a", "title": "Coat", "currency": "EUR", "attributes": "{}",
        "photos-TOTAL_FORMS": 0, "photos-INITIAL_FORMS": 0, **fields,
    }  # fmt: skip


def rows(*products: Product, **values: Any) -> dict[str, Any]:
    """The list's form with initial values, and these values in its first row."""
    sent: dict[str, Any] = {"form-TOTAL_FORMS": len(products), "form-INITIAL_FORMS": len(products), "_save": "Save"}
    for number, product in enumerate(products):
        row = {
            "id": product.pk,
            "price": product.price or "",
            "stock": "" if product.stock is None else product.stock,
        }
        sent |= {f"initial-form-{number}-{name}": value for name, value in row.items() if name != "id"}
        sent |= {f"form-{number}-{name}": value for name, value in {**row, **(values if not number else {})}.items()}
    return sent


# The list ---------------------------------------------------------------------------------------------------


def test_price_and_stock_are_edited_in_the_list_and_announced(
    admin_client: Client, announced: list[list[int]]
) -> None:
    made = shop.product("a", photo(), price="10.00", stock=1)
    announced.clear()
    response = admin_client.post(PRODUCTS, rows(made, price="12.50", stock="7"), follow=True)
    assert "1 product was changed successfully." in page(response)
    made.refresh_from_db()
    assert (str(made.price), made.stock) == ("12.50", 7)
    assert announced == [[made.photos.get().pk]]


def test_the_list_sends_initial_values(admin_client: Client) -> None:
    shop.product("a", price="10.00", stock=5)
    shown = page(admin_client.get(PRODUCTS))
    for name, value in (("price", "10.00"), ("stock", "5")):
        assert re.search(rf'<input type="hidden" name="initial-form-0-{name}" value="{value}"', shown)


def test_saving_the_list_keeps_changes_of_other_people(admin_client: Client) -> None:
    made = [shop.product(sku, price="10.00", stock=5) for sku in "ab"]
    sent = rows(*made, price="12.50")
    Product.objects.update(stock=1, title="Renamed")
    shown = page(admin_client.post(PRODUCTS, sent, follow=True))
    assert sorted(Product.objects.values_list("sku", "price", "stock", "title")) == [
        ("a", Decimal("12.50"), 1, "Renamed"), ("b", Decimal("10.00"), 1, "Renamed"),
    ]  # fmt: skip
    assert "1 product was changed successfully." in shown
    assert "Someone else changed “Renamed” at the same time." in shown
    assert "Changed Price." in page(admin_client.get(f"{PRODUCTS}{made[0].pk}/history/"))


def test_the_last_change_of_a_field_wins(admin_client: Client) -> None:
    made = shop.product("a", price="10.00", stock=5)
    sent = rows(made, stock="7")
    Product.objects.update(stock=1)
    assert "Someone else changed" in page(admin_client.post(PRODUCTS, sent, follow=True))
    made.refresh_from_db()
    assert (str(made.price), made.stock) == ("10.00", 7)


def test_an_invalid_price_in_the_list_is_not_saved(admin_client: Client) -> None:
    made = shop.product("a", price="10.00")
    response = admin_client.post(PRODUCTS, rows(made, price="-1"))
    assert "greater than or equal to 0" in page(response)
    made.refresh_from_db()
    assert str(made.price) == "10.00"


def test_each_field_of_the_list_says_which_product_it_is_of(admin_client: Client) -> None:
    shop.product("a", title="A <red> coat", price="1.00", currency="CHF")
    shown = page(admin_client.get(PRODUCTS))
    assert 'aria-label="Price of A &lt;red&gt; coat in CHF"' in shown
    assert 'aria-label="Stock of A &lt;red&gt; coat"' in shown


def test_viewers_have_no_fields_in_the_list() -> None:
    shop.product("a", price="1.00")
    shown = page(member(permissions=("view_product",)).get(PRODUCTS))
    assert "form-0-price" not in shown
    assert "1.00" in shown


def test_products_without_a_photo_are_found(admin_client: Client) -> None:
    shop.product("with", photo())
    shop.product("without")
    for value, sku in (("yes", "with"), ("no", "without")):
        found = admin_client.get(PRODUCTS, {"photos": value}).context["cl"].result_list
        assert [product.sku for product in found] == [sku]


@pytest.mark.parametrize("action", ["hide", "make_visible"])
def test_actions_work_on_a_list_that_is_filtered_by_category(admin_client: Client, action: str) -> None:
    made = shop.product("a", photo(), category=shop.category("Coats", shop.category("Clothes")))
    sent = {"action": action, "_selected_action": [made.pk]}
    response = admin_client.post(f"{PRODUCTS}?category={shop.category('Clothes').pk}", sent)
    assert response.status_code == 302
    assert Product.objects.visible().exists() == (action == "make_visible")


@pytest.mark.parametrize(("action", "message"), [("hide", "Hidden."), ("make_visible", "Made visible.")])
def test_actions_are_logged_for_changed_products(admin_client: Client, action: str, message: str) -> None:
    over = timezone.now() - timedelta(days=1)
    made = [shop.product("shown"), shop.product("over", visible_until=over), shop.product("other")]
    chosen = {"action": action, "_selected_action": [product.pk for product in made[:2]]}
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(PRODUCTS, chosen)
    noted = LogEntry.objects.values_list("object_id", "change_message")
    assert list(noted) == [(str(made[action == "make_visible"].pk), message)]
    assert sum("django_admin_log" in query["sql"] for query in captured) == 1


def test_a_long_list_is_deleted_together(admin_client: Client) -> None:
    Product.objects.bulk_create(Product(sku=str(number), title="Coat") for number in range(1200))
    shop.product("kept", stock=0)
    address = f"{PRODUCTS}?in_stock=yes"
    chosen = {"action": "delete_selected", "_selected_action": [Product.objects.get(sku="1").pk]}
    asked = admin_client.post(address, {**chosen, "select_across": "1", "index": "0"})
    named = re.findall(r'name="_selected_action" value="(\d+)"', page(asked))
    done = admin_client.post(
        address, {"action": "delete_selected", "post": "yes", "_selected_action": named}, follow=True
    )
    assert "Successfully deleted 1200 products." in page(done)
    assert Product.objects.get().sku == "kept"


def test_more_products_than_a_page_can_name_are_not_deleted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.admin.products.MAX_DELETED", 1)
    made = [shop.product(sku) for sku in "ab"]
    chosen = {"action": "delete_selected", "_selected_action": [product.pk for product in made]}
    shown = page(admin_client.post(PRODUCTS, {**chosen, "post": "yes"}, follow=True))
    assert "At most 1 products can be deleted at once." in shown
    assert Product.objects.count() == 2
    assert MAX_DELETED < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS


# Many photos at once ----------------------------------------------------------------------------------------


def test_several_photos_are_added_after_existing_ones(admin_client: Client) -> None:
    made = shop.product("a", photo("shirt"))
    stored = made.photos.get()
    sent = form(
        **{"photos-TOTAL_FORMS": 1, "photos-INITIAL_FORMS": 1, "photos-0-id": stored.pk, "photos-0-position": 4},
        new_photos=[file(photo(kind), f"{kind}.jpg") for kind in ("hat", "dress", "trousers")],
    )
    response = admin_client.post(change(made), sent, follow=True)
    assert "3 photos have been added." in page(response)
    assert [(image.position, shop.content(image)) for image in made.photos.all()] == [
        (4, photo("shirt")), (5, photo("hat")), (6, photo("dress")), (7, photo("trousers")),
    ]  # fmt: skip


def test_a_new_product_gets_its_photos_from_the_first(admin_client: Client) -> None:
    admin_client.post(ADD, form(new_photos=[file(photo("hat"), "1.jpg"), file(photo("dress"), "2.jpg")]))
    assert list(Product.objects.get().photos.values_list("position", flat=True)) == [0, 1]


def test_a_bad_picture_is_reported_and_good_ones_are_kept(admin_client: Client) -> None:
    pictures = [
        file(photo("hat"), "good.jpg"),
        file(b"no picture", "notes.txt"),
        file(photo("hat"), "again.jpg"),
        file(photo("dress"), "fine.jpg"),
    ]
    shown = page(admin_client.post(ADD, form(new_photos=pictures), follow=True))
    assert "2 photos have been added." in shown
    assert "notes.txt: This file is not a picture in a known format." in shown
    assert "again.jpg: This product already has this photo." in shown
    assert [shop.content(image) for image in Product.objects.get().photos.all()] == [photo("hat"), photo("dress")]


def test_adding_photos_needs_the_permission() -> None:
    made = shop.product("a")
    client = member(permissions=("view_product", "change_product"))
    assert "new_photos" not in page(client.get(change(made)))
    client.post(change(made), form(new_photos=[file(photo(), "1.jpg")]))
    assert not made.photos.exists()
    assert "new_photos" not in page(member(permissions=("view_product", "view_productimage")).get(change(made)))


# Order ------------------------------------------------------------------------------------------------------


def test_photos_are_dragged_by_a_field_that_can_also_be_typed(admin_client: Client) -> None:
    made = shop.product("a", photo(), photo("hat"))
    shown = page(admin_client.get(change(made)))
    assert 'data-ordering-field="position"' in shown
    field = re.search(r'<input type="number" name="photos-1-position"[^>]*>', shown)
    assert field
    assert 'value="1"' in field[0]
    assert 'aria-label="Position, a #2"' in field[0]


def test_the_list_of_photos_shows_position_and_size(admin_client: Client) -> None:
    shop.product("a", photo(), photo("hat"))
    seen = page(admin_client.get(reverse("admin:catalogue_productimage_changelist")))
    assert sorted(re.findall(r"field-place[^>]*>\s*(\d+)", seen)) == ["1", "2"]
    assert re.search(r"\d\u00a0×\u00a0\d", seen)


def test_photos_change_places(admin_client: Client) -> None:
    made = shop.product("a", photo(), photo("hat"))
    first, second = made.photos.all()
    sent = form(
        **{"photos-TOTAL_FORMS": 2, "photos-INITIAL_FORMS": 2},
        **{"photos-0-id": first.pk, "photos-0-position": 1, "photos-1-id": second.pk, "photos-1-position": 0},
    )
    assert admin_client.post(change(made), sent).status_code == 302
    assert list(made.photos.all()) == [second, first]


@pytest.mark.parametrize(
    "attributes",
    [
        "{", '{"a": NaN}', '{"a": "\\u0000"}', "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900,
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_invalid_attributes_are_refused_at_their_field(admin_client: Client, attributes: str) -> None:
    shown = page(admin_client.post(ADD, form(attributes=attributes)))
    assert "Write a JSON object, as in {&quot;material&quot;: &quot;wool&quot;}." in shown
    assert escape(attributes) in shown
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [('{"a": "\\\\u0000", "b": [1, {"c": null}]}', {"a": r"\u0000", "b": [1, {"c": None}]}), ("", {})],
)
def test_attributes_are_kept_as_they_are_written(admin_client: Client, text: str, kept: dict[str, Any]) -> None:
    assert admin_client.post(ADD, form(attributes=text)).status_code == 302
    assert Product.objects.get().attributes == kept
