"""The index on a real OpenSearch: the contract, on the newest and the oldest version that is tested."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from search.indexes.opensearch.backend import OpenSearchBackend
from tests.search.indexes.contract import VectorIndexContract
from tests.servers.opensearch import OpenSearch, remove

pytestmark = pytest.mark.servers

MakeBackend = Callable[..., OpenSearchBackend]


def backends(url: str) -> Iterator[MakeBackend]:
    """Builds backends with a prefix that nobody else has; its indexes go at the end."""
    prefix = f"test-{secrets.token_hex(6)}"

    def make(**options) -> OpenSearchBackend:
        return OpenSearchBackend("opensearch", **{"hosts": url.split(","), "prefix": prefix, **options})

    yield make
    remove(url, f"{prefix}-*")


class TestOpenSearchIndex(VectorIndexContract):
    @pytest.fixture
    def make_backend(self, opensearch_url: str) -> Iterator[MakeBackend]:
        yield from backends(opensearch_url)


class TestOlderOpenSearchIndex(VectorIndexContract):
    @pytest.fixture
    def make_backend(self, older_opensearch: OpenSearch) -> Iterator[MakeBackend]:
        yield from backends(older_opensearch.url)
