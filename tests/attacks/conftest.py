"""A demo shop on the production server, for tests that attack it.

Tests that use the fixture `shop` carry the marker `attacks`: they measure a running server and so run one at a time.
Tests of this folder that need no server run with all others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.attacks import Shop, running_shop

PRODUCTS = 24


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and "shop" in item.fixturenames:
        item.add_marker(pytest.mark.attacks)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of `PRODUCTS` products with one web process, as `make run` starts it; no worker runs beside it."""
    with running_shop(tmp_path_factory.mktemp("attacked"), products=PRODUCTS) as shop:
        yield shop
