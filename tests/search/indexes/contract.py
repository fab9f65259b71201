"""What every vector index must do. A backend's tests are a class with a `make_backend` fixture and this mixin."""

from __future__ import annotations

import dataclasses
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.exceptions import IndexMissing
from search.indexes.base import Document, Facets, Filter, Hit
from search.models import IndexVersion
from search.vision.colours import NAMES

WIDTH = 8
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

ids = st.integers(1, 12)
moments = st.sampled_from([NOON + timedelta(hours=hours) for hours in (-2, -1, 0, 1, 2)])
prices = st.decimals("0", "30", places=2)
colours = st.sampled_from(NAMES[:4])
# Whole numbers, so that scores are exact and ties are many; all of one length, as documents are.
vectors = st.lists(st.sampled_from([-1, 1]), min_size=WIDTH, max_size=WIDTH).map(
    lambda row: np.array(row, np.float32)
)
documents = st.builds(
    Document,
    photo_id=ids,
    generation=st.integers(0, 5),
    vector=vectors,
    product_id=st.integers(1, 4),
    category_id=st.none() | st.integers(1, 3),
    brand_id=st.none() | st.integers(1, 3),
    colours=st.lists(colours, unique=True).map(tuple),
    price=st.none() | prices,
    in_stock=st.booleans(),
    visible_from=st.none() | moments,
    visible_until=st.none() | moments,
)
filters = st.builds(
    Filter,
    categories=st.none() | st.frozensets(st.integers(1, 3)),
    brands=st.none() | st.frozensets(st.integers(1, 3)),
    colours=st.none() | st.frozensets(colours | st.just("no such colour")),
    price_min=st.none() | prices,
    price_max=st.none() | prices,
    in_stock=st.booleans(),
    visible_at=st.none() | moments,
    exclude_products=st.frozensets(st.integers(1, 4), max_size=2),
)
changes = st.one_of(
    documents,
    st.dictionaries(ids, st.integers(0, 5), min_size=1, max_size=3),
    st.sampled_from(["maintain", "reopen", "look"]),
)
# The suite runs once for each backend: nothing that one found is replayed on another.
thorough = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


def described(value: Filter | set[int]) -> str:
    """A test's name, the same in every process: a set's own is in no order."""
    if isinstance(value, set):
        return str(sorted(value))
    asked = {name: got for name, got in dataclasses.asdict(value).items() if got != getattr(Filter(), name)}
    return ",".join(f"{name}={sorted(got) if isinstance(got, frozenset) else got}" for name, got in asked.items())


def document(photo_id: int, vector=None, *, generation: int = 1, **attributes) -> Document:
    vector = np.ones(WIDTH, np.float32) if vector is None else np.array(vector, np.float32)
    attributes.setdefault("product_id", photo_id)
    return Document(photo_id=photo_id, generation=generation, vector=vector, **attributes)


def towards(axis: int) -> np.ndarray:
    return np.eye(WIDTH, dtype=np.float32)[axis]


def admits(where: Filter, it: Document) -> bool:
    """What a filter means, of one document."""
    return all(
        [
            where.categories is None or it.category_id in where.categories,
            where.brands is None or it.brand_id in where.brands,
            where.colours is None or bool(where.colours & set(it.colours)),
            where.price_min is None or (it.price is not None and it.price >= where.price_min),
            where.price_max is None or (it.price is not None and it.price <= where.price_max),
            it.in_stock or not where.in_stock,
            where.visible_at is None or it.visible_from is None or it.visible_from <= where.visible_at,
            where.visible_at is None or it.visible_until is None or where.visible_at < it.visible_until,
            it.product_id not in where.exclude_products,
        ]
    )


def exact(stored: list[Document], vector: np.ndarray, k: int, where: Filter | None) -> list[Hit]:
    matching = [it for it in stored if where is None or admits(where, it)]
    hits = [Hit(it.photo_id, it.product_id, float(vector @ it.vector)) for it in matching]
    return sorted(hits, key=lambda hit: (-hit.score, hit.photo_id))[:k]


def counted(stored: list[Document], where: Filter) -> Facets:
    """What facets mean, in sets of products."""

    def matching(**absent) -> list[Document]:
        return [it for it in stored if admits(dataclasses.replace(where, **absent), it)]

    def count(documents: list[Document], values) -> dict:
        products = defaultdict(set)
        for it in documents:
            for value in values(it):
                products[value].add(it.product_id)
        return {value: len(ids) for value, ids in products.items()}

    prices = [it.price for it in matching(price_min=None, price_max=None) if it.price is not None]
    return Facets(
        products=len({it.product_id for it in matching()}),
        categories=count(matching(categories=None), lambda it: [] if it.category_id is None else [it.category_id]),
        brands=count(matching(brands=None), lambda it: [] if it.brand_id is None else [it.brand_id]),
        colours=count(matching(colours=None), lambda it: it.colours),
        in_stock=len({it.product_id for it in matching(in_stock=False) if it.in_stock}),
        prices=(min(prices), max(prices)) if prices else None,
    )


def alike(stored: list[Document]) -> list[Document]:
    """Documents as an index meets them: what is known of a product is the same in each of its photos."""
    first: dict[int, Document] = {}
    for it in stored:
        first.setdefault(it.product_id, it)
    own = ("category_id", "brand_id", "price", "in_stock", "visible_from", "visible_until")
    return [dataclasses.replace(it, **{name: getattr(first[it.product_id], name) for name in own}) for it in stored]


def found(index, vector=None, k: int = 100, where: Filter | None = None) -> list[int]:
    index.refresh()
    return [hit.photo_id for hit in index.search(np.ones(WIDTH, np.float32) if vector is None else vector, k, where)]


def same(hits: list[Hit], expected: list[Hit]) -> bool:
    return [hit[:2] for hit in hits] == [hit[:2] for hit in expected] and np.allclose(
        [hit.score for hit in hits], [hit.score for hit in expected], atol=1e-3
    )


def new_version(width: int = WIDTH) -> IndexVersion:
    # Retired ones may be many, and the state means nothing to an index.
    return IndexVersion.objects.create(
        fingerprint="drawn", colours_version=1, width=width, state=IndexVersion.State.RETIRED
    )


class VectorIndexContract:
    """Needs a fixture `make_backend`: a function that builds the backend anew, as another process would."""

    @pytest.fixture
    def backend(self, make_backend):
        return make_backend()

    @pytest.fixture
    def index(self, db, backend):
        index = backend.open(new_version())
        index.create()
        return index

    def test_a_version_is_opened_once(self, backend, index):
        assert backend.open(index.version) is index

    def test_an_empty_index_finds_nothing(self, index):
        assert found(index) == []
        assert found(index, where=Filter(in_stock=True)) == []
        assert index.count() == 0
        assert list(index.ids()) == []

    def test_the_nearest_come_first_with_their_product_and_score(self, index):
        near, middle, far = np.full(WIDTH, 0.5), towards(0) * 1.4, -np.ones(WIDTH)
        index.upsert([document(1, far), document(2, near, product_id=7), document(3, middle)])
        index.refresh()
        hits = index.search(np.ones(WIDTH, np.float32), 2)
        assert [hit[:2] for hit in hits] == [(2, 7), (3, 3)]
        assert [hit.score for hit in hits] == pytest.approx([4, 1.4], abs=1e-2)

    def test_k_beyond_the_count_gives_all_and_none_gives_none(self, index):
        index.upsert([document(1), document(2)])
        assert found(index, k=50) == [1, 2]
        assert found(index, k=0) == []
        assert found(index, k=-1) == []

    def test_ties_go_by_photo_id(self, index):
        index.upsert([document(photo_id) for photo_id in (5, 9, 2, 30, 7)])
        index.upsert([document(photo_id) for photo_id in (40, 6, 1)])
        for k in range(1, 9):
            assert found(index, k=k) == [1, 2, 5, 6, 7, 9, 30, 40][:k]

    def test_creating_it_again_changes_nothing(self, index):
        index.upsert([document(1)])
        index.create()
        assert found(index) == [1]

    def test_a_replaced_document_moves(self, index):
        index.upsert([document(1, towards(0), in_stock=True), document(2, towards(1))])
        index.upsert([document(1, -towards(0), generation=2, in_stock=False)])
        assert found(index, towards(0)) == [2, 1]
        assert found(index, where=Filter(in_stock=True)) == [2]
        assert list(index.ids()) == [(1, 2), (2, 1)]

    def test_of_one_batch_the_newest_document_of_a_photo_holds(self, index):
        index.upsert([document(1, product_id=2, generation=2), document(1, product_id=1, generation=1)])
        index.refresh()
        assert [hit.product_id for hit in index.search(np.ones(WIDTH, np.float32), 5)] == [2]

    def test_generations_are_returned_only_for_the_given_photos(self, index):
        index.upsert([document(1, generation=4), document(2, generation=1), document(3, generation=2)])
        index.upsert([document(2, generation=7)])
        index.delete({3: 3})
        index.refresh()
        assert index.generations([2, 3, 1, 99]) == {1: 4, 2: 7}
        assert index.generations([]) == {}

    @pytest.mark.parametrize("late", [1, 2])
    def test_a_document_of_no_higher_generation_is_ignored(self, index, late):
        index.upsert([document(1, product_id=2, generation=2)])
        index.upsert([document(1, product_id=1, generation=late)])
        index.refresh()
        assert [hit.product_id for hit in index.search(np.ones(WIDTH, np.float32), 5)] == [2]

    def test_a_deleted_photo_is_gone(self, index):
        index.upsert([document(1), document(2)])
        index.delete({1: 1, 77: 1})
        assert found(index) == [2]
        assert index.count() == 1
        assert list(index.ids()) == [(2, 1)]

    def test_generations_are_asked_of_some_photos_as_they_are_now(self, index):
        index.upsert([document(1, generation=3), document(2), document(3, generation=2), document(4)])
        index.delete({2: 1})
        assert index.generations([1, 2, 3, 77]) == {1: 3, 3: 2}
        assert index.generations([]) == {}

    @pytest.mark.parametrize("late", [4, 5])
    def test_a_late_document_does_not_bring_a_deleted_photo_back(self, index, late):
        index.upsert([document(1, generation=3)])
        index.delete({1: 5, 2: 5})
        index.upsert([document(1, generation=late), document(2, generation=late)])
        assert found(index) == []
        index.upsert([document(1, generation=6)])
        assert found(index) == [1]

    def test_a_late_deletion_does_not_remove_a_newer_document(self, index):
        index.upsert([document(1, generation=3)])
        index.delete({1: 2})
        assert found(index) == [1]

    def test_nothing_to_change_changes_nothing(self, index):
        index.upsert([])
        index.delete({})
        assert found(index) == []

    @pytest.mark.parametrize("vector", [np.ones(WIDTH + 1), np.ones(1), np.ones((1, WIDTH))], ids=str)
    def test_a_vector_of_another_width_is_refused(self, index, vector):
        vector = vector.astype(np.float32)
        with pytest.raises(ValueError, match=f"width {WIDTH}"):
            index.upsert([dataclasses.replace(document(1), vector=vector)])
        with pytest.raises(ValueError, match=f"width {WIDTH}"):
            index.search(vector, 3)

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_a_batch_with_a_vector_that_is_not_finite_is_refused(self, index, number):
        vector = np.ones(WIDTH, np.float32)
        vector[3] = number
        with pytest.raises(ValueError, match="finite"):
            index.upsert([document(2), document(1, vector)])
        with pytest.raises(ValueError, match="finite"):
            index.search(vector, 3)
        assert found(index) == []

    def test_a_version_that_was_never_built_has_no_index(self, db, backend):
        never_created, never_saved = backend.open(new_version()), backend.open(IndexVersion(pk=10**9, width=WIDTH))
        for index in (never_created, never_saved):
            with pytest.raises(IndexMissing):
                index.search(np.ones(WIDTH, np.float32), 3)
            with pytest.raises(IndexMissing):
                index.count()
            with pytest.raises(IndexMissing):
                index.upsert([document(1)])

    def test_a_dropped_index_is_missing_everywhere(self, make_backend, index):
        other = make_backend().open(index.version)
        index.upsert([document(1)])
        assert found(index) == found(other) == [1]
        index.drop()
        index.drop()
        for dropped in (index, other):
            with pytest.raises(IndexMissing):
                dropped.search(np.ones(WIDTH, np.float32), 3)
        index.create()
        assert found(index) == found(other) == []

    def test_an_index_of_a_deleted_version_can_be_dropped(self, index):
        IndexVersion.objects.filter(pk=index.version.pk).delete()
        index.drop()
        with pytest.raises(IndexMissing):
            index.count()

    def test_two_processes_see_each_others_changes(self, make_backend, index):
        other = make_backend().open(index.version)
        index.upsert([document(1), document(2)])
        assert found(other) == [1, 2]
        other.delete({1: 2})
        other.upsert([document(3)])
        assert found(index) == [2, 3]
        index.maintain()
        index.upsert([document(2, -np.ones(WIDTH), generation=2)])
        assert found(other) == found(index) == found(make_backend().open(index.version)) == [3, 2]

    def test_versions_do_not_mix(self, backend, index):
        second = backend.open(new_version(width=3))
        second.create()
        second.upsert([document(9, np.ones(3))])
        index.upsert([document(1)])
        assert found(index) == [1]
        assert found(second, np.ones(3, np.float32)) == [9]

    @pytest.mark.parametrize(
        ("where", "matching"),
        [
            (Filter(), {1, 2, 3, 4}),
            (Filter(categories=frozenset({10, 11})), {1, 2}),
            (Filter(categories=frozenset()), set()),
            (Filter(brands=frozenset({20})), {1}),
            (Filter(colours=frozenset({"red", "blue"})), {1, 2}),
            (Filter(colours=frozenset({"no such colour"})), set()),
            (Filter(price_min=Decimal("9.99")), {1, 2}),
            (Filter(price_min=Decimal("9.995")), {2}),
            (Filter(price_max=Decimal("10.00")), {1, 3}),
            (Filter(price_min=Decimal("0"), price_max=Decimal("9.994")), {1, 3}),
            (Filter(in_stock=True), {1, 2, 4}),
            (Filter(visible_at=NOON), {1, 2}),
            (Filter(visible_at=NOON + timedelta(days=1)), {1, 4}),
            (Filter(exclude_products=frozenset({1, 3})), {2, 4}),
            (Filter(colours=frozenset({"red"}), in_stock=True, price_max=Decimal("9.99")), {1}),
        ],
        ids=described,
    )
    def test_each_filter_keeps_what_it_says(self, index, where, matching):
        day = timedelta(days=1)
        index.upsert(
            [
                document(1, category_id=10, brand_id=20, colours=("red", "white"), price=Decimal("9.99")),
                document(2, category_id=11, colours=("blue",), price=Decimal("25"), visible_until=NOON + day),
                document(3, in_stock=False, price=Decimal("0.00"), visible_until=NOON),
                document(4, visible_from=NOON + day),
            ]
        )
        assert set(found(index, where=where)) == matching

    @thorough
    @given(st.lists(documents, unique_by=lambda it: it.photo_id), st.tuples(vectors, st.integers(1, 8), filters))
    def test_k_are_found_under_any_filter(self, db, backend, stored, query):
        vector, k, where = query
        index = backend.open(new_version())
        index.create()
        index.upsert(stored)
        index.refresh()
        assert same(index.search(vector, k, where), exact(stored, vector, k, where))

    def test_an_empty_index_leaves_nothing_to_choose_from(self, index):
        assert index.facets(Filter()) == Facets()

    @thorough
    @given(st.lists(documents, unique_by=lambda it: it.photo_id), filters)
    def test_facets_count_each_product_once_with_the_other_conditions_kept(self, db, backend, stored, where):
        stored = alike(stored)
        index = backend.open(new_version())
        index.create()
        for part in (stored[::2], stored[1::2]):
            index.upsert(part)
            index.refresh()
        assert index.facets(where) == counted(stored, where)

    def test_facets_follow_changes(self, index):
        index.upsert([document(1, product_id=1, colours=("red",)), document(2, product_id=1, colours=("blue",))])
        index.refresh()
        assert index.facets(Filter()).colours == {"red": 1, "blue": 1}
        index.delete({2: 2})
        index.upsert([document(3, colours=("red",))])
        index.refresh()
        assert index.facets(Filter()) == Facets(products=2, colours={"red": 2}, in_stock=2)

    @pytest.mark.parametrize("share", [0.003, 0.1, 0.3, 0.5, 0.97, 1])
    def test_k_are_found_where_the_filter_refuses_the_nearest(self, index, share):
        """Documents nearest to the query are refused first, the worst case of a search that filters afterwards."""
        count = 2_000
        rng = np.random.default_rng(1)
        rows = rng.choice([-1, 1], (count, WIDTH)).astype(np.float32)
        order = np.argsort(rows @ np.ones(WIDTH), kind="stable")
        stored = [
            document(photo_id, rows[place], in_stock=photo_id <= share * count)
            for photo_id, place in enumerate(order.tolist(), start=1)
        ]
        index.upsert(stored)
        index.refresh()
        query = np.ones(WIDTH, np.float32)
        for k in (1, 10, 300):
            hits = index.search(query, k, Filter(in_stock=True))
            assert same(hits, exact(stored, query, k, Filter(in_stock=True)))

    @thorough
    @given(st.lists(changes, max_size=25), vectors, filters)
    def test_any_sequence_of_changes_leaves_what_it_should(self, db, make_backend, steps, vector, where):
        """Against a dictionary: late writes of any order, compaction and fresh processes in between."""
        index = make_backend().open(new_version())
        index.create()
        model: dict[int, tuple[int, Document | None]] = {}
        for step in steps:
            match step:
                case Document():
                    index.upsert([step])
                    if step.generation > model.get(step.photo_id, (-1, None))[0]:
                        model[step.photo_id] = (step.generation, step)
                case dict():
                    index.delete(step)
                    for photo_id, generation in step.items():
                        if generation >= model.get(photo_id, (-1, None))[0]:
                            model[photo_id] = (generation, None)
                case "maintain":
                    index.maintain()
                case "reopen":
                    index = make_backend().open(index.version)
                case "look":
                    found(index)
        stored = [it for _, it in model.values() if it is not None]
        for reader in (index, make_backend().open(index.version)):
            reader.refresh()
            assert list(reader.ids()) == sorted((it.photo_id, it.generation) for it in stored)
            assert reader.count() == len(stored)
            assert reader.generations(range(20)) == {it.photo_id: it.generation for it in stored}
            assert same(reader.search(vector, 5, where), exact(stored, vector, 5, where))

    def test_concurrent_searches_see_no_duplicate_or_deleted_photo(self, shared_database, make_backend):
        """Two processes with two searching threads each, while documents are replaced, deleted and compacted."""
        version = new_version()
        processes = [make_backend(), make_backend()]
        writer = processes[0].open(version)
        writer.create()
        writer.upsert([document(photo_id) for photo_id in range(1, 61)])
        deleted: set[int] = set()
        done = threading.Event()

        def change() -> None:
            try:
                for turn in range(2, 22):
                    writer.upsert([document(photo_id, generation=turn) for photo_id in range(31, 61)])
                    writer.delete({turn: turn})
                    writer.refresh()
                    deleted.add(turn)
                    if turn % 5 == 0:
                        writer.maintain()
            finally:
                done.set()
                connections.close_all()

        def look(backend) -> int:
            reader, searches = backend.open(version), 0
            try:
                while not done.is_set():
                    gone = set(deleted)
                    photos = found(reader)
                    assert len(photos) == len(set(photos))
                    assert not gone & set(photos)
                    assert set(photos) >= set(range(22, 61))
                    searches += 1
                return searches
            finally:
                connections.close_all()

        with ThreadPoolExecutor(5) as pool:
            looking = [pool.submit(look, backend) for backend in processes * 2]
            pool.submit(change).result()
            assert all(future.result() for future in looking)
        assert found(writer) == [1, *range(22, 61)]
