"""The index on a real OpenSearch: the contract, on the newest and the oldest version that is tested, and its own."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from search.exceptions import DocumentsRejected, IndexMissing, VectorIndexError
from search.indexes.base import Filter
from search.indexes.opensearch import bulk, queries
from search.indexes.opensearch.index import OpenSearchIndex
from search.models import IndexVersion
from tests.search.indexes.clusters import Asked, MakeBackend, backends
from tests.search.indexes.contract import WIDTH, VectorIndexContract, document, exact, found, new_version, same
from tests.servers.opensearch import OpenSearch

pytestmark = pytest.mark.servers

QUERY = np.ones(WIDTH, np.float32)


class TestOpenSearchIndex(VectorIndexContract):
    @pytest.fixture
    def make_backend(self, opensearch_url: str) -> Iterator[MakeBackend]:
        yield from backends(opensearch_url)


class TestOlderOpenSearchIndex(VectorIndexContract):
    @pytest.fixture
    def make_backend(self, older_opensearch: OpenSearch) -> Iterator[MakeBackend]:
        yield from backends(older_opensearch.url)


@pytest.fixture
def make_backend(db: None, opensearch_url: str) -> Iterator[MakeBackend]:
    yield from backends(opensearch_url)


@pytest.fixture
def index(make_backend: MakeBackend) -> OpenSearchIndex:
    index = make_backend().open(new_version())
    index.create()
    return index


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked.of(monkeypatch)


# Answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["cosine", "l2"])
def test_scores_are_inner_products_in_every_space(make_backend: MakeBackend, space: str) -> None:
    index = make_backend(space=space).open(new_version())
    index.create()
    rows = np.random.default_rng(3).normal(size=(200, WIDTH)).astype(np.float32)
    rows *= np.sqrt(2) / np.linalg.norm(rows, axis=1, keepdims=True)
    stored = [document(photo_id, row) for photo_id, row in enumerate(rows, start=1)]
    index.upsert(stored)
    index.refresh()
    for query in (rows[7] / 2, rows[8] * 3, -rows[9]):
        hits, expected = index.search(query, 20), exact(stored, query, 20, None)
        assert same(hits, expected)


def test_an_index_goes_on_in_the_space_that_it_was_built_in(make_backend: MakeBackend) -> None:
    version = new_version()
    built = make_backend(space="l2").open(version)
    built.create()
    built.upsert([document(1, QUERY / 2), document(2, -QUERY)])
    built.refresh()
    later = make_backend(space="cosine").open(version)
    assert [hit.score for hit in later.search(QUERY, 2)] == pytest.approx([4, -8], abs=1e-3)


def test_a_query_without_length_finds_all_alike(index: OpenSearchIndex) -> None:
    index.upsert([document(photo_id, -QUERY if photo_id == 3 else QUERY) for photo_id in (5, 3, 9)])
    index.refresh()
    assert [hit[::2] for hit in index.search(QUERY * 0, 2)] == [(3, 0), (5, 0)]


def test_a_document_without_length_is_refused(index: OpenSearchIndex) -> None:
    with pytest.raises(ValueError, match="without length"):
        index.upsert([document(2), document(1, QUERY * 0)])
    assert found(index) == []


def test_a_search_is_one_request_where_the_graph_has_the_answer(index: OpenSearchIndex, asked: Asked) -> None:
    rng = np.random.default_rng(1)
    index.upsert([document(photo_id, rng.normal(size=WIDTH)) for photo_id in range(1, 101)])
    index.refresh()
    index.search(QUERY, 10)
    asked.clear()
    index.search(QUERY, 10, Filter(in_stock=True))
    [body] = asked.bodies("_search")
    assert body["query"]["knn"]["vector"]["k"] == 512
    assert body["query"]["knn"]["vector"]["filter"]
    assert body["size"] == 11


def test_copies_of_a_photo_are_ordered_by_their_ids(index: OpenSearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are more of them than the graph is followed for at first, or than one answer may hold."""
    index.upsert([document(photo_id) for photo_id in range(1_000, 0, -1)] + [document(2_000, -QUERY)])
    index.wide = 20
    assert found(index, k=15) == list(range(1, 16))
    assert found(index, k=1_001) == [*range(1, 1_001), 2_000]
    monkeypatch.setattr(queries, "MOST", 64)
    assert found(index, k=15) == list(range(1, 16))
    assert found(index, k=500) == list(range(1, 501))
    assert [photo_id for photo_id, _generation in index.ids()] == [*range(1, 1_001), 2_000]


# Writing ----------------------------------------------------------------------------------------------------


def test_one_document_that_is_refused_fails_alone_with_a_reason(index: OpenSearchIndex) -> None:
    documents = [document(1), document(2, price=Decimal("92233720368547758.08")), document(3)]
    with pytest.raises(DocumentsRejected) as rejected:
        index.upsert(documents)
    assert list(rejected.value.reasons) == [2]
    assert "out of range" in rejected.value.reasons[2]
    assert rejected.value.permanent
    assert found(index) == [1, 3]


def test_where_all_documents_are_refused_it_is_not_their_fault(index: OpenSearchIndex) -> None:
    index.version = IndexVersion(pk=index.version.pk, width=WIDTH + 1)
    wider = [document(photo_id, np.ones(WIDTH + 1)) for photo_id in (1, 2)]
    with pytest.raises(VectorIndexError, match="dimension") as met:
        index.upsert(wider)
    assert not isinstance(met.value, DocumentsRejected)
    assert not met.value.permanent


def test_many_documents_go_in_requests_of_a_bounded_size(
    index: OpenSearchIndex, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_BYTES", 5_000)
    index.upsert([document(photo_id) for photo_id in range(1, 201)])
    sizes = [len(body) for body in asked.raw("_bulk")]
    assert len(sizes) > 5
    assert max(sizes) <= 5_000
    assert found(index, k=300) == list(range(1, 201))


def test_neither_documents_nor_deletions_make_an_index_that_is_gone(
    index: OpenSearchIndex, opensearch_url: str
) -> None:
    index.drop()
    for write in (lambda: index.upsert([document(1)]), lambda: index.delete({1: 2})):
        with pytest.raises(IndexMissing, match="rebuild_index"):
            write()
    names = index.cluster.request("GET", f"/_cat/indices/{index.prefix}*", format="json")
    assert names == []


def test_an_older_write_is_refused_long_after_a_deletion(index: OpenSearchIndex) -> None:
    index.upsert([document(1, generation=1)])
    index.delete({1: 5})
    settings = index.cluster.request("GET", f"/{index.name}/_settings")[index.name]["settings"]["index"]
    assert settings["gc_deletes"] == "1h"


# The life of an index ---------------------------------------------------------------------------------------


def settings_of(index: OpenSearchIndex) -> dict[str, Any]:
    return index.cluster.request("GET", f"/{index.name}/_settings")[index.name]["settings"]["index"]


def building(**fields: Any) -> IndexVersion:
    return IndexVersion.objects.create(fingerprint="drawn", colours_version=1, width=WIDTH, **fields)


def leads_to(index: OpenSearchIndex) -> list[str]:
    found = index.cluster.request("GET", f"/_alias/{index.prefix}", accepting=[404])
    return [] if "error" in found else sorted(found)


def test_a_version_being_built_is_not_refreshed_until_it_is_activated(make_backend: MakeBackend) -> None:
    index = make_backend(replicas=2).open(building(state="building"))
    index.create()
    assert (settings_of(index)["refresh_interval"], settings_of(index)["number_of_replicas"]) == ("-1", "0")
    index.upsert([document(1)])
    assert index.count() == 0
    index.activate()
    assert index.count() == 1
    assert (settings_of(index)["refresh_interval"], settings_of(index)["auto_expand_replicas"]) == ("1s", "0-2")
    assert leads_to(index) == []  # until the database says that it is live
    index.publish()
    assert leads_to(index) == [index.name]


def test_the_first_version_is_live_from_the_start(make_backend: MakeBackend) -> None:
    index = make_backend().open(building(state="live"))
    index.create()
    assert settings_of(index)["refresh_interval"] == "1s"
    assert leads_to(index) == [index.name]


def test_the_alias_moves_in_one_step_and_leaves_every_other_index(make_backend: MakeBackend) -> None:
    backend = make_backend()
    first, second, third = (backend.open(new_version()) for _ in range(3))
    for index in (first, second, third):
        index.create()
        index.publish()
        assert leads_to(index) == [index.name]
    # As somebody may do by hand:
    add = [
        {"add": {"index": first.name, "alias": first.prefix}},
        {"add": {"index": first.name, "alias": third.alias}},
    ]
    first.cluster.request("POST", "/_aliases", {"actions": add})
    assert leads_to(first) == sorted([first.name, third.name])
    third.upsert([document(1)])
    assert (found(first), found(third)) == ([], [1])
    third.publish()
    assert leads_to(third) == [third.name]


def test_an_index_of_another_database_is_left_alone(make_backend: MakeBackend) -> None:
    version = new_version()
    others = make_backend().open(version)
    others.create()
    others.upsert([document(1)])
    ours = make_backend().open(IndexVersion(pk=version.pk, width=WIDTH))
    with pytest.raises(VectorIndexError, match="OPENSEARCH_PREFIX"):
        ours.create()
    assert found(others) == [1]


def test_an_index_that_was_made_for_a_version_that_never_was_gives_way(make_backend: MakeBackend) -> None:
    version = new_version()
    make_backend().open(version).create()
    ours = make_backend().open(IndexVersion(pk=version.pk, width=3))
    ours.create()
    ours.upsert([document(1, np.ones(3))])
    assert found(ours, np.ones(3, np.float32)) == [1]
