from __future__ import annotations

import shutil
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from search.models import IndexVersion
from search.writing import ledger

pytestmark = pytest.mark.django_db


def test_a_living_process_says_so_without_asking_the_database(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")
    assert "no-store" in response["Cache-Control"]


def test_a_site_with_an_index_is_ready(client: Client) -> None:
    ledger.ensure_live_version()
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "parts": {"database": "ok", "migrations": "ok", "embedder": "ok", "index": "ok"},
    }
    assert "no-store" in response["Cache-Control"]


def test_a_site_without_an_index_is_not_ready(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert parts["database"] == parts["migrations"] == "ok"
    assert "manage.py sync_index" in parts["index"]


def test_a_missing_migration_is_reported(client: Client) -> None:
    ledger.ensure_live_version()
    last = MigrationRecorder(connection).migration_qs.filter(app="search").order_by("-name").first()
    assert last is not None
    last.delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "manage.py migrate" in response.json()["parts"]["migrations"]


def test_an_index_of_another_model_is_reported(client: Client) -> None:
    IndexVersion.objects.filter(pk=ledger.ensure_live_version().pk).update(fingerprint="another-model")
    response = client.get("/readyz")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert "manage.py rebuild_index" in parts["embedder"]
    assert parts["index"] == "ok"


def test_an_index_without_its_files_is_reported(client: Client, settings: Any) -> None:
    ledger.ensure_live_version()
    shutil.rmtree(settings.VECTOR_INDEXES["default"]["OPTIONS"]["folder"])
    # Another process, which has not read the files yet.
    settings.VECTOR_INDEXES = {"default": {**settings.VECTOR_INDEXES["default"]}}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "manage.py rebuild_index" in response.json()["parts"]["index"]


def test_a_model_without_its_weights_is_reported(client: Client, settings: Any) -> None:
    ledger.ensure_live_version()
    options = {"variant": "lite2"}  # not among the requirements
    settings.EMBEDDERS = {"default": {**settings.EMBEDDERS["default"], "OPTIONS": options}}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "pip install" in response.json()["parts"]["embedder"]


def test_database_errors_are_logged_and_not_shown(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.ensure_live_version()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE search_indexversion RENAME TO hidden_table")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["index"] == "The database could not be asked; the site's log says why."
    assert b"search_indexversion" not in response.content
    assert "search_indexversion" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_balancer_asks_by_address_and_in_plain_http(client: Client, settings: Any, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path, headers={"host": "10.0.0.7:8000"}).status_code in {200, 503}
    assert client.get("/", headers={"host": "10.0.0.7:8000"}).status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_refuses_post(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
