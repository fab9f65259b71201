"""How many searches one client may make: exact, whatever it sends at once."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, OperationalError, connection, connections
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from catalogue.models import Product
from search.models import ThrottleWindow
from search.web import throttling
from search.web.throttling import MOST_CLIENTS, Cost, Window, spend
from tests.drawing import photo
from tests.servers.redis import Redis

SEARCH = "/api/v1/search/"


def ask(client: str = "192.0.2.1", cost: int = 1) -> Window:
    return spend(RequestFactory().post(SEARCH, REMOTE_ADDR=client), cost)


def all_at_once(requests: int, threads: int = 16) -> int:
    """How many of these searches of one client are let through."""

    def one(_number: int) -> bool:
        try:
            return ask().allowed
        finally:
            connections.close_all()
            leave_redis()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads interrupt each other everywhere
    try:
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(one, range(requests)))
    finally:
        sys.setswitchinterval(interval)


def leave_redis() -> None:
    """Close this thread's connections to it."""
    if hasattr(cache, "spend"):
        cache._cache.get_client(None, write=True).connection_pool.disconnect()


@pytest.fixture(autouse=True)
def _rate(settings: Any) -> None:
    settings.SEARCH_RATE = "6/min"


@pytest.fixture
def in_redis(settings: Any, own_redis: Redis) -> Iterator[Redis]:
    from visualsearch.cache import breaker

    breaker.close()
    settings.CACHES = {
        "default": {
            "BACKEND": "visualsearch.cache.Cache",
            "LOCATION": own_redis.url,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }
    yield own_redis
    leave_redis()
    own_redis.stop()


@pytest.fixture
def no_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in a Redis that nothing can reach."""
    from visualsearch.cache import breaker

    breaker.close()
    options = {"socket_connect_timeout": 1, "socket_timeout": 1}
    location = "redis://127.0.0.1:1"
    settings.CACHES = {"default": {"BACKEND": "visualsearch.cache.Cache", "LOCATION": location, "OPTIONS": options}}


# Counting ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_searches_cost_what_they_cost_until_the_window_is_used_up() -> None:
    assert [ask(cost=cost).allowed for cost in (3, 2, 2, 1, 1)] == [True, True, False, True, False]
    assert ask("192.0.2.2").allowed
    window = ask()
    assert (window.limit, window.period, window.used) == (6, 60, 6)
    assert 55 < window.left <= 60


@pytest.mark.django_db
def test_one_search_is_never_dearer_than_all(settings: Any) -> None:
    settings.SEARCH_RATE = "1/min"
    assert ask(cost=Cost.ADDRESS).allowed
    assert not ask().allowed


@pytest.mark.django_db
def test_a_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    ask(cost=6)
    assert not ask().allowed
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert ask().used == 1


@pytest.mark.django_db
@pytest.mark.parametrize("before", ["6/day", "6/hour"])
def test_a_shorter_period_does_not_wait_for_the_end_of_a_longer_one(settings: Any, before: str) -> None:
    settings.SEARCH_RATE = before
    assert not [ask() for _ in range(7)][-1].allowed
    settings.SEARCH_RATE = "6/min"
    assert ask().allowed


@pytest.mark.django_db
def test_an_ipv6_client_is_its_network() -> None:
    assert ask("2001:db8:0:1::1", cost=6).allowed
    assert not ask("2001:db8:0:1:ffff::2").allowed
    assert ask("2001:db8:0:2::1").allowed


@pytest.mark.django_db
def test_who_is_refused_costs_the_database_nothing() -> None:
    ask(cost=6)
    assert not ask().allowed
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert not any(ask().allowed for _ in range(100))
    assert len(queries) == 0


@pytest.mark.django_db
def test_windows_that_have_ended_are_forgotten() -> None:
    ask()
    assert throttling.forget_windows() == 0
    ThrottleWindow.objects.update(ends=time.time() - 1)
    assert throttling.forget_windows() == 1


@pytest.mark.django_db
def test_a_process_remembers_only_so_many_clients() -> None:
    for number in range(MOST_CLIENTS + 10):
        throttling._here.spend(str(number), 1, 6, 60)
    assert len(throttling._here._windows) <= MOST_CLIENTS
    assert str(MOST_CLIENTS + 9) in throttling._here._windows


@pytest.mark.usefixtures("shared_database")
def test_sixteen_threads_get_no_more_than_the_limit_from_the_database(settings: Any) -> None:
    settings.SEARCH_RATE = "30/min"
    assert all_at_once(150) == 30


@pytest.mark.servers
@pytest.mark.django_db
@pytest.mark.usefixtures("in_redis")
def test_sixteen_threads_get_no_more_than_the_limit_from_redis(settings: Any) -> None:
    settings.SEARCH_RATE = "60/min"
    assert all_at_once(300) == 60
    assert not ThrottleWindow.objects.exists()
    assert 0 < cache._cache.get_client(None).pttl(cache.make_key("throttle:192.0.2.1")) <= 60_000  # type: ignore[attr-defined]


@pytest.mark.servers
@pytest.mark.django_db
@pytest.mark.usefixtures("in_redis")
def test_searches_by_the_api_are_counted_in_redis(client: Client, products: list[Product]) -> None:
    assert asked(client, product="hat-red-0").status_code == 201
    throttling.forget()  # as another process, which knows of no client
    assert asked(client, product="hat-red-0")["RateLimit"].startswith('"search";r=4;t=')


@pytest.mark.servers
def test_where_redis_goes_away_a_process_goes_on_from_what_it_knows(in_redis: Redis) -> None:
    assert [ask().allowed for _ in range(4)] == [True] * 4
    in_redis.stop()
    assert all_at_once(50) == 2


@pytest.mark.usefixtures("no_redis")
def test_without_redis_each_process_counts(settings: Any) -> None:
    settings.SEARCH_RATE = "60/min"
    assert all_at_once(300) == 60


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_search_that_is_counted_meanwhile_stays_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    count = throttling._here.spend

    def overtaken(*arguments: Any) -> Window:
        window = count(*arguments)
        monkeypatch.setattr(throttling._here, "spend", count)
        assert ask().used == 2
        return window

    monkeypatch.setattr(throttling._here, "spend", overtaken)
    assert ask().used == 1
    assert ask().used == 3


@pytest.mark.parametrize(("late", "used"), [(0, 5), (20, 5), (45, 3)])
def test_an_answer_that_arrives_late_takes_nothing_back_within_its_window(late: float, used: int) -> None:
    for answer in (Window(6, 60, 4, 10, allowed=True), Window(6, 60, 2, 10 + late, allowed=True)):
        throttling._here.note("192.0.2.1", answer)
    assert throttling._here.spend("192.0.2.1", 1, 6, 60).used == used


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("closed")])
def test_where_the_database_cannot_count_a_process_does(
    client: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def locked(execute: Any, sql: str, *arguments: Any) -> Any:
        if ThrottleWindow._meta.db_table in sql:
            raise error
        return execute(sql, *arguments)

    assert ask("127.0.0.1", cost=4).allowed
    with connection.execute_wrapper(locked):
        statuses = [asked(client, product="hat-red-0").status_code for _ in range(3)]
        response = client.post("/search/", {"product": "hat-red-0"})
    assert statuses == [201, 201, 429]
    assert response.status_code == 429


@pytest.mark.servers
@pytest.mark.usefixtures("in_redis")
def test_whatever_lies_in_redis_a_client_is_counted() -> None:
    redis = cache._cache.get_client(None)  # type: ignore[attr-defined]
    redis.set(cache.make_key("throttle:192.0.2.1"), b"\x80\x04nonsense")
    assert all_at_once(50) == 6


# What clients see -------------------------------------------------------------------------------------------


def asked(client: Client, **body: Any) -> Any:
    return client.post(SEARCH, json.dumps(body), content_type="application/json")


@pytest.mark.django_db
def test_answers_say_what_is_left(client: Client, products: list[Product]) -> None:
    response = asked(client, product="hat-red-0")
    assert response.status_code == 201
    assert response["RateLimit-Policy"] == '"search";q=6;w=60'
    assert response["RateLimit"].startswith('"search";r=5;t=')
    response = client.post("/search/", {"image": SimpleUploadedFile("photo.jpg", photo())})
    assert response.status_code == 303
    assert response["RateLimit"].startswith('"search";r=3;t=')
    assert asked(client, image_url="http://127.0.0.1/").status_code == 422
    for response in (asked(client, product="hat-red-0"), client.post("/search/", {"product": "hat-red-0"})):
        assert response.status_code == 429
        assert response["RateLimit"].startswith('"search";r=0;t=')
        assert 0 < int(response["Retry-After"]) <= 60


@pytest.mark.django_db
def test_pages_that_are_looked_at_are_not_counted(client: Client, products: list[Product]) -> None:
    for path in ("/", "/search/", f"/api/v1/products/{products[0].sku}/similar/"):
        response = client.get(path)
        assert response.status_code == 200
        assert "RateLimit" not in response
    assert not ThrottleWindow.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{"product": "hat-red-0"}, {"image_base64": base64.b64encode(photo()).decode()}])
def test_a_search_by_the_api_is_counted_once(client: Client, products: list[Product], body: dict[str, str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert asked(client, **body).status_code == 201
    table = ThrottleWindow._meta.db_table
    assert sum(table in query["sql"] for query in queries) == 1


@pytest.mark.django_db
def test_a_request_that_is_refused_is_not_read(client: Client) -> None:
    ask("127.0.0.1", cost=6)

    def unread(size: int) -> bytes:
        raise AssertionError("The body was read.")

    body: Any = type("Body", (), {"read": staticmethod(unread), "readline": staticmethod(unread)})()
    response = client.generic(
        "POST", SEARCH, content_type="application/json", CONTENT_LENGTH="9", **{"wsgi.input": body}
    )
    assert response.status_code == 429


@pytest.mark.django_db
def test_pictures_that_are_refused_are_not_read_again_and_again(client: Client, products: list[Product]) -> None:
    ask("127.0.0.1", cost=5)
    picture = base64.b64encode(photo()).decode()
    responses = [asked(client, image_base64=picture) for _ in range(2)]
    assert [response.status_code for response in responses] == [429, 429]
    assert all(0 < int(response["Retry-After"]) <= 60 for response in responses)
    assert throttling._here.full("127.0.0.1", 1, 6, 60)


@pytest.mark.django_db
def test_a_body_that_cannot_be_read_is_counted_too(client: Client) -> None:
    statuses = Counter(client.post(SEARCH, "{", content_type="application/json").status_code for _ in range(8))
    assert statuses == {400: 6, 429: 2}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/search/", "/api/v1/search/"])
def test_refused_searches_fill_no_log(client: Client, caplog: pytest.LogCaptureFixture, path: str) -> None:
    statuses = [client.post(path).status_code for _search in range(9)]
    assert statuses[-1] == 429
    assert "could not be answered" not in caplog.text
