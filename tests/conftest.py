"""Fixtures of every test: its own folders, an empty cache, and servers."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from django.core.files.storage import storages
from django.db import DataError, connection
from django.utils import translation
from hypothesis import settings as hypothesis

from search.models import Query
from search.web import throttling
from tests.servers.fixtures import (
    older_opensearch,
    opensearch_cluster,
    opensearch_url,
    own_opensearch,
    own_postgresql,
    own_redis,
    postgresql_url,
    redis_url,
)

if TYPE_CHECKING:
    from tests.moto import S3

__all__ = [
    "older_opensearch",
    "opensearch_cluster",
    "opensearch_url",
    "own_opensearch",
    "own_postgresql",
    "own_redis",
    "postgresql_url",
    "redis_url",
]

# No deadline for one example: on a shared machine its time says nothing about the code.
hypothesis.register_profile(
    "tests", hypothesis.default, deadline=None, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100"))
)
hypothesis.load_profile("tests")


@pytest.fixture(autouse=True)
def _own_folders(
    settings: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Keep a test's files in its own folder, away from a developer's DATA_DIR."""
    folder: Path = tmp_path_factory.mktemp("data")
    settings.MEDIA_ROOT = folder / "media"
    settings.STATIC_ROOT = folder / "static"
    settings.STATIC_ROOT.mkdir()
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "queries": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder / "queries", "base_url": None},
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    monkeypatch.setattr(Query._meta.get_field("picture"), "storage", storages["queries"])
    # Tests that need a broker set it.
    settings.REDIS_URL = ""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.VECTOR_INDEX = "default"
    settings.VECTOR_INDEXES = {
        "default": {
            "BACKEND": "search.indexes.embedded.EmbeddedBackend",
            "OPTIONS": {"folder": folder / "indexes"},
        }
    }
    # A request leaves its language active in the thread; the next test begins in the site's own.
    translation.deactivate()
    yield
    translation.deactivate()
    cache.clear()
    throttling.forget()
    if buckets := sys.modules.get("tests.moto"):
        buckets.close()


@pytest.fixture
def no_nul(db: None) -> Iterator[None]:
    """Any database refuses NUL in a parameter, as PostgreSQL does."""

    def refuse(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if any(isinstance(value, str) and "\0" in value for value in parameters or ()):
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture(scope="module")
def moto_server() -> Iterator[S3]:
    """A server of moto's, for the tests of one module."""
    from tests.moto import moto

    with moto() as running:
        yield running


@pytest.fixture
def s3(moto_server: S3, settings: Any, monkeypatch: pytest.MonkeyPatch) -> S3:
    """An empty bucket, in which the site keeps photos and shoppers' pictures."""
    from tests.moto import use

    moto_server.reset()
    use(moto_server.url, settings, monkeypatch)
    return moto_server


@pytest.fixture(scope="session")
def model_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model.tar.gz of MobileNetV2 with random weights, made once for all processes of a session of tests."""
    from tests.endpoint.serving import export

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "package.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = shared / "package" / "model.tar.gz"
        return path if path.exists() else export(path.parent)
