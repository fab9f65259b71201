"""The cache in Redis, and how the site goes on without it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.test import Client

from search.writing import indexing
from tests import shop
from tests.drawing import photo
from tests.search.grid import configured
from tests.servers.redis import Redis
from tests.visualsearch.trap import pickled_trap
from visualsearch.cache import breaker

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def _in_redis(settings: Any, own_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    breaker.close()
    settings.CACHES = {
        "default": {
            "BACKEND": "visualsearch.cache.Cache",
            "LOCATION": own_redis.url,
            "KEY_PREFIX": "cache",
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }
    yield
    own_redis.stop()


def test_it_is_a_cache() -> None:
    cache.set("a", {"rows": [[1, 2, 0.5]]}, 60)
    assert cache.get("a") == {"rows": [[1, 2, 0.5]]}
    assert cache.add("a", 1) is False
    assert cache.has_key("a")
    assert cache.touch("a", 5)
    cache.set_many({"b": 1, "c": 2})
    assert cache.get_many(["b", "c", "d"]) == {"b": 1, "c": 2}
    assert cache.incr("b") == 2
    cache.delete_many(["b", "c"])
    assert cache.delete("a")
    assert cache.get_many(["a", "b", "c"]) == {}
    with pytest.raises(ValueError, match="not found"):
        cache.incr("b")


def test_clearing_it_leaves_the_brokers_messages(own_redis: Redis) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.lpush("interactive", "a message")
        cache.set("a", 1)
        cache.clear()
        assert client.keys() == [b"interactive"]


def test_cached_pickles_are_never_executed(own_redis: Redis, tmp_path: Path) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set(cache.make_key("a"), pickled_trap(tmp_path / "sprung"))
        cache.set("b", 1)
        assert cache.get("a", "nothing") == "nothing"
        assert cache.get_many(["a", "b"]) == {"b": 1}
        assert not (tmp_path / "sprung").exists()
        cache.set("a", 2)
        assert cache.get("a") == 2


def test_redis_that_is_down_is_an_empty_cache_and_is_logged_once(
    own_redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resilience.breaker.REST", 0)
    cache.set("a", 1)
    own_redis.stop()
    assert cache.get("a", "nothing") == "nothing"
    cache.set("a", 1)
    cache.set_many({"a": 1})
    assert cache.add("a", 1)
    assert cache.get_many(["a"]) == {}
    assert not cache.has_key("a")
    assert not cache.touch("a")
    assert not cache.delete("a")
    cache.delete_many(["a"])
    cache.clear()
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    assert caplog.text.count("Redis is unavailable") == 1
    own_redis.start().wait()
    cache.set("a", 2)
    assert cache.get("a") == 2
    assert caplog.text.count("Redis is available again") == 1


def test_values_that_json_cannot_hold_are_logged_and_not_kept(
    own_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("a", object())
    assert cache.get("a") is None
    assert "A value is not cached" in caplog.text


def test_redis_that_hangs_is_waited_for_once(own_redis: Redis) -> None:
    own_redis.process.send(signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(5):
        assert cache.get("a") is None
    assert time.monotonic() - began < 3


@pytest.mark.django_db
def test_pages_and_searches_answer_without_redis(client: Client, own_redis: Redis, settings: Any) -> None:
    settings.EMBEDDERS = {"default": configured()}
    shop.product("a", photo())
    shop.product("b", photo("hat"))
    indexing.reconcile()
    own_redis.stop()
    assert client.get("/").status_code == 200
    for _ in range(3):  # the throttle lets through
        answer = client.post("/api/v1/search/", {"image": _upload()})
        assert answer.status_code == 201
        assert answer.json()["results"]
    page = client.post("/search/", {"image": _upload()}, follow=True)
    assert page.status_code == 200


def _upload() -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile("photo.jpg", photo(), "image/jpeg")
