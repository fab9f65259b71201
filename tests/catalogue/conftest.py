"""Fixtures of the catalogue's tests."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from catalogue.signals import photos_changed


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """The default hasher takes half a second for each login."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 tries again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))


@pytest.fixture
def announced() -> Iterator[list[list[int]]]:
    """The keys of photos that `photos_changed` has sent, each time within a transaction."""
    sent: list[list[int]] = []

    def receive(ids: list[int], **_options: Any) -> None:
        assert connection.in_atomic_block
        sent.append(ids)

    photos_changed.connect(receive)
    yield sent
    photos_changed.disconnect(receive)
