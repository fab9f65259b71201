"""Servers as fixtures: each is started at its first use, and ends with the tests.

Servers started by `python -m tests.servers ... -- pytest` are reused. SERVERS names them, so that tests never touch
servers that a developer's variables point at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.base import Server, running
from tests.servers.opensearch import VERSIONS, Cluster, OpenSearch
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis


def served(kind: type[Server], variable: str) -> Iterator[str]:
    """The value of `variable` for a running server, or for one started here."""
    if kind.name in os.environ.get("SERVERS", "").split():
        yield os.environ[variable]
        return
    with running(kind) as servers:
        yield servers[0].variables[variable]


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """A node of the newest version that is tested."""
    yield from served(OpenSearch, "OPENSEARCH_URL")


@pytest.fixture(scope="module")
def older_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A node of the oldest version that is tested."""
    yield from _own(OpenSearch(_folder(tmp_path_factory), VERSIONS[0]))


@pytest.fixture(scope="module")
def own_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A node that the tests of a module may stop, start and break."""
    yield from _own(OpenSearch(_folder(tmp_path_factory)))


@pytest.fixture(scope="module")
def opensearch_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes."""
    cluster = Cluster(_folder(tmp_path_factory))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    yield from served(Redis, "REDIS_URL")


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """One that a test may stop and start."""
    with running(Redis) as (server,):
        assert isinstance(server, Redis)
        yield server


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    yield from served(PostgreSQL, "DATABASE_URL")


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """One that a test may stop and start."""
    with running(PostgreSQL) as (server,):
        assert isinstance(server, PostgreSQL)
        yield server


def _own(server: OpenSearch) -> Iterator[OpenSearch]:
    try:
        yield server.start().wait()
    finally:
        server.stop()


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("server") / "state"
