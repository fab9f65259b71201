"""What crawlers are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone

from catalogue.models import Product
from tests import shop
from tests.cost import processor_time
from visualsearch import sitemaps

pytestmark = pytest.mark.django_db

MOST_TIME = 0.25
"""Seconds of processor time for a file. It takes a fifth here."""

SPACE = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


def read(client: Client, address: str) -> ET.Element:
    response = client.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/xml"
    return ET.fromstring(response.content)  # noqa: S314 - it is our own


def places(client: Client, section: str, page: int = 1) -> list[str]:
    file = read(client, f"/sitemap-{section}.xml?p={page}")
    return [str(place.text) for place in file.iterfind(".//s:loc", SPACE)]


def test_the_sitemap_leads_to_its_parts(client: Client) -> None:
    shop.product("1")
    index = read(client, "/sitemap.xml")
    assert [place.text for place in index.iterfind(".//s:loc", SPACE)] == [
        f"http://testserver/sitemap-{name}.xml" for name in ("pages", "categories", "products")
    ]
    assert index.find(".//s:lastmod", SPACE) is not None


def test_visible_products_are_listed_in_each_language(client: Client) -> None:
    shop.product("a/b & c")
    shop.product("gone", visible_until=timezone.now() - timedelta(days=1))
    assert places(client, "products") == [
        "http://testserver/products/a%252Fb%20&%20c/",
        "http://testserver/ja/products/a%252Fb%20&%20c/",
    ]


def test_a_product_tells_its_other_languages_and_when_it_changed(client: Client) -> None:
    made = shop.product("1")
    first = read(client, "/sitemap-products.xml")[0]
    links = {link.get("hreflang"): link.get("href") for link in first.iterfind("x:link", SPACE)}
    assert links == {
        "en": "http://testserver/products/1/",
        "ja": "http://testserver/ja/products/1/",
        "x-default": "http://testserver/products/1/",
    }
    lastmod = first.find("s:lastmod", SPACE)
    assert lastmod is not None
    assert lastmod.text == made.modified.date().isoformat()


def test_categories_and_the_first_pages_are_listed(client: Client) -> None:
    shop.product("1", category=shop.category("Hats"))
    assert places(client, "categories").count("http://testserver/categories/hats/") == 1
    assert {"http://testserver/", "http://testserver/products/"} <= set(places(client, "pages"))


def test_a_large_shop_has_several_files(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps.Products, "limit", 2)
    for number in range(3):
        shop.product(str(number))
    index = [place.text for place in read(client, "/sitemap.xml").iterfind(".//s:loc", SPACE)]
    assert "http://testserver/sitemap-products.xml?p=2" in index
    assert len(places(client, "products")) == 4
    assert places(client, "products", 2) == [
        "http://testserver/products/2/",
        "http://testserver/ja/products/2/",
    ]
    assert client.get("/sitemap-products.xml?p=9").status_code == 404


@pytest.mark.parametrize("products", [1, 4])
def test_a_file_costs_the_same_queries_however_long_it_is(
    client: Client, django_assert_num_queries: Any, products: int
) -> None:
    for number in range(products):
        shop.product(str(number))
    with django_assert_num_queries(2):  # how many there are, and one file's
        places(client, "products")


@pytest.mark.parametrize("address", ["/sitemap.xml", "/sitemap-products.xml", "/sitemap-products.xml?p=80"])
def test_a_file_of_a_large_shop_costs_little(client: Client, address: str) -> None:
    Product.objects.bulk_create(Product(sku=f"SKU-{number}", title="A hat") for number in range(20_000))
    client.get(address)  # the templates are loaded
    with processor_time() as spent:
        response = client.get(address)
    assert response.status_code == 200
    assert len(response.content) < 300_000
    assert spent.seconds < MOST_TIME


def test_an_empty_shop_has_a_sitemap(client: Client) -> None:
    read(client, "/sitemap.xml")
    assert places(client, "products") == []


def test_robots_find_the_sitemap_and_stay_out_of_what_is_private(client: Client) -> None:
    response = client.get("/robots.txt")
    assert response["Content-Type"].startswith("text/plain")
    lines = response.content.decode().splitlines()
    assert lines[0] == "User-agent: *"
    assert "Sitemap: http://testserver/sitemap.xml" in lines
    for path in ("/api/", "/search/", "/ja/search/", "/admin/"):
        assert f"Disallow: {path}" in lines
    assert "Allow: /api/docs/" in lines
