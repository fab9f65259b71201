"""What goes wrong with a real node: it stops, hangs, has no room, takes no changes, loses an index."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from django.test import Client

from catalogue.models import ProductImage
from search.exceptions import IndexMissing, IndexUnavailable, PhotosPostponed, VectorIndexError
from search.indexes import index_of
from search.indexes.opensearch import bulk
from search.indexes.opensearch.index import OpenSearchIndex
from search.lifecycle import building, rollback, upkeep
from search.models import IndexEntry, IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid
from tests.search.indexes.clusters import MakeBackend, backends
from tests.search.indexes.contract import WIDTH, document, found, new_version
from tests.servers.opensearch import OpenSearch, ask

pytestmark = [pytest.mark.servers, pytest.mark.django_db]

QUERY = np.ones(WIDTH, np.float32)


@pytest.fixture
def node(own_opensearch: OpenSearch) -> Iterator[OpenSearch]:
    """Running and as new, whatever the last test has done to it."""
    yield own_opensearch
    if own_opensearch.running:
        own_opensearch.process.send(signal.SIGCONT)
    else:
        own_opensearch.start().wait()
    put(own_opensearch, "/_cluster/settings", {"transient": {"*": None}})


@pytest.fixture
def make_backend(node: OpenSearch) -> Iterator[MakeBackend]:
    yield from backends(node.url)


@pytest.fixture
def index(make_backend: MakeBackend) -> OpenSearchIndex:
    index = make_backend(timeout=2).open(new_version())
    index.create()
    index.upsert([document(1)])
    index.refresh()
    return index


def put(node: OpenSearch, path: str, body: Any) -> None:
    answer = ask(node.port, "PUT", path, body)
    assert answer.get("acknowledged"), answer


@contextmanager
def full(node: OpenSearch) -> Iterator[None]:
    """A node that has no room for a request of more than a kilobyte."""
    limit = "network.breaker.inflight_requests.limit"
    put(node, "/_cluster/settings", {"transient": {limit: "1kb"}})
    try:
        yield
    finally:
        put(node, "/_cluster/settings", {"transient": {limit: None}})


# The node ---------------------------------------------------------------------------------------------------


def test_a_node_that_is_away_is_unavailable_and_all_is_there_when_it_returns(
    index: OpenSearchIndex, node: OpenSearch
) -> None:
    node.kill()
    for ask_it in (
        lambda: index.search(QUERY, 3),
        lambda: index.upsert([document(2)]),
        lambda: index.delete({1: 2}),
        index.count,
        index.refresh,
        index.create,
        index.drop,
    ):
        with pytest.raises(IndexUnavailable, match="OPENSEARCH_URL"):
            ask_it()
    node.start().wait()
    index.upsert([document(2)])
    assert found(index) == [1, 2]


def test_a_node_killed_during_writes_keeps_acknowledged_documents(
    index: OpenSearchIndex, node: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_BYTES", 2_000)
    documents = [document(photo_id, generation=2) for photo_id in range(1, 4_001)]
    begun = threading.Event()
    perform = type(index.cluster).request

    def noted(*args: Any, **kwargs: Any) -> Any:
        answer = perform(*args, **kwargs)
        begun.set()
        return answer

    monkeypatch.setattr(type(index.cluster), "request", noted)
    killer = threading.Thread(target=lambda: (begun.wait(), node.kill()))
    killer.start()
    with pytest.raises(IndexUnavailable):
        index.upsert(documents)
    killer.join()
    node.start().wait()
    index.refresh()
    assert 0 < index.count() < len(documents)
    index.upsert(documents)
    index.refresh()
    assert list(index.ids()) == [(photo_id, 2) for photo_id in range(1, 4_001)]


def test_a_node_that_hangs_is_not_waited_for_longer_than_was_said(index: OpenSearchIndex, node: OpenSearch) -> None:
    index.search(QUERY, 3)
    node.process.send(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(IndexUnavailable, match="OPENSEARCH_TIMEOUT"):
        index.search(QUERY, 3)
    assert time.monotonic() - start < 4
    # Nor is it by everybody: threads that serve pages would all be waiting.
    for _turn in range(20):
        with pytest.raises(IndexUnavailable, match="OPENSEARCH_TIMEOUT"):
            index.search(QUERY, 3)
    assert time.monotonic() - start < 5
    node.process.send(signal.SIGCONT)
    index.cluster._breaker._refuses_until = 0  # some seconds later
    assert found(index) == [1]


def test_a_cluster_of_zones_that_wants_copies_at_any_time_is_built_on(
    make_backend: MakeBackend, node: OpenSearch
) -> None:
    rule = {"attributes": "zone", "balance": True, "force.zone.values": "a,b,c"}
    awareness = {f"cluster.routing.allocation.awareness.{name}": value for name, value in rule.items()}
    put(node, "/_cluster/settings", {"transient": awareness})
    version = new_version()
    version.state = IndexVersion.State.BUILDING
    index = make_backend(replicas=2).open(version)
    index.create()
    settings = index.cluster.request("GET", f"/{index.name}/_settings")[index.name]["settings"]["index"]
    assert settings["auto_expand_replicas"] == "0-2"
    unfit = make_backend(replicas=1).open(new_version())
    with pytest.raises(VectorIndexError, match="awareness"):
        unfit.create()


# Room -------------------------------------------------------------------------------------------------------


def test_what_a_busy_node_has_no_room_for_is_tried_again(index: OpenSearchIndex, node: OpenSearch) -> None:
    documents = [document(photo_id) for photo_id in range(1, 101)]
    with full(node):
        writer = threading.Thread(target=index.upsert, args=[documents])
        writer.start()
        writer.join(timeout=1)
        assert writer.is_alive()
    writer.join(timeout=30)
    assert found(index, k=200) == list(range(1, 101))


def test_a_node_that_stays_busy_is_unavailable(
    index: OpenSearchIndex, node: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE", 0.3)
    with full(node), pytest.raises(IndexUnavailable, match="overloaded"):
        index.upsert([document(photo_id) for photo_id in range(1, 101)])
    assert found(index) == [1]


@pytest.mark.parametrize("block", ["read_only_allow_delete", "read_only", "write"])
def test_an_index_that_is_read_only_still_answers_searches(
    index: OpenSearchIndex, node: OpenSearch, block: str
) -> None:
    """The first is what a full disk does."""
    put(node, f"/{index.name}/_settings", {f"index.blocks.{block}": True})
    start = time.monotonic()
    for change in (lambda: index.upsert([document(2)]), lambda: index.delete({1: 2})):
        with pytest.raises(IndexUnavailable, match="disk is full"):
            change()
    assert time.monotonic() - start < 5
    assert [hit.photo_id for hit in index.search(QUERY, 3)] == [1]
    put(node, f"/{index.name}/_settings", {f"index.blocks.{block}": None})
    index.upsert([document(2)])
    assert found(index) == [1, 2]


def test_an_index_whose_shard_is_nowhere_is_unavailable(index: OpenSearchIndex, node: OpenSearch) -> None:
    name = f"{index.prefix}-nowhere"
    body = {"settings": {"index.routing.allocation.include._name": "no such node", "number_of_replicas": 0}}
    ask(node.port, "PUT", f"/{name}?wait_for_active_shards=0&timeout=1s", body)
    index.name = name
    for ask_it in (index.count, lambda: list(index.ids())):
        with pytest.raises(IndexUnavailable):
            ask_it()


# The site ---------------------------------------------------------------------------------------------------


@pytest.fixture
def site(grid: type[Grid], settings: Any, make_backend: MakeBackend) -> str:
    """A site that keeps its indexes there; the alias of outsiders."""
    prefix = make_backend().prefix
    settings.VECTOR_INDEX = "opensearch"
    settings.VECTOR_INDEXES = settings.VECTOR_INDEXES | {
        "opensearch": {
            "BACKEND": "search.indexes.opensearch.backend.OpenSearchBackend",
            "OPTIONS": {"hosts": list(make_backend().hosts), "prefix": prefix, "timeout": 2},
        }
    }
    return prefix


def seen() -> set[int]:
    index = index_of(ledger.ensure_live_version())
    index.refresh()
    return {hit.photo_id for hit in index.search(np.ones(index.version.width, np.float32), 100)}


def photos() -> set[int]:
    return set(ProductImage.objects.values_list("pk", flat=True))


def test_a_site_whose_opensearch_is_down_keeps_changes_and_catches_up(
    site: str, node: OpenSearch, client: Client
) -> None:
    shop.product("before", photo(seed=1))
    indexing.reconcile()
    node.kill()
    shop.product("meanwhile", photo(seed=2))
    with pytest.raises(PhotosPostponed, match="does not answer"):
        upkeep.sync()
    assert IndexEntry.objects.filter(state="pending").count() == 1
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "OPENSEARCH_URL is correct" in ready.json()["parts"]["index"]
    assert client.get("/").status_code == 200
    node.start().wait()
    upkeep.sync()
    assert seen() == photos()


def test_a_site_that_starts_while_opensearch_is_down_begins_when_it_is_there(site: str, node: OpenSearch) -> None:
    shop.product("first", photo(seed=1))
    node.kill()
    with pytest.raises(IndexUnavailable):
        indexing.reconcile()
    node.start().wait()
    indexing.reconcile()
    assert seen() == photos()


def test_an_index_that_somebody_deleted_is_built_again_from_the_database(site: str, node: OpenSearch) -> None:
    for seed in range(3):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    live = ledger.ensure_live_version()
    ask(node.port, "DELETE", f"/{site}-{live.pk}")
    shop.product("later", photo(seed=7))
    with pytest.raises(IndexMissing, match="rebuild_index"):
        indexing.reconcile()
    calls = Grid.calls
    version = building.rebuild()
    assert Grid.calls == calls
    assert seen() == photos()
    assert list(ask(node.port, "GET", f"/_alias/{site}")) == [f"{site}-{version.pk}"]


def test_an_index_in_memory_answers_until_one_on_opensearch_is_built(
    site: str, node: OpenSearch, settings: Any
) -> None:
    settings.VECTOR_INDEX = "default"
    shop.product("before", photo(seed=1))
    indexing.reconcile()
    settings.VECTOR_INDEX = "opensearch"
    shop.product("after", photo(seed=2))
    indexing.reconcile()
    assert ledger.ensure_live_version().backend == "default"
    assert seen() == photos()
    version = building.rebuild()
    assert (version.backend, version.state) == ("opensearch", "live")
    assert seen() == photos()
    # The one before is kept, wherever it is, and can be gone back to.
    assert rollback.roll_back().backend == "default"
    assert seen() == photos()


def test_a_late_write_does_not_bring_a_deleted_product_back(site: str) -> None:
    product = shop.product("p", photo(seed=1))
    [photo_id] = photos()
    indexing.reconcile()
    live = ledger.ensure_live_version()
    product.delete()
    indexing.reconcile()
    assert seen() == set()
    index_of(live).upsert([document(photo_id, np.ones(live.width), generation=1)])
    assert seen() == set()
