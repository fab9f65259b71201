"""What tests of search leave behind: nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection, connections

from catalogue.files import StorageRefused, StorageUnavailable
from catalogue.models import Product, ProductImage
from search.exceptions import IndexUnavailable
from search.indexes.embedded import EmbeddedIndex
from search.writing import indexing, ledger
from tests import shop
from tests.search import scripted
from tests.search.grid import Grid, configured
from tests.search.workplace import Databases, Workplace


@pytest.fixture(autouse=True)
def _grid_as_new() -> Iterator[None]:
    """The simple model can be told to fail; no test finds it as another left it."""
    yield
    Grid.calls, Grid.unavailable, Grid.rejects = 0, False, None


@pytest.fixture
def grid(settings: Any) -> type[Grid]:
    """The simple model in the place of the real one."""
    settings.EMBEDDERS = {"default": configured()}
    return Grid


@pytest.fixture
def two_grids(grid: type[Grid], settings: Any) -> None:
    """The simple model, and beside it one that only its name makes another."""
    settings.EMBEDDERS = {"default": configured(), "other": configured("other")}


class Makings:
    """Sees how indexes are made, and can keep them from it."""

    def __init__(self) -> None:
        self.away = True
        #: for each try whether the database was in a transaction
        self.seen: list[bool] = []


@pytest.fixture
def makings(monkeypatch: pytest.MonkeyPatch) -> Makings:
    """No index can be made at first."""
    told, create = Makings(), EmbeddedIndex.create

    def make(index: EmbeddedIndex) -> None:
        told.seen.append(connection.in_atomic_block)
        if told.away:
            raise IndexUnavailable("The index is asleep.")
        create(index)

    monkeypatch.setattr(EmbeddedIndex, "create", make)
    return told


class Files:
    """The storage of photos, which can be told to keep some to itself, or to answer nobody."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.away = False
        #: how often each file was asked for
        self.asked: Counter[str] = Counter()

    def refuse(self, photo: ProductImage) -> None:
        self.refused.add(str(photo.file.name))

    def see(self, name: str) -> None:
        self.asked[name] += 1
        if name in self.refused:
            raise StorageRefused("The bucket does not allow this.")
        if self.away:
            raise StorageUnavailable("The bucket does not answer.")


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    told, opened = Files(), FileSystemStorage._open

    def ask(storage: FileSystemStorage, name: str, mode: str = "rb") -> Any:
        told.see(name)
        return opened(storage, name, mode)

    monkeypatch.setattr(FileSystemStorage, "_open", ask)
    return told


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to wait for another try does not wait long."""
    monkeypatch.setattr(ledger, "FIRST_PAUSE", timedelta(milliseconds=10))


@pytest.fixture
def products(db: None) -> list[Product]:
    """A shop with two products of each kind and colour, indexed."""
    made = shop.fill()
    indexing.reconcile()
    return made


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[scripted.Endpoint]:
    """A server that stands for SageMaker's runtime and does as it is told; boto3 finds it by the environment."""
    with scripted.served() as served:
        scripted.use(served.url, monkeypatch)
        yield served


@pytest.fixture
def shared_database(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """A database whose commits other threads and processes see, with the same name for all of them.

    SQLite's test database lives in one connection's memory, so a copy of it in a file takes its place; with
    PostgreSQL it is a new one.
    """
    own = connections["default"]
    config = connections.databases["default"]
    before = dict(config)
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            name = str(tmp_path / "db.sqlite3")
            own.ensure_connection()
            with sqlite3.connect(name) as file:
                own.connection.backup(file)
            file.close()
        else:
            name = request.getfixturevalue("postgresql_databases").new().rpartition("/")[2]
            # The process's pool leads to the other one.
            config["OPTIONS"] = {key: value for key, value in config["OPTIONS"].items() if key != "pool"}
        del connections["default"]
        config["NAME"] = name
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = own
            config.clear()
            config.update(before)


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgresql_databases(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Databases:
    return Databases(tmp_path_factory.mktemp("databases"), postgresql_url)


Open = Callable[[Databases, str], Workplace]


@pytest.fixture
def open_workplace(
    tmp_path: Path, settings: Any, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens a shop with a database of its own and this broker, and no worker yet; this process is its web server."""
    from kombu import pools

    from search import broker
    from visualsearch.celery import app

    with ExitStack() as stack:

        def opened(databases: Databases, redis_url: str) -> Workplace:
            place = Workplace(tmp_path, databases.new(), redis_url)
            settings.MEDIA_ROOT = tmp_path / "media"
            settings.EMBEDDERS = {"default": {"BACKEND": "tests.search.slow.Slow"}}
            settings.VECTOR_INDEXES["default"]["OPTIONS"]["folder"] = tmp_path / "indexes"
            if redis_url:
                settings.REDIS_URL = app.conf.broker_url = redis_url
                broker._breaker.close()
                app._after_fork()  # what it knows of connections is of another broker
                app.control.purge()
                stack.callback(app._after_fork)
                stack.callback(pools.reset)
            stack.enter_context(django_db_blocker.unblock())
            stack.enter_context(place.connected())
            stack.callback(place.close)
            return place

        yield opened


@pytest.fixture
def workplace(open_workplace: Open, postgresql_databases: Databases, redis_url: str) -> Workplace:
    return open_workplace(postgresql_databases, redis_url)
