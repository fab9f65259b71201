"""Pages of other sites that ask the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client

pytestmark = pytest.mark.django_db

ORIGIN = "https://client.example"
PATHS = ["/api/v1/search/", "/postImage", "/postURL"]


@pytest.fixture(autouse=True)
def _origins(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN, "http://localhost:3000"]


def preflight(path: str, origin: str = ORIGIN) -> HttpResponseBase:
    return Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )


def post(path: str, origin: str = ORIGIN) -> HttpResponseBase:
    return Client().post(path, "{}", content_type="application/json", headers={"Origin": origin})


def told(response: HttpResponseBase) -> set[str]:
    return {name for name in response.headers if name.startswith("Access-Control")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_a_browser_may_ask_for_a_page_of_a_named_origin(path: str, origin: str) -> None:
    response = preflight(path, origin)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == origin
    assert "POST" in response["Access-Control-Allow-Methods"]
    assert "content-type" in response["Access-Control-Allow-Headers"]
    assert "origin" in response["Vary"].lower()


@pytest.mark.parametrize("path", PATHS)
def test_errors_are_readable_across_origins_too(path: str) -> None:
    response = post(path)
    assert response.status_code == 400
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in response["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "http://client.example", f"{ORIGIN}.evil.example", "null"]
)
def test_other_origins_get_no_cors_headers(path: str, origin: str) -> None:
    for response in (preflight(path, origin), post(path, origin)):
        assert told(response) == set()
        assert "origin" in response["Vary"].lower()


@pytest.mark.parametrize("path", ["/", "/search/", "/admin/login/", "/postImage/", "/apis/"])
def test_cors_covers_only_the_api(path: str) -> None:
    assert told(Client().get(path, headers={"Origin": ORIGIN})) == set()
    assert told(preflight(path)) == set()


def test_a_request_that_is_too_large_says_so_to_the_page(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1
    response = post("/postImage")
    assert (response.status_code, response["Access-Control-Allow-Origin"]) == (413, ORIGIN)


def test_no_origin_is_allowed_when_none_is_configured(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    for response in (preflight("/api/v1/products/"), Client().get("/api/v1/products/", headers={"Origin": ORIGIN})):
        assert told(response) == set()


def test_options_without_preflight_headers_reach_the_api() -> None:
    response = Client().options("/api/v1/search/", headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN
