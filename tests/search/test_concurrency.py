"""What several connections do at once, on PostgreSQL: threads that write, claim, publish and build for real."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.db.models import F

from catalogue.models import Product
from search.indexes import index_of
from search.indexes.base import Document
from search.lifecycle import building
from search.models import IndexDelta, IndexEntry, IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.workplace import Databases, Workplace, assert_agreement, searchable
from tests.waiting import until

pytestmark = pytest.mark.servers

LEASE = timedelta(minutes=1)


@pytest.fixture
def place(open_workplace: Callable[[Databases, str], Workplace], postgresql_databases: Databases) -> Workplace:
    return open_workplace(postgresql_databases, "")


@pytest.fixture
def beside(place: Workplace) -> Iterator[Callable[..., Future[Any]]]:
    """Does something in a thread with a connection of its own."""
    with ThreadPoolExecutor(8) as pool:

        def connected(work: Callable[..., Any], *arguments: Any) -> Any:
            with place.connected():
                return work(*arguments)

        yield lambda work, *arguments: pool.submit(connected, work, *arguments)


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def fill(number: int) -> None:
    for seed in range(number):
        shop.product(f"p{seed}", photo(seed=seed))


# Claims -----------------------------------------------------------------------------------------------------


def test_a_claimer_passes_over_what_another_is_claiming(place: Workplace, beside: Callable[..., Future[Any]]) -> None:
    version = ledger.ensure_live_version()
    entries = IndexEntry.objects.filter(version=version)
    IndexEntry.objects.change(version, list(range(1, 11)))
    with transaction.atomic():
        mine = {entry.pk for entry in entries.claim(6, lease=LEASE)}
        # Not committed yet, and nobody waits for it.
        theirs = {entry.pk for entry in beside(lambda: entries.all().claim(6, lease=LEASE)).result(timeout=20)}
    assert (len(mine), len(theirs), mine & theirs) == (6, 4, set())


def test_two_claimers_never_share_an_entry(place: Workplace, beside: Callable[..., Future[Any]]) -> None:
    version = ledger.ensure_live_version()
    IndexEntry.objects.change(version, list(range(1, 401)))
    begin = threading.Barrier(4)

    def claim() -> list[int]:
        got: list[int] = []
        begin.wait(20)
        while entries := IndexEntry.objects.filter(version=version).claim(7, lease=LEASE):
            got += [entry.photo_id for entry in entries]
        return got

    claimed = [pk for work in [beside(claim) for _ in range(4)] for pk in work.result(timeout=60)]
    assert sorted(claimed) == list(range(1, 401))


# Publishing -------------------------------------------------------------------------------------------------


def test_a_reader_that_saw_a_sequence_number_missed_no_earlier_one(
    place: Workplace, beside: Callable[..., Future[Any]]
) -> None:
    version = ledger.ensure_live_version()
    index = index_of(version)
    vector = np.ones(version.width, np.float32)
    version.refresh_from_db()
    first = version.sequence + 1
    ended = threading.Event()

    def publish(first: int) -> None:
        for photo_id in range(first, first + 40):
            index.upsert([Document(photo_id=photo_id, generation=1, vector=vector, product_id=1)])

    def look() -> list[tuple[int, ...]]:
        seen = []
        while not ended.is_set():
            seen.append(tuple(IndexDelta.objects.order_by("sequence").values_list("sequence", flat=True)))
        return seen

    looks = beside(look)
    for work in [beside(publish, first) for first in (1, 101, 201, 301)]:
        work.result(timeout=60)
    ended.set()
    seen = looks.result(timeout=20)
    assert len(set(seen)) > 5
    for before, after in pairwise(seen):
        assert after[: len(before)] == before  # nothing has come in between
        assert after == tuple(range(first, first + len(after)))
    version.refresh_from_db()
    assert version.sequence == first + 159
    assert len(searchable()) == 160


# Changes of many photos -------------------------------------------------------------------------------------


def raised(version: IndexVersion, photo_id: int) -> None:
    IndexEntry.objects.change(version, [photo_id])


def test_a_worker_and_a_change_of_many_photos_do_not_wait_for_each_other(
    place: Workplace, beside: Callable[..., Future[Any]]
) -> None:
    version = ledger.ensure_live_version()
    raised(version, 1)
    raised(version, 1)
    raised(version, 2)
    # The worker settles a generation at a time, and the second photo has the lower one.
    claimed = list(IndexEntry.objects.order_by("generation"))
    assert [entry.photo_id for entry in claimed] == [2, 1]
    with transaction.atomic():
        raised(version, 1)
        settled = beside(ledger.settle, claimed, IndexEntry.State.INDEXED)
        until(waits_for_a_lock)
        raised(version, 2)
    settled.result(timeout=20)
    assert set(IndexEntry.objects.values_list("state", flat=True)) == {"pending"}


@pytest.mark.parametrize("work", ["change", "release"])
def test_writers_of_several_entries_lock_them_in_order(
    place: Workplace, beside: Callable[..., Future[Any]], work: str
) -> None:
    version = ledger.ensure_live_version()
    raised(version, 2)
    raised(version, 1)  # stored behind the other
    entries = list(IndexEntry.objects.order_by("pk"))
    with transaction.atomic():
        raised(version, 1)
        if work == "change":
            other = beside(IndexEntry.objects.change, version, [2, 1])
        else:
            other = beside(ledger.release, entries)
        until(waits_for_a_lock)
        raised(version, 2)
    other.result(timeout=20)


# A change while a build begins ------------------------------------------------------------------------------


def change(product: Product) -> None:
    Product.objects.filter(pk=product.pk).update(stock=F("stock") - 1)


def delete(product: Product) -> None:
    product.delete()


def add(_product: Product) -> None:
    shop.product("new", photo("hat"))


@pytest.mark.parametrize("write", [change, delete, add])
def test_a_change_in_progress_when_a_build_begins_reaches_the_version(
    place: Workplace, beside: Callable[..., Future[Any]], write: Callable[[Product], None]
) -> None:
    made = shop.product("a", photo(), stock=1)
    fill(3)
    indexing.reconcile()
    before = ledger.ensure_live_version()
    written, finish = threading.Event(), threading.Event()

    def writer() -> None:
        with transaction.atomic():
            write(Product.objects.get(pk=made.pk))
            written.set()
            assert finish.wait(60)

    writing = beside(writer)
    assert written.wait(20)
    build = beside(building.rebuild)
    # The build looks who is writing before it reads what there is; without that it would be done by now.
    until(lambda: build.done() or waits_for_a_lock())
    assert not build.done()
    assert IndexVersion.objects.live() == before  # and whoever searches does not wait
    finish.set()
    writing.result(timeout=20)
    assert build.result(timeout=60).pk != before.pk
    indexing.reconcile()
    assert_agreement()
    deltas = IndexDelta.objects.filter(version=ledger.ensure_live_version()).exclude(vector=None)
    stock = {delta.photo_id: delta.attributes["in_stock"] for delta in deltas}
    wanted = {image.pk: product.in_stock for product in Product.objects.all() for image in product.photos.all()}
    assert stock == wanted


def test_a_save_succeeds_while_an_unfinished_version_is_dropped(
    place: Workplace, beside: Callable[..., Future[Any]], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    unfinished = IndexVersion.objects.create(fingerprint="another", colours_version=1, width=5)
    written, finish = threading.Event(), threading.Event()

    def writer() -> None:
        with transaction.atomic():
            made.save()
            written.set()
            assert finish.wait(60)

    writing = beside(writer)
    assert written.wait(20)
    build = beside(building.rebuild)
    until(lambda: build.done() or waits_for_a_lock())
    finish.set()
    writing.result(timeout=20)
    build.result(timeout=60)
    assert not IndexVersion.objects.filter(pk=unfinished.pk, state=IndexVersion.State.BUILDING).exists()
    indexing.reconcile()
    assert_agreement()


def test_a_build_notices_a_photo_that_went_without_a_word(place: Workplace) -> None:
    fill(3)
    indexing.reconcile()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalogue_productimage WHERE id = (SELECT min(id) FROM catalogue_productimage)")
    assert ledger.add_gone(ledger.ensure_live_version()) == 1
    indexing.sync()
    assert_agreement()
