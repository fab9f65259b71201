"""The catalogue's admin: products with photos, photos, categories and brands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from catalogue.models import Brand, Category, Product, ProductImage
from tests import shop
from tests.catalogue.observing import queries, stored
from tests.catalogue.staff import PRODUCTS, member
from tests.drawing import encoded, photo

pytestmark = pytest.mark.django_db

ADD = reverse("admin:catalogue_product_add")
PHOTOS = reverse("admin:catalogue_productimage_changelist")

TWICE = "This product already has this photo."


def change(obj: Product | Category | Brand | ProductImage) -> str:
    return reverse(f"admin:catalogue_{obj._meta.model_name}_change", args=[obj.pk])


def upload(data: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, "image/jpeg")


def product_form(*rows: dict[str, Any], stored: int = 0, **fields: Any) -> dict[str, Any]:
    """What the browser sends for a product and the rows of its photos, of which the first `stored` exist."""
    form: dict[str, Any] = {"sku": "a", "title": "Coat", "currency": "EUR", "attributes": "{}", **fields}
    form |= {"photos-TOTAL_FORMS": len(rows), "photos-INITIAL_FORMS": stored}
    for number, row in enumerate(rows):
        form |= {f"photos-{number}-{name}": value for name, value in {"position": "", **row}.items()}
    return form


def product_errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def photo_errors(response: Any) -> list[dict[str, list[str]]]:
    assert response.status_code == 200
    return [dict(errors) for errors in response.context["inline_admin_formsets"][0].formset.errors]


def listed(response: Any) -> list[str]:
    return [product.sku for product in response.context["cl"].result_list]


def act(client: Client, action: str, *products: Product) -> Any:
    chosen = {"action": action, "_selected_action": [product.pk for product in products]}
    return client.post(PRODUCTS, chosen, follow=True)


# Products and their photos ----------------------------------------------------------------------------------


def test_a_product_is_created_with_its_photos_in_order(admin_client: Client) -> None:
    rows = [{"upload": upload(photo(kind)), "alt": kind} for kind in ("shirt", "hat", "dress")]
    response = admin_client.post(ADD, product_form(*rows))
    assert response.status_code == 302
    made = Product.objects.get(sku="a")
    assert list(made.photos.values_list("position", "alt")) == [(0, "shirt"), (1, "hat"), (2, "dress")]
    assert shop.content(made.photos.all()[0]) == photo("shirt")


def test_the_page_of_a_product_shows_its_photos(admin_client: Client) -> None:
    made = shop.product("a", photo())
    page = admin_client.get(change(made)).content.decode()
    assert f'src="{made.photos.get().thumbnail.url}"' in page
    assert 'enctype="multipart/form-data"' in page


def broken_uploads() -> dict[str, bytes]:
    return {
        "a text file": b"This is not a picture at all.",
        "a truncated JPEG": photo()[:-2000],
        "one pixel": encoded(Image.new("RGB", (1, 1))),
        "an empty file": b"",
    }


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("a text file", "not a picture in a known format"),
        ("a truncated JPEG", "damaged or incomplete"),
        ("one pixel", "each side needs at least 32"),
        ("an empty file", "empty"),
    ],
)
def test_a_bad_picture_is_refused_at_its_field_and_nothing_is_stored(
    admin_client: Client, kind: str, sentence: str
) -> None:
    bad = upload(broken_uploads()[kind])
    response = admin_client.post(ADD, product_form({"upload": upload(photo())}, {"upload": bad}))
    first, second = photo_errors(response)
    assert first == {}
    assert sentence in second["upload"][0]
    assert not Product.objects.exists()
    assert stored() == set()


def test_a_file_that_is_too_large_is_refused(admin_client: Client, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 1_000
    response = admin_client.post(ADD, product_form({"upload": upload(photo())}))
    assert "Make it smaller" in photo_errors(response)[0]["upload"][0]


def test_a_new_row_without_a_picture_says_that_it_needs_one(admin_client: Client) -> None:
    response = admin_client.post(ADD, product_form({"alt": "A coat"}))
    assert photo_errors(response) == [{"upload": ["This field is required."]}]


def test_an_invalid_product_stores_no_photo(admin_client: Client) -> None:
    response = admin_client.post(ADD, product_form({"upload": upload(photo())}, price="-1"))
    assert "price" in product_errors(response)
    assert stored() == set()


def test_the_same_picture_in_two_rows_is_refused(admin_client: Client) -> None:
    rows = [{"upload": upload(photo(), name)} for name in ("front.jpg", "back.jpg")]
    assert photo_errors(admin_client.post(ADD, product_form(*rows))) == [{}, {"upload": [TWICE]}]
    assert not Product.objects.exists()


def test_a_picture_that_the_product_has_is_refused(admin_client: Client) -> None:
    made = shop.product("a", photo())
    stored = {"id": made.photos.get().pk, "position": 0}
    response = admin_client.post(change(made), product_form(stored, {"upload": upload(photo())}, stored=1))
    assert photo_errors(response) == [{}, {"upload": [TWICE]}]


def test_two_products_may_show_the_same_picture(admin_client: Client) -> None:
    shop.product("b", photo())
    assert admin_client.post(ADD, product_form({"upload": upload(photo())})).status_code == 302
    assert ProductImage.objects.count() == 2


def test_the_picture_of_a_photo_is_replaced_with_its_files(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    made = shop.product("a", photo())
    before = stored()
    row = {"id": made.photos.get().pk, "position": 0, "upload": upload(photo("hat"))}
    with django_capture_on_commit_callbacks(execute=True):
        assert admin_client.post(change(made), product_form(row, stored=1)).status_code == 302
    assert shop.content(made.photos.get()) == photo("hat")
    assert len(stored()) == len(before)
    assert not stored() & before


def test_a_stored_photo_keeps_its_picture_when_its_text_changes(admin_client: Client) -> None:
    made = shop.product("a", photo())
    row = {"id": made.photos.get().pk, "position": 3, "alt": "From the front"}
    assert admin_client.post(change(made), product_form(row, stored=1)).status_code == 302
    image = made.photos.get()
    assert (image.alt, image.position, shop.content(image)) == ("From the front", 3, photo())


def test_a_photo_is_deleted_in_its_row(admin_client: Client) -> None:
    made = shop.product("a", photo())
    row = {"id": made.photos.get().pk, "position": 0, "DELETE": "on"}
    assert admin_client.post(change(made), product_form(row, stored=1)).status_code == 302
    assert not made.photos.exists()


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"sku": "taken"}, "sku", "already exists"),
        ({"sku": ""}, "sku", "required"),
        ({"price": "-1"}, "price", "greater than or equal to 0"),
        ({"price": "cheap"}, "price", "number"),
        ({"currency": "eur"}, "currency", "three capital letters"),
        ({"stock": "-3"}, "stock", "greater than or equal to 0"),
        ({"external_url": "javascript:alert(1)"}, "external_url", "valid URL"),
        ({"attributes": "{"}, "attributes", "a JSON object"),
        (
            {
                "visible_from_0": "2026-05-02",
                "visible_from_1": "10:00",
                "visible_until_0": "2026-05-01",
                "visible_until_1": "10:00",
            },
            "visible_until",
            "must be later than",
        ),
    ],
)
def test_an_invalid_value_is_reported_at_its_field(
    admin_client: Client, fields: dict[str, str], field: str, sentence: str
) -> None:
    shop.product("taken")
    errors = product_errors(admin_client.post(ADD, product_form(**fields)))
    assert list(errors) == [field]
    assert sentence in errors[field][0]


# The list of products ---------------------------------------------------------------------------------------


def test_the_list_shows_cover_price_and_number_of_photos(admin_client: Client) -> None:
    made = shop.product("a", photo(), photo("hat"), price="1234.50", currency="CHF")
    page = admin_client.get(PRODUCTS).content.decode()
    assert f'src="{made.photos.all()[0].thumbnail.url}"' in page
    assert 'value="1234.50"' in page
    assert "CHF" in page
    assert page.count("field-photo_count") == 1


def test_the_queries_of_the_list_do_not_grow_with_the_products(admin_client: Client) -> None:
    shop.product("first", photo(), category=shop.category("Coats"), brand=shop.brand("Acme"))
    few = queries(lambda: admin_client.get(PRODUCTS))
    shop.fill(per_kind=1)
    assert queries(lambda: admin_client.get(PRODUCTS)) == few


def test_the_queries_of_a_product_page_do_not_grow_with_its_photos(admin_client: Client) -> None:
    one = shop.product("one", photo())
    many = shop.product("many", *(photo(seed=seed) for seed in range(6)))
    assert queries(lambda: admin_client.get(change(many))) == queries(lambda: admin_client.get(change(one)))


def test_the_list_filters_by_category_tree_and_brand(admin_client: Client) -> None:
    clothes = shop.category("Clothes")
    shop.product("coat", category=shop.category("Coats", clothes), brand=shop.brand("Acme"))
    shop.product("vase", category=shop.category("Home"))
    assert listed(admin_client.get(PRODUCTS, {"category": clothes.pk})) == ["coat"]
    assert listed(admin_client.get(PRODUCTS, {"brand__id__exact": shop.brand("Acme").pk})) == ["coat"]
    assert len(listed(admin_client.get(PRODUCTS, {"category": "nonsense"}))) == 2


def test_the_list_filters_by_visibility_and_stock(admin_client: Client) -> None:
    now = timezone.now()
    shop.product("shown", stock=3)
    shop.product("over", visible_until=now - timedelta(days=1), stock=0)
    assert listed(admin_client.get(PRODUCTS, {"visible": "yes"})) == ["shown"]
    assert listed(admin_client.get(PRODUCTS, {"visible": "no"})) == ["over"]
    assert listed(admin_client.get(PRODUCTS, {"in_stock": "yes"})) == ["shown"]
    assert listed(admin_client.get(PRODUCTS, {"in_stock": "no"})) == ["over"]


@pytest.mark.parametrize("words", ["sku-7", "raincoat", "acme"])
def test_the_list_is_searched_by_sku_title_and_brand(admin_client: Client, words: str) -> None:
    shop.product("sku-7", title="A raincoat", brand=shop.brand("Acme"))
    shop.product("other")
    assert listed(admin_client.get(PRODUCTS, {"q": words})) == ["sku-7"]


def test_products_are_made_visible_and_a_later_end_is_kept(admin_client: Client) -> None:
    now = timezone.now()
    later = now + timedelta(days=9)
    planned = shop.product("planned", visible_from=now + timedelta(days=1), visible_until=later)
    over = shop.product("over", visible_until=now - timedelta(days=1))
    shown = shop.product("shown")
    response = act(admin_client, "make_visible", planned, over, shown)
    assert "2 products have become visible." in response.content.decode()
    assert Product.objects.visible().count() == 3
    planned.refresh_from_db()
    assert planned.visible_until == later


def test_products_are_hidden(admin_client: Client) -> None:
    shown, other = shop.product("shown"), shop.product("other")
    response = act(admin_client, "hide", shown)
    assert "1 product is hidden now." in response.content.decode()
    assert list(Product.objects.visible()) == [other]


def test_selected_products_are_deleted(admin_client: Client) -> None:
    made = [shop.product("a", photo()), shop.product("b")]
    chosen = {"action": "delete_selected", "_selected_action": [product.pk for product in made], "post": "yes"}
    page = admin_client.post(PRODUCTS, chosen, follow=True).content.decode()
    assert "Successfully deleted 2 products." in page
    assert not ProductImage.objects.exists()


def test_viewers_cannot_change_products() -> None:
    made = shop.product("a", photo())
    client = member(permissions=("view_product", "view_productimage", "view_category"))
    assert client.get(change(made)).status_code == 200
    assert client.post(change(made), product_form(title="Mine")).status_code == 403
    act(client, "hide", made)
    assert list(Product.objects.visible()) == [made]
    assert client.get(change(made.photos.get())).status_code == 200
    assert client.get(change(shop.category("Coats"))).status_code == 200


# Photos -----------------------------------------------------------------------------------------------------


def test_photos_are_edited_in_their_list_and_added_at_a_product(admin_client: Client) -> None:
    image = shop.product("a", photo()).photos.get()
    page = admin_client.get(PHOTOS).content.decode()
    assert f'src="{image.thumbnail.url}"' in page
    assert admin_client.get(reverse("admin:catalogue_productimage_add")).status_code == 403
    sent = {"upload": upload(photo("hat")), "position": 0, "alt": "A hat"}
    assert admin_client.post(change(image), sent).status_code == 302
    image = ProductImage.objects.get()
    assert (image.alt, shop.content(image)) == ("A hat", photo("hat"))


def test_an_edited_photo_must_differ_from_others_of_its_product(admin_client: Client) -> None:
    image = shop.product("a", photo(), photo("hat")).photos.all()[0]
    response = admin_client.post(change(image), {"upload": upload(photo("hat")), "position": 0})
    assert product_errors(response) == {"upload": [TWICE]}


# Categories and brands --------------------------------------------------------------------------------------


def test_categories_are_listed_below_their_parents(admin_client: Client) -> None:
    zebra = shop.category("Zebra")
    shop.category("Coats", zebra)
    shop.category("Apples")
    response = admin_client.get(reverse("admin:catalogue_category_changelist"))
    assert [category.name for category in response.context["cl"].result_list] == ["Apples", "Zebra", "Coats"]
    assert "\u2003Coats" in response.content.decode()


def test_a_category_cannot_be_put_below_itself(admin_client: Client) -> None:
    top = shop.category("Clothes")
    below = shop.category("Coats", top)
    page = admin_client.get(change(top))
    assert top not in page.context["adminform"].form.fields["parent"].queryset
    for parent in (top, below):
        response = admin_client.post(change(top), {"name": "Clothes", "slug": "clothes", "parent": parent.pk})
        assert product_errors(response) == {
            "parent": ["Choose a category that is neither this one nor one below it."]
        }
    top.refresh_from_db()
    assert top.parent is None


def test_a_category_moves_to_another_parent(admin_client: Client) -> None:
    coats, home = shop.category("Coats", shop.category("Clothes")), shop.category("Home")
    sent = {"name": "Coats", "slug": "coats", "parent": home.pk}
    assert admin_client.post(change(coats), sent).status_code == 302
    coats.refresh_from_db()
    assert coats.parent == home


@pytest.mark.parametrize("below", [True, False])
def test_siblings_with_the_same_name_are_refused_at_the_name(admin_client: Client, below: bool) -> None:
    parent = shop.category("Clothes") if below else None
    shop.category("Coats", parent)
    sent = {"name": "Coats", "slug": "coats-2", "parent": parent.pk if parent else ""}
    response = admin_client.post(reverse("admin:catalogue_category_add"), sent)
    assert product_errors(response) == {"name": ["A category with this name already exists here."]}


@pytest.mark.parametrize("kind", ["category", "brand"])
def test_used_categories_and_brands_cannot_be_deleted(admin_client: Client, kind: str) -> None:
    used: Category | Brand = shop.category("Coats") if kind == "category" else shop.brand("Acme")
    shop.product("sku-7", **{kind: used})
    address = reverse(f"admin:catalogue_{kind}_delete", args=[used.pk])
    page = admin_client.get(address).content.decode()
    assert "protected related objects" in page
    assert "sku-7" in page
    assert admin_client.post(address, {"post": "yes"}).status_code == 200
    assert type(used)._default_manager.filter(pk=used.pk).exists()
