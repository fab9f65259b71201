"""Hidden products, photos, categories and brands look like missing ones."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalogue.models import Product, ProductImage
from tests import shop
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

LARGE = encoded(picture(size=(1200, 1600)))


def hide(product: Product, *, coming: bool = False) -> None:
    moment = timezone.now() + timedelta(days=1) * (1 if coming else -1)
    Product.objects.filter(pk=product.pk).update(**{"visible_from" if coming else "visible_until": moment})


def addresses(image: ProductImage) -> list[str]:
    return [image.file.url, image.thumbnail.url, image.large.url]


def status(client: Client, address: str) -> int:
    response: Any = client.get(address)
    response.close()
    return int(response.status_code)


def answer(client: Client, address: str, name: str, **data: Any) -> tuple[Any, ...]:
    """All that a stranger learns, with the name taken out; the queries stand for the time it takes."""
    with CaptureQueriesContext(connection) as asked:
        response = client.post(address, **data) if data else client.get(address)
    body = _TOKEN.sub("", response.content.decode()).replace(name, "NAME")
    headers = {name: value for name, value in response.headers.items() if name != "RateLimit"}  # it counts requests
    return response.status_code, headers, body, len(asked)


_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')


# Photos -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coming", [True, False])
def test_no_file_of_a_hidden_photo_is_served_to_strangers(client: Client, coming: bool) -> None:
    image = shop.product("1", LARGE).photos.get()
    assert len(set(addresses(image))) == 3
    assert [status(client, address) for address in addresses(image)] == [200, 200, 200]
    hide(image.product, coming=coming)
    assert [status(client, address) for address in addresses(image)] == [404, 404, 404]
    assert [status(client, "/ja" + address) for address in addresses(image)] == [404, 404, 404]
    first: Any = client.get(addresses(image)[0], headers={"if-none-match": '"x"', "range": "bytes=0-1"})
    assert first.status_code == 404


def test_a_hidden_photo_looks_like_a_missing_one(client: Client) -> None:
    shop.product("1", photo(), category=shop.category("Hats"))
    image = shop.product("2", photo("hat")).photos.get()
    hide(image.product)
    hidden = answer(client, image.file.url, image.file.url)
    missing = image.file.url.replace(image.sha256, "0" * 64)
    assert hidden == answer(client, missing, missing)
    assert hidden[0] == 404


@pytest.mark.parametrize("column", ["file", "thumbnail", "large"])
def test_a_photo_costs_one_query_which_an_index_answers(
    client: Client, column: str, django_assert_num_queries: Any
) -> None:
    image = shop.product("1", LARGE).photos.get()
    with django_assert_num_queries(1) as asked:
        assert status(client, getattr(image, column).url) == 200
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
            plan = [row[3] for row in cursor.fetchall()]
        assert not [step for step in plan if step.startswith("SCAN")], plan


def test_a_shared_file_is_served_while_one_of_its_products_is_visible(client: Client) -> None:
    image = shop.product("1", LARGE).photos.get()
    other = shop.product("2")
    twin = ProductImage.objects.get(pk=image.pk)
    twin.pk, twin.product = None, other
    twin.save()
    hide(image.product)
    assert [status(client, address) for address in addresses(image)] == [200, 200, 200]
    hide(other)
    assert [status(client, address) for address in addresses(image)] == [404, 404, 404]


def test_staff_see_hidden_photos_and_no_shared_cache_keeps_them(client: Client, django_user_model: Any) -> None:
    image = shop.product("1", LARGE).photos.get()
    hide(image.product)
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert status(client, image.large.url) == 404
    clerk.user_permissions.add(Permission.objects.get(codename="view_productimage"))
    response: Any = client.get(image.large.url)
    response.close()
    assert (response.status_code, response["Cache-Control"]) == (200, "private, no-cache")
    assert "Cookie" in response["Vary"]
    again = client.get(image.large.url, headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again["Cache-Control"]) == (304, "private, no-cache")
    assert status(client, image.large.url.replace(image.sha256, "0" * 64)) == 404
    clerk.is_staff = False
    clerk.save()
    assert status(client, image.large.url) == 404


def test_an_original_with_metadata_is_not_served_even_to_staff(client: Client, admin_user: Any) -> None:
    image = shop.product("1", encoded(picture(size=(1200, 1600)), "TIFF")).photos.get()
    client.force_login(admin_user)
    assert status(client, image.file.url) == 404
    assert status(client, image.large.url) == 200
    listed = client.get("/admin/catalogue/productimage/").content.decode()
    assert image.large.url in listed
    assert image.file.url not in listed


# Products ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["/products/{}/", "/ja/products/{}/", "/api/v1/products/{}/"])
@pytest.mark.parametrize("coming", [True, False])
def test_a_hidden_product_looks_like_a_missing_one(client: Client, pattern: str, coming: bool) -> None:
    shop.product("shown", photo())
    hide(shop.product("HIDDEN", photo("hat")), coming=coming)
    client.get(pattern.format("shown"))
    found = answer(client, pattern.format("HIDDEN"), "HIDDEN")
    assert found == answer(client, pattern.format("ABSENT"), "ABSENT")
    assert found[0] == 404


def test_a_hidden_product_is_in_no_list_and_no_count(client: Client) -> None:
    hats = shop.category("Hats")
    shop.product("1", photo(), title="Shown", category=hats, price=10, stock=1)
    hide(shop.product("2", photo("hat"), title="Bygone", category=hats, price=99, stock=1))
    for address in ("/", "/products/", "/categories/hats/", "/api/v1/products/", "/sitemap-products.xml"):
        shown = client.get(address).content.decode()
        assert "Bygone" not in shown
        assert "/products/2/" not in shown
        assert "99.00" not in shown


# Categories and brands --------------------------------------------------------------------------------------


@pytest.fixture
def secret(db: None) -> str:
    """The word in the names of a category and a brand of hidden products alone."""
    shop.product("1", photo(), category=shop.category("Hats"), brand=shop.brand("Acme"))
    collection = shop.category("Secretseason")
    below = shop.category("Secretcoats", collection)
    hide(shop.product("2", photo("hat"), category=below, brand=shop.brand("Secretbrand")), coming=True)
    hide(shop.product("3", photo("dress"), category=collection))
    return "ecret"


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/ja/",
        "/products/",
        "/products/1/",
        "/products/?brand=acme&category=hats",
        "/categories/hats/",
        "/about/",
        "/missing/",
        "/sitemap-categories.xml",
        "/api/v1/products/",
    ],
)
def test_categories_and_brands_of_hidden_products_are_hidden(client: Client, secret: str, address: str) -> None:
    shown = client.get(address).content.decode()
    assert secret not in shown
    assert "hats" in shown or "about" in address or "missing" in address


@pytest.mark.parametrize(
    ("hidden", "absent"),
    [
        ("/categories/secretseason/", "/categories/absentseason/"),
        ("/categories/secretcoats/", "/categories/absentcoats/"),
        ("/products/?category=secretcoats", "/products/?category=absentcoats"),
        ("/products/?brand=secretbrand", "/products/?brand=absentbrand"),
        ("/categories/hats/?category=secretseason", "/categories/hats/?category=absentseason"),
    ],
)
def test_hidden_categories_and_brands_look_like_missing_ones(
    client: Client, secret: str, hidden: str, absent: str
) -> None:
    client.get("/products/")
    seen, other = (
        answer(client, address, address.rpartition("=")[2].strip("/").rpartition("/")[2])
        for address in (hidden, absent)
    )
    assert seen == other
    assert seen[0] in {400, 404}


def test_a_category_and_its_ancestors_return_with_a_visible_product(client: Client, secret: str) -> None:
    Product.objects.filter(sku="2").update(visible_from=None)
    for address in ("/categories/secretseason/", "/categories/secretcoats/", "/products/?brand=secretbrand"):
        assert client.get(address).status_code == 200
    assert "Secretseason" in client.get("/").content.decode()


def test_the_category_tree_takes_one_query(secret: str, django_assert_num_queries: Any) -> None:
    from catalogue.tree import CategoryTree

    with django_assert_num_queries(1):
        assert CategoryTree.load().slugs == {"hats"}
