"""What strangers may send to the pages and the API: whatever it is, it is answered, in few bytes and little time.

`make fuzz` generates more of them than `make test` does.
"""

from __future__ import annotations

import json
import socket
import statistics
import time
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.models import Query
from search.reading import queries
from search.web.serializers import SOURCES, SearchSerializer
from search.writing import indexing
from tests import shop
from tests.cost import processor_time
from tests.drawing import photo
from tests.search.grid import configured

pytestmark = pytest.mark.django_db

SEARCH = "/api/v1/search/"
API = [SEARCH, "/postImage", "/postURL"]

LARGEST_ERROR = 4_096
"""Bytes."""

MOST_TIME = 0.5
"""Seconds of processor time. An ordinary search takes a tenth here, and what is refused a hundredth."""

fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _shop(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two products, a simple model, no names on the net, and nobody who is slowed down."""
    settings.EMBEDDERS = {"default": configured()}
    settings.SEARCH_RATE = "1000000/sec"
    monkeypatch.setattr(queries, "REFUSED_AFTER", 0)
    monkeypatch.setattr(socket, "getaddrinfo", _nobody)
    shop.product("hat-red-0", photo("hat"))
    shop.product("shirt-red-0", photo())
    indexing.reconcile()


def _nobody(*args: Any, **kwargs: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def answered(response: Any, seconds: float) -> None:
    """Assert that a request has cost little, and that a refusal is a small problem with a sentence."""
    assert response.status_code < 500, response.content
    assert seconds < MOST_TIME
    if response.status_code < 400:
        return
    assert len(response.content) <= LARGEST_ERROR, len(response.content)
    body = response.json()
    assert body["status"] == response.status_code
    assert body["detail"]
    assert len(body.get("errors", [])) <= 10


def ask(path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    client = Client()
    with processor_time() as spent:
        response = client.generic("POST", path, data, content_type, headers=headers)
    answered(response, spent.seconds)
    return response


# Drawn by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", API)
@pytest.mark.parametrize(
    "body",
    [
        '{"product": "x", "filters": {"category": [' + ",".join(["[]"] * 400_000) + "]}}",
        '{"product": "x", "like": [' + ",".join(["[]"] * 400_000) + "]}",
        '{"product": "x", "box": [' + ",".join(["[]"] * 400_000) + "]}",
        '{"product": "x", "filters": {"category": [' + ",".join(["[]"] * 1_900) + "]}}",
        json.dumps({"product": "x"} | {f"{'n' * 20}{number}": 1 for number in range(1_900)}),
        json.dumps({"product": "x", "box": ["x" * 600] * 100}),
        json.dumps({"\U0001f600" * 5_000 + str(number): 1 for number in range(3)}, ensure_ascii=False),
        json.dumps({"product": "\U0001f600" * 10_000, "filters": {"colour": ["\0" * 3_000] * 3}}),
        json.dumps({"like": ["\U0001f600" * 300 + str(number) for number in range(50)], "product": "hat-red-0"}),
        json.dumps({"image_base64": "A" * 900_000, "k": {}, "box": {}, "filters": [], "like": 1, "dislike": ""}),
        json.dumps({"image_base64": "A " * 500_000}),
        json.dumps({"base64img": "A " * 500_000}),
        json.dumps({"url": "https://" + "ü" * 30_000, "image_url": "https://" + "ü." * 15_000}),
        json.dumps({"k": "9" * 60_000, "query": "9" * 60_000}),
        json.dumps({"colour_weight": "9" * 60_000, "product": "hat-red-0"}),
        json.dumps({"filters": {"price_min": "9" * 60_000, "price_max": "1e999999999"}, "product": "hat-red-0"}),
    ],
    ids=lambda body: f"{body[:24]} {len(body)}",
)
def test_a_hostile_body_is_refused_in_little_time_and_few_bytes(path: str, body: str) -> None:
    assert ask(path, body).status_code in {400, 413, 415, 422}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("like", "," * 900_000),
        ("box", "0," * 400_000),
        ("filters", "[" * 900_000),
        ("filters", json.dumps({"category": [[]] * 1_900})),
        ("like", json.dumps([[]] * 1_900)),
        ("product", "x" * 900_000),
        ("image_url", "https://" + "ü" * 80_000),
        ("image_base64", "A " * 450_000),
        ("x" * 900, "y"),
        ("like[0]" + "[a]" * 200, "y"),
    ],
    ids=lambda value: value[:16],
)
def test_a_hostile_form_is_refused_in_little_time_and_few_bytes(name: str, value: str) -> None:
    with processor_time() as spent:
        response = Client().post(SEARCH, {name: value} | ({} if name in SOURCES else {"product": "hat-red-0"}))
    answered(response, spent.seconds)
    assert response.status_code >= 400


@pytest.mark.parametrize("path", ["/search/", "/language/", "/admin/login/"])
def test_a_long_address_in_a_form_of_a_page_costs_little(path: str) -> None:
    address = "https://" + "ü" * 10_000
    client = Client()
    client.get(path)  # templates are compiled at their first use
    with processor_time() as spent:
        response = client.post(path, {"image_url": address, "next": address})
    assert response.status_code < 500
    assert len(response.content) < 70_000
    assert spent.seconds < MOST_TIME


def test_a_name_of_the_own_network_is_refused_as_one_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "REFUSED_AFTER", 0.1)

    def resolver(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "database.internal":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 80))]
        time.sleep(0.03)  # it has asked others
        return _nobody()

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    answers: dict[str, list[float]] = {}
    for path, name in ((SEARCH, "image_url"), ("/postURL", "url")):
        seen = []
        for host in ("database.internal", "nothing.internal"):
            seconds = []
            for _ in range(3):
                began = time.monotonic()
                response = ask(path, json.dumps({name: f"http://{host}/a.jpg"}))
                seconds.append(time.monotonic() - began)
            seen.append((response.status_code, response.content))
            answers[host] = seconds
        assert seen[0] == seen[1]
        assert seen[0][0] == 422
        inside, outside = (statistics.median(seconds) for seconds in answers.values())
        assert abs(inside - outside) < 0.025


# Generated --------------------------------------------------------------------------------------------------

NAMES = [*SearchSerializer().fields, "base64img", "url", "category", "brand", "colour", "price_min", "in_stock"]

texts = st.text(max_size=40) | st.sampled_from(
    ["hat-red-0", "red", "0", "NaN", "-1", "true", "http://a.example/b.jpg"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
names = st.sampled_from(NAMES) | st.text(max_size=10)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=60) | st.dictionaries(names, inner, max_size=6),
    max_leaves=80,
)
bodies = st.dictionaries(names, values, max_size=6) | values


@fuzz
@given(path=st.sampled_from(API), body=bodies)
def test_any_json_is_answered(path: str, body: Any) -> None:
    ask(path, json.dumps(body))


@fuzz
@given(path=st.sampled_from(API), body=bodies, cut=st.integers(0, 400), junk=st.binary(max_size=8))
def test_any_broken_json_is_answered(path: str, body: Any, cut: int, junk: bytes) -> None:
    data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ask(path, data[:cut] + junk + data[cut:])


@fuzz
@given(
    content_type=st.sampled_from(["application/json", "text/plain", "multipart/form-data; boundary=b", ""])
    | st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60),
    body=st.binary(max_size=300),
    accept=st.sampled_from(["*/*", "application/json", ""])
    | st.text(st.characters(max_codepoint=126, exclude_categories=["Cc"]), max_size=100),
    language=st.text(st.characters(max_codepoint=126, exclude_categories=["Cc"]), max_size=60),
)
def test_any_body_of_any_type_is_answered(content_type: str, body: bytes, accept: str, language: str) -> None:
    for path in API:
        ask(path, body, content_type, Accept=accept, **{"Accept-Language": language})


heads = st.sampled_from(
    [
        'Content-Disposition: form-data; name="image"; filename="a.jpg"',
        "Content-Disposition: form-data; name=image; filename*=utf-8''%41",
        "Content-Disposition: form-data; name=image; filename*=utf-99''%41",
        "Content-Transfer-Encoding: base64",
        "Content-Type: image/jpeg; charset=utf-7",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Length: -1",
    ]
) | st.builds('Content-Disposition: form-data; name="{}"'.format, names)


@fuzz
@given(
    path=st.sampled_from([SEARCH, "/search/"]),
    sent=st.lists(st.tuples(st.lists(heads, max_size=3), st.binary(max_size=60) | texts.map(str.encode)), max_size=6),
    end=st.sampled_from([b"--b--\r\n", b"--b", b"", b"--b--b--"]),
)
def test_any_form_is_answered(path: str, sent: list[tuple[list[str], bytes]], end: bytes) -> None:
    body = b"".join(b"--b\r\n%s\r\n\r\n%s\r\n" % ("\r\n".join(lines).encode(), data) for lines, data in sent) + end
    client = Client()
    with processor_time() as spent:
        response = client.generic("POST", path, body, "multipart/form-data; boundary=b", headers={"Accept": "*/*"})
    assert response.status_code < 500
    assert spent.seconds < MOST_TIME
    if path == SEARCH:
        answered(response, spent.seconds)


@fuzz
@given(st.lists(st.tuples(names | st.sampled_from(["box", "cursor", "k", "like"]), texts), max_size=8))
def test_any_address_is_answered(query: list[tuple[str, str]]) -> None:
    asked = Query.objects.first() or queries.from_product(shop.Product.objects.get(sku="hat-red-0"))
    words = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    client = Client()
    for path in (f"{SEARCH}{asked.pk}/", "/api/v1/products/", "/api/v1/products/hat-red-0/similar/"):
        with processor_time() as spent:
            response = client.get(f"{path}?{words}")
        answered(response, spent.seconds)
    for path in (asked.get_absolute_url(), "/products/", "/search/"):
        assert client.get(f"{path}?{words}").status_code < 500


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"))
