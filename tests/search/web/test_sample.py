"""The sample's two addresses, asked as its own client asks them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from catalogue.models import Product, ProductImage
from search.models import Query
from tests import shop
from tests.drawing import photo
from tests.web import LOOPBACK, Web, page, web

pytestmark = pytest.mark.django_db

BLUE_DRESS = photo("dress", shop.COLOURS["blue"], seed=1)
BASE64 = base64.b64encode(BLUE_DRESS).decode()
ORIGIN = "https://client.example"


@pytest.fixture
def site(settings: Any) -> Iterator[Web]:
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    with web() as running:
        yield running


def post(path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
    """As a page elsewhere posts: without a session, and so without a token."""
    data = body if isinstance(body, str) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post(path, data, content_type=content_type, headers=headers)


def skus(response: Any) -> list[str]:
    """The products of the photos that an answer names, in their order."""
    assert response.status_code == 200, response.content
    assert set(response.json()) == {"images"}
    found = []
    for address in response.json()["images"]:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("http", "testserver")
        found.append(ProductImage.objects.get(large=parts.path.removeprefix("/media/")).product.sku)
    return found


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,"])
def test_a_posted_picture_is_answered_with_photos_best_first(products: list[Product], prefix: str) -> None:
    assert skus(post("/postImage", {"base64img": prefix + BASE64, "k": 2})) == ["dress-blue-1", "dress-blue-0"]
    assert not Query.objects.exists()


def test_a_posted_address_is_answered_with_photos_best_first(products: list[Product], site: Web) -> None:
    address = site.put("/dress.jpg", page(BLUE_DRESS))
    assert skus(post("/postURL", {"url": address, "k": 2})) == ["dress-blue-1", "dress-blue-0"]
    assert not Query.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"]
)
def test_json_is_read_whatever_it_is_called(products: list[Product], content_type: str) -> None:
    assert skus(post("/postImage", {"base64img": BASE64, "k": 1}, content_type)) == ["dress-blue-1"]


def test_no_more_than_there_are_are_given(products: list[Product]) -> None:
    found = skus(post("/postImage", {"base64img": BASE64, "k": 200}))
    assert sorted(found) == sorted(product.sku for product in products)
    assert len(skus(post("/postImage", {"base64img": BASE64}))) == 3


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/postImage", {}, 400, "base64img"),
        ("/postImage", {"base64img": "???"}, 400, "base64"),
        ("/postImage", {"base64img": BASE64, "k": 0}, 400, "k"),
        ("/postImage", "{", 400, "JSON"),
        ("/postImage", "[]", 400, ""),
        ("/postURL", {"k": 3}, 400, "url"),
        ("/postURL", {"url": "http://169.254.169.254/"}, 422, "public web site"),
        ("/postURL", {"url": "http://shop:secret@a.example/"}, 422, "password"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(path: str, body: Any, status: int, words: str) -> None:
    response = post(path, body, Origin=ORIGIN)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert words in response.json()["detail"]
    assert "secret" not in response.content.decode()


def test_what_is_no_picture_is_refused(products: list[Product]) -> None:
    response = post("/postImage", {"base64img": base64.b64encode(b"just words").decode()})
    assert response.status_code == 415
    assert "not a picture" in response.json()["detail"]


def test_a_site_that_fails_is_a_bad_gateway(site: Web) -> None:
    assert post("/postURL", {"url": site.put("/a", page(status=500))}).status_code == 502


@pytest.mark.parametrize("path", ["/postImage", "/postURL"])
def test_a_request_larger_than_any_picture_is_a_problem_too(path: str, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    response = post(path, {"base64img": BASE64})
    assert (response.status_code, response["Content-Type"]) == (413, "application/problem+json")


def test_these_searches_are_counted_with_all_others(products: list[Product], settings: Any) -> None:
    settings.SEARCH_RATE = "1/min"
    assert post("/postImage", {"base64img": BASE64}).status_code == 200
    for path, body in (("/postImage", {"base64img": BASE64}), ("/postURL", {"url": "https://a.example/b.jpg"})):
        response = post(path, body)
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0


def test_only_posts_are_answered() -> None:
    assert Client().get("/postImage").status_code == 405
