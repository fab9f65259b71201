"""What tests of search leave behind: nothing."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from tests.search import scripted


@pytest.fixture(autouse=True)
def _grid_as_new() -> Iterator[None]:
    """The simple model of `test_indexing` can be told to fail; no test finds it as another left it."""
    yield
    if module := sys.modules.get("tests.search.test_indexing"):
        module.Grid.calls, module.Grid.unavailable, module.Grid.rejects = 0, False, None


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
    """A database whose commits other threads and processes see.

    SQLite's test database lives in one connection's memory, so a copy of it in a file takes its place.
    """
    if connection.vendor != "sqlite":
        # By its mark: a fixture that is asked for so late does not count among the test's own.
        request.node.add_marker(pytest.mark.django_db(transaction=True))
        request.getfixturevalue("transactional_db")
        yield
        return
    path = tmp_path / "db.sqlite3"
    with django_db_blocker.unblock():
        memory = connections["default"]
        memory.ensure_connection()
        with sqlite3.connect(path) as file:
            memory.connection.backup(file)
        file.close()
        name = memory.settings_dict["NAME"]
        del connections["default"]
        connections.databases["default"]["NAME"] = str(path)
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = memory
            connections.databases["default"]["NAME"] = name
