"""The search part of the API, one outcome each."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from jsonschema import Draft4Validator
from PIL import Image

from benchmarks.hostile import jpeg_scans, tiff_flat
from catalogue import images
from catalogue.models import Product
from search.exceptions import IndexUnavailable
from search.models import IndexVersion, Query
from search.reading import queries, ranking
from search.vision.matches import Match
from search.writing import indexing
from tests import shop
from tests.drawing import encoded, photo, picture
from tests.web import LOOPBACK, Web, page, redirect, web

pytestmark = pytest.mark.django_db

SEARCH = "/api/v1/search/"


def upload(client: Client, data: bytes, **fields: Any) -> Any:
    return client.post(SEARCH, {"image": SimpleUploadedFile("photo.jpg", data), **fields})


@pytest.fixture
def site(settings: Any) -> Iterator[Web]:
    """Somebody else's site, which may be asked."""
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    with web() as running:
        yield running


def post(client: Client, **body: Any) -> Any:
    return client.post(SEARCH, json.dumps(body), content_type="application/json")


def skus(response: Any) -> list[str]:
    return [result["sku"] for result in response.json()["results"]]


def is_problem(response: Any, status: int, *words: str) -> bool:
    """Whether it is a problem as RFC 9457 has it, with these words in its sentence."""
    body = response.json()
    assert response.status_code == status, body
    assert response["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    assert {"type", "title", "detail"} <= set(body)
    assert all(word in body["detail"] for word in words), body["detail"]
    return True


# What it answers --------------------------------------------------------------------------------------------


def test_an_upload_finds_its_like(client: Client, products: list[Product]) -> None:
    response = upload(client, photo("dress", shop.COLOURS["blue"], seed=1))
    body = response.json()
    assert response.status_code == 201
    assert skus(response)[:2] == ["dress-blue-1", "dress-blue-0"]
    assert body["alike"] is True
    assert body["total"] == len(products)
    assert body["permalink"] == f"http://testserver/search/{body['id']}/" == response["Location"]
    assert body["expires"] > timezone.now().isoformat()


def test_a_result_has_all_that_a_client_shows(client: Client, products: list[Product]) -> None:
    result = upload(client, photo("hat", shop.COLOURS["red"], seed=0)).json()["results"][0]
    made = Product.objects.get(sku="hat-red-0")
    matched = made.photos.get()
    assert result == {
        "sku": "hat-red-0",
        "title": made.title,
        "category": "hat",
        "brand": "globex",
        "price": str(made.price),
        "currency": "EUR",
        "url": f"http://testserver{made.get_absolute_url()}",
        "image": f"http://testserver{matched.file.url}",
        "thumbnail": f"http://testserver{matched.thumbnail.url}",
        "photo": matched.pk,
        "score": pytest.approx(0.857, abs=0.01),
        "match": Match.SAME_ITEM,
        "rank": 1,
    }


def test_base64_finds_the_same(client: Client, products: list[Product]) -> None:
    data = base64.b64encode(photo("hat", seed=5)).decode()
    expected = skus(upload(client, photo("hat", seed=5)))
    assert skus(post(client, image_base64=data)) == expected
    assert skus(post(client, image_base64=f"data:image/jpeg;base64,{data}")) == expected


def test_a_product_finds_others_like_it(client: Client, products: list[Product]) -> None:
    response = post(client, product="shirt-red-0")
    assert response.status_code == 201
    assert skus(response)[0] == "shirt-red-1"
    assert "shirt-red-0" not in skus(response)


def test_an_earlier_query_is_refined_without_its_picture(client: Client, products: list[Product]) -> None:
    first = upload(client, photo("shirt", seed=9)).json()
    response = post(client, query=first["id"], filters={"category": ["hat"]}, k=50)
    assert response.json()["id"] == first["id"]
    assert {sku.split("-")[0] for sku in skus(response)} == {"hat"}
    assert Query.objects.count() == 1


def test_filters_box_weight_and_feedback_work_in_a_form_too(client: Client, products: list[Product]) -> None:
    response = upload(
        client,
        photo("shirt", seed=9),
        filters=json.dumps({"brand": ["acme"], "price_max": "100"}),
        box=["0", "0", "0.5", "1"],
        colour_weight="0.4",
        like=["hat-red-1"],
        dislike=["shirt-red-1"],
        k="3",
    )
    results = response.json()["results"]
    assert len(results) == 3
    assert all(result["brand"] == "acme" and float(result["price"]) <= 100 for result in results)
    parameters = parse_qs(urlsplit(response.json()["permalink"]).query)
    assert parameters == {
        "brand": ["acme"],
        "price_max": ["100.00"],
        "colour_weight": ["0.4"],
        "like": ["hat-red-1"],
        "dislike": ["shirt-red-1"],
        "box": ["0,0,0.5,1"],
    }


@pytest.mark.parametrize("box", ["[0, 0, 0.5, 1]", "0,0,.5,1"])
def test_a_form_may_hold_lists_in_one_field(client: Client, products: list[Product], box: str) -> None:
    body = upload(client, photo(), box=box, like='["hat-red-0", "hat-red-1"]', dislike="shirt-red-0").json()
    parameters = parse_qs(urlsplit(body["permalink"]).query)
    assert parameters == {"box": ["0,0,0.5,1"], "like": ["hat-red-0", "hat-red-1"], "dislike": ["shirt-red-0"]}


def test_the_permalinks_parameters_give_the_same_results_again(client: Client, products: list[Product]) -> None:
    body = post(client, product="hat-red-0", filters={"colour": ["blue"]}, colour_weight=0.1).json()
    again = client.get(f"{SEARCH}{body['id']}/?{urlsplit(body['permalink']).query}")
    assert skus(again) == [result["sku"] for result in body["results"]] != []


def test_pages_neither_repeat_nor_skip(client: Client, products: list[Product]) -> None:
    response = upload(client, photo(), k="5")
    seen = skus(response)
    ranks = [result["rank"] for result in response.json()["results"]]
    while following := response.json()["next"]:
        Product.objects.filter(sku=seen[-1]).update(price=1)
        indexing.sync()
        response = client.get(following)
        seen += skus(response)
        ranks += [result["rank"] for result in response.json()["results"]]
    assert sorted(seen) == sorted(product.sku for product in products)
    assert ranks == list(range(1, len(products) + 1))


def test_the_next_page_comes_though_a_liked_product_was_hidden(client: Client, products: list[Product]) -> None:
    pk = upload(client, photo()).json()["id"]
    first = client.get(f"{SEARCH}{pk}/?k=2&like=hat-red-0").json()
    Product.objects.filter(sku="hat-red-0").update(visible_until=timezone.now() - timedelta(days=1))
    assert len(skus(client.get(first["next"]))) == 2
    assert is_problem(client.get(f"{SEARCH}{pk}/?k=2&like=hat-red-0"), 400)


def test_similar_products_need_no_query(client: Client, products: list[Product]) -> None:
    response = client.get("/api/v1/products/hat-blue-0/similar/?k=3&category=hat")
    assert skus(response)[0] == "hat-blue-1"
    assert len(skus(response)) == 3
    assert not Query.objects.exists()


def test_a_sku_with_a_slash_has_its_address(client: Client, products: list[Product]) -> None:
    Product.objects.filter(sku="hat-blue-0").update(sku="hats/blue 0")
    indexing.sync()
    assert skus(client.get("/api/v1/products/hats/blue%200/similar/"))[0] == "hat-blue-1"
    assert client.get("/api/v1/products/hats/blue%200/").json()["sku"] == "hats/blue 0"


def test_a_picture_can_be_deleted_at_once(client: Client, products: list[Product]) -> None:
    pk = upload(client, photo()).json()["id"]
    assert client.delete(f"{SEARCH}{pk}/").status_code == 204
    assert is_problem(client.get(f"{SEARCH}{pk}/"), 410, "expired")
    assert is_problem(client.delete(f"{SEARCH}{pk}/"), 410)
    assert is_problem(post(client, query=pk), 410)


def test_all_kinds_of_pictures_are_taken(client: Client, products: list[Product]) -> None:
    image = picture("hat", shop.COLOURS["red"], seed=1)
    transparent = image.convert("RGBA")
    transparent.putalpha(200)
    frames = BytesIO()
    image.save(frames, "GIF", save_all=True, append_images=[Image.new("RGB", image.size, "blue")])
    pictures = [
        encoded(image, "PNG"),
        encoded(transparent, "PNG"),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(image, "WEBP"),
        encoded(image, "AVIF"),
        encoded(image, "BMP"),
        encoded(image, "TIFF"),
        frames.getvalue(),
    ]
    for data in pictures:
        response = upload(client, data, k="1")
        assert (response.status_code, skus(response)[0].split("-")[0]) == (201, "hat")


def test_a_picture_at_an_address_is_treated_as_one_that_is_sent(
    client: Client, products: list[Product], site: Web
) -> None:
    address = site.put("/dress.jpg", page(photo("dress", shop.COLOURS["blue"], seed=1)))
    response = post(client, image_url=address, k=2)
    assert response.status_code == 201
    assert skus(response) == ["dress-blue-1", "dress-blue-0"]
    query = Query.objects.get()
    assert query.kind == Query.Kind.PICTURE
    assert client.delete(f"{SEARCH}{query.pk}/").status_code == 204


# What it refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["http://127.0.0.1/a.jpg", "http://169.254.169.254/", "ftp://a.example/b", "?"])
def test_an_address_that_is_not_asked_is_the_clients_to_mend(client: Client, address: str) -> None:
    response = post(client, image_url=address)
    assert is_problem(response, 422)
    assert response.json()["code"] == "address_refused"


def test_remote_failures_and_invalid_urls_have_different_statuses(
    client: Client, products: list[Product], site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.fetching.SECONDS", 1.0)
    site.put("/down", page(status=503))
    site.put("/html", page(b"<html>", kind="text/html"))
    site.put("/words", page(b"Dear shop, ..."))
    site.put("/inside", redirect("http://10.0.0.1/"))
    site.put("/slow", lambda request: time.sleep(2))
    expected = {
        "/down": (502, "remote_unavailable"),
        "/slow": (504, "remote_slow"),
        "/none": (422, "remote_refused"),
        "/html": (422, "remote_refused"),
        "/inside": (422, "address_refused"),
        "/words": (415, "unsupported_format"),
    }
    for path, (status, code) in expected.items():
        response = post(client, image_url=site.url + path)
        assert is_problem(response, status), path
        assert response.json()["code"] == code
    assert not Query.objects.exists()


def test_too_many_fetches_at_once_are_asked_to_come_again(
    client: Client, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_fetches", threading.BoundedSemaphore(1))
    with queries._fetches:
        response = post(client, image_url=site.put("/dress.jpg", page(photo())))
    assert is_problem(response, 503, "Try again in a minute")
    assert site.asked == []


@pytest.mark.parametrize(
    ("data", "status", "code", "word"),
    [
        (b"", 400, "empty", "empty"),
        (b"Dear shop, ...", 415, "unsupported_format", "JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_format", "JPEG"),
        (photo()[:3000], 422, "broken", ""),
        (encoded(Image.new("RGB", (1, 1))), 422, "too_small", "32"),
        (jpeg_scans(64, 600), 422, "too_complex", "ordinary JPEG"),
        (b"x" * 10_000_001, 413, "too_many_bytes", "MB"),
    ],
    ids=["empty", "text", "svg", "truncated", "1x1", "scans", "too many bytes"],
)
def test_a_picture_that_cannot_be_used_is_refused_with_its_reason(
    client: Client, products: list[Product], data: bytes, status: int, code: str, word: str
) -> None:
    for response in (upload(client, data), post(client, image_base64=base64.b64encode(data).decode() or "=")):
        if data or response.json().get("code"):
            assert is_problem(response, status, word)
            assert response.json()["code"] == code
        else:
            assert is_problem(response, 400)
    assert not Query.objects.exists()


def test_a_busy_decoder_is_503_and_the_same_picture_is_taken_afterwards(
    client: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REQUEST_WAIT", 0.01)
    large = tiff_flat(4_000)
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        refused = upload(client, large)

    assert is_problem(refused, 503, "Try again in a moment")
    assert refused.json()["code"] == "busy"
    assert 0 < int(refused["Retry-After"]) < 60
    assert upload(client, large).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"k": 0}, "k"),
        ({"k": 10**9}, "k"),
        ({"k": "many"}, "k"),
        ({"box": [0, 0, 2, 2]}, "box"),
        ({"box": [0.5, 0, 0.5, 1]}, "box"),
        ({"box": [0, 0, 1]}, "box"),
        ({"box": ["NaN", 0, 1, 1]}, "box"),
        ({"colour_weight": 0.6}, "colour_weight"),
        ({"colour_weight": -1}, "colour_weight"),
        ({"colour_weight": "NaN"}, "colour_weight"),
        ({"filters": {"colour": ["ultraviolet"]}}, "filters.colour"),
        ({"filters": {"category": ["nowhere"]}}, "filters.category"),
        ({"filters": {"brand": ["nobody"]}}, "filters.brand"),
        ({"filters": {"size": ["XL"]}}, "filters.size"),
        ({"color": "blue"}, "color"),
        ({"filters": {"price_min": "NaN"}}, "filters.price_min"),
        ({"filters": {"price_min": 9, "price_max": 1}}, "filters.price_min"),
        ({"filters": "all"}, "filters"),
        ({"filters": []}, "filters"),
        ({"like": ["unknown"]}, "like"),
        ({"like": ["x"] * 21}, "like"),
        ({"query": "not an id"}, "query"),
        ({"product": None, "image_base64": "not base64!"}, "image_base64"),
        ({"product": "shirt-red-0", "image_base64": "aaaa"}, ""),
        ({"product": None}, ""),
        ({"image": "a name", "product": None}, "image"),
    ],
)
def test_bad_input_is_refused_by_its_name(
    client: Client, products: list[Product], body: dict[str, Any], field: str
) -> None:
    merged = {"product": "shirt-red-0"} | body
    response = post(client, **{name: value for name, value in merged.items() if value is not None})
    assert is_problem(response, 400)
    assert any(error["field"].startswith(field) for error in response.json()["errors"]), response.json()


@pytest.mark.parametrize(
    "parameters",
    [
        "k=0",
        "coulour=blue",
        "k=x",
        "box=1,2",
        "colour=octarine",
        "category=nowhere",
        "colour_weight=2",
        "colour_weight=nan",
        "price_min=-1",
        "price_min=NaN",
        "like=nope",
        "dislike=nope",
        "cursor=zzz",
        "cursor=..",
        "cursor=abc.99999999999",
    ],
)
def test_a_bad_address_is_refused(client: Client, products: list[Product], parameters: str) -> None:
    pk = upload(client, photo()).json()["id"]
    assert is_problem(client.get(f"{SEARCH}{pk}/?{parameters}"), 400)


def test_json_that_is_none_is_refused(client: Client) -> None:
    assert is_problem(client.post(SEARCH, "{", content_type="application/json"), 400)
    assert is_problem(client.post(SEARCH, "[1]", content_type="application/json"), 400)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"product": "hat-red-0", "filters": ' + '{"a":' * 50_000 + "1" + "}" * 50_001,
        '{"product": "hat-red-0", "filters": {"colour": ["\\ud800"]}}',
        '{"product": "hat-red-0", "filters": {"\\ud800": 1}}',
        json.dumps({"product": "hat-red-0", "filters": {"category": [str(n) for n in range(60_000)]}}),
    ],
    ids=["deep list", "deep filters", "surrogate", "surrogate name", "many slugs"],
)
def test_hostile_json_is_refused(client: Client, products: list[Product], body: str) -> None:
    response = client.post(SEARCH, body, content_type="application/json")
    assert is_problem(response, 400)
    assert len(response.content) < 10_000


def test_hostile_filters_in_a_form_are_refused(client: Client, products: list[Product]) -> None:
    assert is_problem(client.post(SEARCH, {"product": "hat-red-0", "filters": "[" * 100_000}), 400)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("like", SimpleUploadedFile("x", b'["hat-red-0"]')),
        ("dislike", SimpleUploadedFile("x", b"x")),
        ("box", SimpleUploadedFile("x", b"[0,0,1,1]")),
        ("filters", SimpleUploadedFile("x", b"{}")),
        ("like[0][x]", "1"),
        ("box[0][x]", "1"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_something_else_where_a_form_has_text_is_refused(
    client: Client, products: list[Product], name: str, value: Any
) -> None:
    assert is_problem(client.post(SEARCH, {"product": "hat-red-0", name: value}), 400)


def test_too_many_parts_are_refused(client: Client) -> None:
    assert is_problem(client.post(SEARCH, {f"f{number}": "x" for number in range(1_100)}), 400)


def test_an_address_without_its_slash_is_a_problem_for_every_method() -> None:
    client = Client(enforce_csrf_checks=True)
    for path in ("/api/v1/search", "/api/v1/nowhere/"):
        assert is_problem(client.post(path, {}), 404)


def test_similar_products_ignore_a_box(client: Client, products: list[Product]) -> None:
    address = "/api/v1/products/hat-blue-0/similar/?k=3"
    assert client.get(f"{address}&box=0,0,.2,.2").json() == client.get(address).json()


def test_another_content_type_is_refused(client: Client) -> None:
    assert is_problem(client.post(SEARCH, photo(), content_type="image/jpeg"), 415, "application/json")


def test_another_method_is_refused(client: Client) -> None:
    response = client.get(SEARCH)
    assert is_problem(response, 405, "Allow")
    assert "POST" in response["Allow"]


@pytest.mark.parametrize("path", ["/api/schema/", SEARCH])
def test_a_problem_is_json_whatever_the_address_gives(client: Client, path: str) -> None:
    assert is_problem(client.put(path), 405, "Allow")


def test_an_error_does_not_name_pythons_types(client: Client, products: list[Product]) -> None:
    for name in ("filters", "image_base64"):
        response = client.post(SEARCH, {"product": "hat-red-0", name: SimpleUploadedFile("photo.jpg", b"x")})
        assert is_problem(response, 400)
        assert "InMemory" not in response.content.decode()
    bodies: list[Any] = [
        1,
        [1],
        None,
        {"like": 1},
        {"box": 1},
        {"filters": 1},
        {"filters": {"brand": 1, "colour": 1}},
    ]
    for body in bodies:
        whole = {"product": "hat-red-0"} | body if isinstance(body, dict) else body
        for path in (SEARCH, "/postImage"):
            response = client.post(path, json.dumps(whole), content_type="application/json")
            assert is_problem(response, 400)
            assert not re.search(r"\b(int|str|dict|NoneType|dictionary)\b", response.json()["detail"]), body


@pytest.mark.parametrize(
    "body",
    [{"product": "x"}, {"product": "hat-red-0", "like": ["x"]}, {"filters": {"colour": ["x"]}}],
    ids=["product", "like", "colour"],
)
def test_what_a_sentence_repeats_is_cut(client: Client, products: list[Product], body: dict[str, Any]) -> None:
    long = json.loads(json.dumps(body).replace('"x"', f'"{"x" * 50_000}"'))
    response = post(client, **long)
    assert response.status_code in {400, 404}
    assert len(response.content) < 2_000


def test_a_cursor_whose_list_is_gone_says_so(client: Client, products: list[Product]) -> None:
    pk = upload(client, photo()).json()["id"]
    assert is_problem(client.get(f"{SEARCH}{pk}/?cursor=0123456789abcdef.5"), 410, "first page")


@pytest.mark.parametrize(
    "path",
    [
        f"{SEARCH}00000000-0000-4000-8000-000000000000/",
        "/api/v1/products/none/",
        "/api/v1/products/none/similar/",
        "/api/v1/nowhere/",
        "/api/",
    ],
)
def test_what_does_not_exist_is_a_problem_too(client: Client, path: str) -> None:
    assert is_problem(client.get(path), 404)


def test_an_unknown_product_is_404(client: Client, products: list[Product]) -> None:
    assert is_problem(post(client, product="none"), 404, "none")
    for path in ("/api/v1/products/none/", "/api/v1/products/none/similar/"):
        assert is_problem(client.get(path), 404, "There is no product with the SKU none.")


def test_a_hidden_product_is_neither_searched_with_nor_found(client: Client, products: list[Product]) -> None:
    Product.objects.filter(sku="hat-red-0").update(visible_until=timezone.now() - timedelta(days=1))
    assert is_problem(post(client, product="hat-red-0"), 404)
    assert is_problem(client.get("/api/v1/products/hat-red-0/"), 404)
    assert "hat-red-0" not in skus(upload(client, photo("hat", shop.COLOURS["red"], seed=0), k="100"))


def test_a_product_that_is_not_indexed_yet_is_422(client: Client, products: list[Product]) -> None:
    shop.product("new", photo(seed=3))
    assert is_problem(client.get("/api/v1/products/new/similar/"), 422, "new")


def test_without_an_index_it_is_503(client: Client) -> None:
    response = upload(client, photo())
    assert is_problem(response, 503, "Try again in a minute")
    assert "manage.py" not in response.content.decode()  # that is for staff, in the log
    assert response["Retry-After"] == "30"


def test_a_picture_whose_search_fails_is_not_kept(
    client: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = upload(client, photo()).json()["id"]

    def away(*_arguments: Any, **_options: Any) -> Any:
        raise IndexUnavailable("OpenSearch is away.")

    monkeypatch.setattr(ranking.Search, "nearest_products", away)
    assert is_problem(upload(client, photo(seed=1)), 503)
    assert is_problem(post(client, product="hat-red-0"), 503)
    assert is_problem(post(client, query=earlier), 503)
    assert Query.objects.exclude(picture="").get().pk == UUID(earlier)
    assert all(query.gone for query in Query.objects.exclude(pk=earlier))
    assert [file.stem for file in Path(storages["queries"].location).iterdir()] == [earlier]


def test_when_the_model_was_changed_it_is_503_and_what_to_do_is_in_the_log(
    client: Client, products: list[Product], caplog: pytest.LogCaptureFixture
) -> None:
    IndexVersion.objects.update(fingerprint="another")
    response = upload(client, photo())
    assert is_problem(response, 503, "Try again in a minute")
    assert "rebuild_index" not in response.content.decode()
    assert "rebuild_index" in caplog.text


def test_searches_from_one_address_are_limited(client: Client, products: list[Product], settings: Any) -> None:
    settings.SEARCH_RATE = "2/min"
    assert [post(client, product="hat-red-0").status_code for _ in range(3)] == [201, 201, 429]
    response = post(client, product="hat-red-0")
    assert is_problem(response, 429, "Try again in")
    assert 0 < int(response["Retry-After"]) <= 60


# What it says of itself -------------------------------------------------------------------------------------


def test_the_schema_describes_every_address(client: Client) -> None:
    schema = client.get("/api/schema/?format=json").json()
    assert set(schema["paths"]) == {
        "/api/v1/search/",
        "/api/v1/search/{id}/",
        "/api/v1/products/",
        "/api/v1/products/{sku}/",
        "/api/v1/products/{sku}/similar/",
        "/postImage",
        "/postURL",
    }


#: A request of each kind, and how it is answered.
ASKED: list[tuple[str, str, dict[str, Any], int]] = [
    ("post", SEARCH, {"data": "{", "content_type": "application/json"}, 400),
    ("post", SEARCH, {"data": {"product": "none"}}, 404),
    ("post", SEARCH, {"data": {"product": "hat-red-0"}}, 201),
    ("post", SEARCH, {"data": {}, "headers": {"Accept": "text/html"}}, 406),
    ("post", SEARCH, {"data": {}, "headers": {"Transfer-Encoding": "chunked"}}, 411),
    ("post", SEARCH, {"data": "x" * 20_000_000, "content_type": "application/json"}, 413),
    ("post", SEARCH, {"data": "x", "content_type": "text/plain"}, 415),
    ("post", SEARCH, {"data": {"image_url": "ftp://a.example/"}}, 422),
    ("get", SEARCH + "{id}/", {}, 200),
    ("get", SEARCH + "{id}/", {"data": {"k": "0"}}, 400),
    ("get", SEARCH + "{id}/", {"data": {"cursor": "0123456789abcdef.5"}}, 410),
    ("get", SEARCH + "{none}/", {}, 404),
    ("get", SEARCH + "{id}/", {"headers": {"Accept": "text/html"}}, 406),
    ("delete", SEARCH + "{id}/", {}, 204),
    ("delete", SEARCH + "{none}/", {}, 404),
    ("get", "/api/v1/products/", {}, 200),
    ("get", "/api/v1/products/", {"data": {"k": "0"}}, 400),
    ("get", "/api/v1/products/", {"headers": {"Accept": "text/html"}}, 406),
    ("get", "/api/v1/products/{sku}/", {}, 200),
    ("get", "/api/v1/products/{none}/", {}, 404),
    ("get", "/api/v1/products/{sku}/similar/", {}, 200),
    ("get", "/api/v1/products/{sku}/similar/", {"data": {"k": "0"}}, 400),
    ("get", "/api/v1/products/{none}/similar/", {}, 404),
    ("get", "/api/v1/products/{new}/similar/", {}, 422),
    ("post", "/postImage", {"data": "{}", "content_type": "text/plain"}, 400),
    ("post", "/postURL", {"data": '{"url": "?"}', "content_type": "text/plain"}, 422),
]


def test_what_is_answered_is_as_the_schema_says(client: Client, products: list[Product]) -> None:
    shop.product("new", photo(seed=3))
    schema = client.get("/api/schema/?format=json").json()
    declared = {re.sub(r"{\w+}", "{}", path): operations for path, operations in schema["paths"].items()}
    for method, path, asked, status in ASKED:
        query = queries.from_product(products[0])
        address = path.format(id=query.pk, sku="hat-red-0", none="00000000-0000-4000-8000-000000000000", new="new")
        response = getattr(client, method)(address, **asked)
        assert response.status_code == status, (method, path, response.content)
        kinds = declared[re.sub(r"{\w+}", "{}", path)][method]["responses"][str(status)].get("content", {})
        assert list(kinds) == ([response["Content-Type"]] if response.content else []), (method, path)
        for kind in kinds.values():
            validator = Draft4Validator(_without_nullable(schema | kind["schema"]))
            wrong = [error.message for error in validator.iter_errors(response.json())]
            assert wrong == [], (method, path)


def _without_nullable(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema has it: what may be null says so of its type."""
    if isinstance(schema, list):
        return [_without_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _without_nullable(part) for name, part in schema.items()}
    return {"anyOf": [{"type": "null"}, plain]} if plain.pop("nullable", None) is True else plain


def test_problems_that_cannot_occur_are_not_declared(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    declared = {
        f"{method} {path}": {status for status in operation["responses"] if status >= "400"}
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert not [name for name, statuses in declared.items() if "post" not in name and statuses & {"413", "415"}]
    assert all({"406", "411"} <= statuses for statuses in declared.values())


def test_the_schema_bounds_what_an_address_and_a_body_may_hold(client: Client) -> None:
    schema = client.get("/api/schema/?format=json").json()
    for path in (SEARCH + "{id}/", "/api/v1/products/", "/api/v1/products/{sku}/similar/"):
        (k,) = (part["schema"] for part in schema["paths"][path]["get"]["parameters"] if part["name"] == "k")
        assert (k["minimum"], k["maximum"]) == (1, 200)
    components = schema["components"]["schemas"]
    box = Draft4Validator(_without_nullable(components["SearchRequest"]["properties"]["box"]))
    assert [box.is_valid(value) for value in ([0, 0, 1, 1], [0, 0, 1], [0, 0, 2, 1])] == [True, False, False]
    price = Draft4Validator(_without_nullable(components["FiltersRequest"]["properties"]["price_min"]))
    assert all(price.is_valid(value) for value in (10, 9.5, "9.50", None))
    assert not any(price.is_valid(value) for value in (-1, "-1", "cheap"))


@pytest.mark.parametrize("path", ["/postImage", "/postURL"])
def test_the_schema_asks_for_json_where_bodies_are_read_as_json(client: Client, path: str) -> None:
    body = client.get("/api/schema/?format=json").json()["paths"][path]["post"]["requestBody"]
    assert list(body["content"]) == ["application/json"]


@pytest.mark.parametrize("sources", [[], ["product"], ["product", "query"], ["image_base64", "image_url"]])
def test_the_schema_and_a_search_want_one_source(client: Client, products: list[Product], sources: list[str]) -> None:
    given = {
        "product": "hat-red-0",
        "query": str(queries.from_product(products[0]).pk),
        "image_base64": base64.b64encode(photo()).decode(),
        "image_url": "https://shop.example/hat.jpg",
    }
    body = {name: given[name] for name in sources}
    schema = client.get("/api/schema/?format=json").json()
    for kind in ("SearchRequest", "SearchByJSONRequest"):
        declared = Draft4Validator(_without_nullable(schema | schema["components"]["schemas"][kind]))
        assert declared.is_valid(body) is (len(sources) == 1)
    assert post(client, **body).status_code == (201 if len(sources) == 1 else 400)


def test_the_schema_leads_from_a_search_to_what_its_id_is_for(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    links = paths[SEARCH]["post"]["responses"]["201"]["links"].values()
    assert {link["operationId"] for link in links} == {
        operation["operationId"] for operation in paths[SEARCH + "{id}/"].values()
    }
    assert all(link["parameters"] == {"id": "$response.body#/id"} for link in links)


def test_the_schema_has_pictures_in_base64_as_bytes(client: Client) -> None:
    components = client.get("/api/schema/?format=json").json()["components"]["schemas"]
    for kind, field in (("SearchByJSONRequest", "image_base64"), ("PostedImageRequest", "base64img")):
        assert components[kind]["properties"][field].items() >= {"format": "byte", "minLength": 1}.items()


def test_the_schema_has_a_file_in_the_form_alone(client: Client) -> None:
    schema = client.get("/api/schema/?format=json").json()
    body = schema["paths"][SEARCH]["post"]["requestBody"]
    assert body["required"]
    fields = {}
    for kind, content in body["content"].items():
        fields[kind] = schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    image = fields["multipart/form-data"].pop("image")
    assert (image["type"], image["format"], image.get("nullable")) == ("string", "binary", None)
    assert fields["multipart/form-data"] == fields["application/json"]


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "DELETE"])
def test_the_documentation_is_a_page_to_be_read_alone(client: Client, method: str) -> None:
    response = client.generic(method, "/api/docs/")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_the_documentation_loads_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assert "swagger" in page
    assert "https://" not in page
