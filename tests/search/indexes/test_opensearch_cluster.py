"""The index on three nodes with copies, while one of them stops and returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from search.indexes.opensearch.index import OpenSearchIndex
from tests.search.indexes.clusters import MakeBackend, backends
from tests.search.indexes.contract import WIDTH, VectorIndexContract, document, found, new_version
from tests.servers.opensearch import Cluster, OpenSearch

pytestmark = pytest.mark.servers

QUERY = np.ones(WIDTH, np.float32)


class Restless:
    """Stops one node after the other, in time to settle, until it is told to end; then all are there again."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.stopped = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Restless:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        nodes: list[OpenSearch] = self.cluster.nodes
        while not self._ended.wait(1):
            node = nodes[self.stopped % len(nodes)]
            node.kill() if self.stopped % 2 else node.stop()
            self.stopped += 1
            self._ended.wait(3)
            node.start().wait()
            self.cluster.settle()


@pytest.fixture
def make_backend(opensearch_cluster: Cluster) -> Iterator[MakeBackend]:
    def make(make_one: MakeBackend) -> MakeBackend:
        return lambda **options: make_one(**{"replicas": 2, "timeout": 30, **options})

    for make_one in backends(opensearch_cluster.url):
        yield make(make_one)


@pytest.mark.cluster
class TestOpenSearchCluster(VectorIndexContract):
    pass


@pytest.fixture
def index(db: None, make_backend: MakeBackend) -> OpenSearchIndex:
    index = make_backend(shards=2).open(new_version())
    index.create()
    return index


@pytest.mark.parametrize("place", range(3))
def test_with_one_node_away_nothing_is_missing(
    opensearch_cluster: Cluster, index: OpenSearchIndex, place: int
) -> None:
    index.upsert([document(photo_id) for photo_id in range(1, 101)])
    index.activate()
    node = opensearch_cluster.nodes[place]
    node.kill()
    try:
        assert found(index, k=200) == list(range(1, 101))
        index.upsert([document(photo_id, generation=2) for photo_id in range(51, 151)])
        index.delete(dict.fromkeys(range(1, 11), 2))
        assert found(index, k=200) == list(range(11, 151))
    finally:
        node.start().wait()
        opensearch_cluster.settle()
    assert found(index, k=200) == list(range(11, 151))
    index.upsert([document(5, generation=1)])
    assert 5 not in found(index, k=200)


def test_writes_and_searches_go_on_while_nodes_stop_and_return(
    opensearch_cluster: Cluster, index: OpenSearchIndex
) -> None:
    count = 60
    index.upsert([document(photo_id) for photo_id in range(1, count + 1)])
    index.activate()
    with Restless(opensearch_cluster) as restless:
        turn = 1
        while restless.stopped < 3 and turn < 2_000:
            turn += 1
            index.upsert([document(photo_id, generation=turn) for photo_id in range(1, count + 1)])
            hits = index.search(QUERY, 100)
            assert len({hit.photo_id for hit in hits}) == len(hits) == count
    index.refresh()
    assert list(index.ids()) == [(photo_id, turn) for photo_id in range(1, count + 1)]
