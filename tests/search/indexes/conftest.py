from __future__ import annotations

import sqlite3

import pytest
from django.db import connection, connections


@pytest.fixture
def shared_database(request, tmp_path, django_db_setup, django_db_blocker):
    """A database whose commits other threads and processes see.

    SQLite's test database lives in one connection's memory, so a copy of it in a file takes its place.
    """
    if connection.vendor != "sqlite":
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
