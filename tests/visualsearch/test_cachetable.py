"""The cache in a table of the database."""

from __future__ import annotations

import base64
import pickle
import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext_lazy

from search.writing import indexing
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid, configured
from tests.visualsearch.trap import pickled_trap

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_a_table(settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "visualsearch.cachetable.DatabaseCache",
            "LOCATION": "cache",
            "OPTIONS": {"MAX_ENTRIES": 20},
        }
    }
    call_command("createcachetable", verbosity=0)


def put(key: str, value: str) -> None:
    """Write into the table directly, as anyone with access to the database can."""
    cache.set(key, 0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE cache SET value = %s WHERE cache_key = %s", [value, cache.make_key(key)])


def test_it_is_a_cache() -> None:
    cache.set("a", {"rows": [[1, 2, 0.5]], "text": "\0 ü"}, 60)
    assert cache.get("a") == {"rows": [[1, 2, 0.5]], "text": "\0 ü"}
    assert cache.add("a", 1) is False
    assert cache.has_key("a")
    assert cache.touch("a", 5)
    assert not cache.touch("nothing", 5)
    cache.set_many({"b": 1, "c": None}, None)
    assert cache.get_many(["b", "c", "d"]) == {"b": 1, "c": None}
    assert cache.incr("b") == 2
    cache.delete_many(["b", "c"])
    assert cache.delete("a")
    assert cache.get_many(["a", "b", "c"]) == {}
    assert cache.get_many([]) == {}
    assert cache.add("a", 1) is True


def test_expired_values_are_gone_and_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("a", 1, -1)
    assert cache.get("a") is None
    assert not cache.touch("a")
    assert cache.add("a", 2)
    assert cache.get("a") == 2
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(hours=1))
    assert cache.get("a") is None


def test_the_number_of_values_is_limited() -> None:
    for number in range(100):
        cache.set(f"{number}", number)
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM cache")
        assert cursor.fetchone()[0] <= 21


def test_cached_pickles_are_never_executed(tmp_path: Path) -> None:
    trap = pickled_trap(tmp_path / "sprung")
    pickle.loads(trap)  # noqa: S301 - our own
    (tmp_path / "sprung").rmdir()  # so it would
    put("a", base64.b64encode(trap).decode())
    put("b", base64.b64encode(pickle.dumps(1)).decode())  # as earlier releases wrote
    cache.set("c", 1)
    assert cache.get("a", "nothing") == "nothing"
    assert cache.get_many(["a", "b", "c"]) == {"c": 1}
    assert not (tmp_path / "sprung").exists()
    cache.set("a", 2)
    assert cache.get("a") == 2


@dataclass
class Result:
    title: Any


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((1, 2.5, None, True), [1, 2.5, None, True]),
        (gettext_lazy("Search"), "Search"),
        ([Result(reverse_lazy("admin:index"))], [{"title": "/admin/"}]),
        ({"day": date(2024, 5, 6), "id": UUID(int=1)}, {"day": "2024-05-06", "id": str(UUID(int=1))}),
    ],
)
def test_values_that_json_can_hold_come_back_as_json(value: Any, kept: Any) -> None:
    cache.set("a", value)
    assert cache.get("a") == kept


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, {"a": [Decimal(1)]}, 2**64])
def test_values_that_json_cannot_hold_are_logged_and_not_kept(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    cache.set("a", value)
    assert cache.add("b", value) is False
    assert cache.get_many(["a", "b"]) == {}
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_the_admins_search_finds_the_same_from_the_cache(admin_client: Client) -> None:
    address = "/admin/search/?extended=1&s=brand"
    pages = [admin_client.get(address) for _time in range(2)]
    assert [page.status_code for page in pages] == [200, 200]
    assert [isinstance(page.context["results"][0], dict) for page in pages] == [False, True]
    for page in pages:
        assert "/admin/catalogue/brand/" in page.content.decode()
    assert links(pages[0]) == links(pages[1])


def links(page: Any) -> list[str]:
    return re.findall(r'href="([^"]*)"', page.content.decode())


def test_searches_keep_in_it_what_their_pages_need(client: Client, settings: Any) -> None:
    settings.EMBEDDERS = {"default": configured()}
    for number in range(4):
        shop.product(f"shirt-{number}", photo(seed=number))
    indexing.reconcile()
    upload = SimpleUploadedFile("photo.jpg", photo(), "image/jpeg")
    first = client.post("/api/v1/search/", {"image": upload, "k": "2"}).json()
    assert len(client.get(first["next"]).json()["results"]) == 2
    address = f"/api/v1/search/{first['id']}/?box=0,0,.5,.5"
    boxed = client.get(address).json()
    calls = Grid.calls
    assert client.get(f"{address}&colour_weight=0.3").json()["results"][0]["sku"].startswith("shirt-")
    assert client.get(address).json()["results"] == boxed["results"]
    assert Grid.calls == calls  # the box was looked at once
