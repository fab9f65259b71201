from __future__ import annotations

import sqlite3

import pytest
from django.db import connection, connections


@pytest.fixture
def shared_database(request, tmp_path, django_db_setup, django_db_blocker):
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
