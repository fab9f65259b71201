"""The API of products."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalogue.models import Product
from tests import shop
from tests.catalogue.observing import queries
from tests.drawing import photo

pytestmark = pytest.mark.django_db

PRODUCTS = "/api/v1/products/"


def test_a_product_has_all_that_a_client_shows(client: Client) -> None:
    made = shop.product(
        "a",
        photo(),
        title="Shirt",
        description="Soft.",
        category=shop.category("Tops"),
        brand=shop.brand("Acme"),
        price="9.50",
        stock=0,
        attributes={"cut": "slim"},
        external_url="https://shop.example/a",
    )
    image = made.photos.get()
    assert client.get(f"{PRODUCTS}a/").json() == {
        "sku": "a",
        "title": "Shirt",
        "description": "Soft.",
        "category": "tops",
        "brand": "acme",
        "price": "9.50",
        "currency": "EUR",
        "in_stock": False,
        "attributes": {"cut": "slim"},
        "url": f"http://testserver{made.get_absolute_url()}",
        "external_url": "https://shop.example/a",
        "photos": [
            {
                "url": f"http://testserver{image.file.url}",
                "thumbnail": f"http://testserver{image.thumbnail.url}",
                "large": f"http://testserver{image.large.url}",
                "alt": "Shirt",
                "width": 240,
                "height": 320,
            }
        ],
    }


def test_pages_list_the_newest_first_without_repeats(client: Client) -> None:
    now = timezone.now()
    for number in range(7):
        shop.product(f"p{number}", created=now - timedelta(hours=number))
    page = client.get(f"{PRODUCTS}?k=3").json()
    seen = [product["sku"] for product in page["results"]]
    shop.product("newer")
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [product["sku"] for product in page["results"]]
    assert seen == [f"p{number}" for number in range(7)]


def test_hidden_products_are_not_listed(client: Client) -> None:
    shop.product("seen")
    shop.product("hidden", visible_from=timezone.now() + timedelta(days=1))
    assert [product["sku"] for product in client.get(PRODUCTS).json()["results"]] == ["seen"]


def test_the_queries_of_a_list_do_not_grow_with_the_products(client: Client) -> None:
    counts = []
    for number in range(2):
        for extra in range(4):
            shop.product(f"{number}-{extra}", photo(seed=extra), category=shop.category("Tops"))
        counts.append(queries(lambda: client.get(PRODUCTS)))
    assert len(client.get(PRODUCTS).json()["results"]) == Product.objects.count()
    assert counts[0] == counts[1] <= 3


@pytest.mark.parametrize("parameters", ["k=0", "k=201", "k=abc", "k=", "x=1"])
def test_a_bad_address_of_the_list_is_refused(client: Client, parameters: str) -> None:
    response: Any = client.get(f"{PRODUCTS}?{parameters}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == parameters.partition("=")[0]


def place(text: str) -> str:
    return b64encode(f"p={text}".encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        place("notadate"),
        place("2026-02-31T09:00:00Z"),
        place("9999-12-31T23:59:59-23:59"),
        place("0001-01-01T00:00:00%2B23:59"),
        place("2026-01-31T09:00:00"),
        place("%00"),
    ],
)
def test_a_bad_cursor_is_a_problem(client: Client, cursor: str) -> None:
    shop.product("a")
    response: Any = client.get(f"{PRODUCTS}?cursor={cursor}")
    assert response.status_code in {400, 404}
    assert response["Content-Type"] == "application/problem+json"
