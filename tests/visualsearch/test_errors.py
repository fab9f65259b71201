"""Pages and the API while the database is away."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from catalogue.models import Product
from visualsearch import errors

pytestmark = pytest.mark.django_db


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The database is unreachable; the queries that were tried."""
    asked: list[str] = []

    def broken(*args: Any) -> None:
        asked.append("visible")
        raise OperationalError("connection to server at 10.0.0.9 failed")

    monkeypatch.setattr(Product.objects, "visible", broken)
    return asked


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/", "text/html", "text/html; charset=utf-8"),
        ("/products/", "application/json", "application/json"),
        ("/api/v1/products/", "*/*", "application/problem+json"),
    ],
)
def test_what_needs_the_database_says_that_it_is_out_of_reach(
    client: Client, away: list[str], path: str, accept: str, kind: str
) -> None:
    response = client.get(path, headers={"accept": accept})
    assert (response.status_code, response["Content-Type"], response["Retry-After"]) == (503, kind, "10")
    assert "10.0.0.9" not in response.content.decode()
    assert "Try again in a minute" in response.content.decode()


def test_only_the_first_request_waits_for_an_unreachable_database(
    away: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    monkeypatch.setattr(errors, "LONG", 0.0)
    for _turn in range(3):
        assert client.get("/").status_code == 503
    assert len(away) == 1
    assert client.get("/healthz").status_code == 200
    monkeypatch.setattr(errors, "REST", 0.0)
    client = Client()
    assert [client.get("/").status_code for _turn in range(3)] == [503, 503, 503]
    assert len(away) == 4
