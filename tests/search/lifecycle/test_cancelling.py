"""Builds that are paused, gone on with, given up, shared, and cut off between any two steps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from catalogue.models import Product
from search import worker
from search.exceptions import BuildPaused, BuildRefused, BuildRunning
from search.indexes import index_of
from search.lifecycle import activation, audit, building, gate, jobs, rollback, upkeep
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.reading import results
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid
from tests.search.lifecycle.test_building import many


@pytest.fixture(autouse=True)
def small_steps(two_grids: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "NOTE", 0.0)  # a pause is obeyed at the very next step
    monkeypatch.setattr(Grid, "batch_size", 2)
    monkeypatch.setattr(indexing, "CLAIM", 4)


@pytest.fixture
def photos(db: None) -> IndexVersion:
    """Six photos, indexed."""
    for seed in range(6):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    return live()


def live() -> IndexVersion:
    version = IndexVersion.objects.live()
    assert version is not None
    return version


def pausing(at: str) -> Any:
    """Progress that pauses the build at a stage."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == at:
            jobs.pause()

    return progress


def paused_at(stage: str, alias: str = "default") -> IndexJob:
    with pytest.raises(BuildPaused, match="rebuild_index --resume"):
        building.rebuild(alias, pausing(stage))
    run = jobs.paused()
    assert run is not None
    return run


# Pausing ----------------------------------------------------------------------------------------------------


def test_a_paused_build_is_left_alone_and_new_photos_are_indexed(photos: IndexVersion, grid: type[Grid]) -> None:
    paused_at("index", "other")
    build = IndexVersion.objects.get(state="building")
    assert IndexEntry.objects.filter(version=build, state="pending", leased_until=None).count() == 2
    shop.product("new", photo("hat"))
    assert indexing.sync().indexed == 1
    assert index_of(live()).count() == 7
    assert IndexEntry.objects.filter(version=build, state="pending").count() == 3
    assert live() == photos


def test_what_was_embedded_before_the_pause_is_kept(photos: IndexVersion, grid: type[Grid]) -> None:
    paused_at("embed", "other")  # after one batch; it is found paused after the next
    assert Embedding.objects.filter(fingerprint="other").count() == 4
    grid.calls = 0
    building.rebuild("other")
    assert grid.calls == 2


def test_the_worker_goes_on_with_a_paused_build_as_it_was_asked_for(photos: IndexVersion) -> None:
    run = paused_at("fit", "other")
    assert jobs.resume() == run
    run.refresh_from_db()
    assert (run.state, run.asked, jobs.paused()) == ("waiting", True, None)
    taken = jobs.take()
    assert taken == run
    worker.perform(taken)
    run.refresh_from_db()
    assert (run.state, live().fingerprint) == ("done", "other")


def test_the_next_rebuild_goes_on_with_a_paused_build(photos: IndexVersion) -> None:
    run = paused_at("index")
    build = IndexVersion.objects.get(state="building")
    assert building.rebuild() == build == live()
    run.refresh_from_db()
    assert (run.state, run.reason) == ("cancelled", "Another rebuild has gone on with it.")


def test_a_request_takes_up_what_is_paused(photos: IndexVersion) -> None:
    paused_at("index")
    build = IndexVersion.objects.get(state="building")
    jobs.ask(IndexJob.Kind.REBUILD)
    taken = jobs.take()
    assert taken is not None
    worker.perform(taken)
    assert (live(), jobs.paused()) == (build, None)


@pytest.mark.django_db
def test_the_worker_does_not_take_up_a_paused_build_by_itself() -> None:
    many(60)
    indexing.reconcile()
    before = live()
    paused_at("index")
    assert upkeep.maintain() is None
    upkeep.catch_up()
    assert (live(), jobs.take()) == (before, None)


def test_a_worker_whose_build_is_paused_goes_on_with_what_else_is_asked(photos: IndexVersion) -> None:
    jobs.ask(IndexJob.Kind.REBUILD)
    taken = jobs.take()
    assert taken is not None
    worker.perform(taken, pausing("index"))  # raises nothing
    jobs.ask(IndexJob.Kind.SYNC)
    assert jobs.take() is not None


def test_a_build_that_is_not_written_down_is_paused_too(photos: IndexVersion) -> None:
    with jobs.recorded(IndexJob.Kind.SYNC):  # holds the place
        paused_at("index")
    assert jobs.paused() is not None


def test_a_build_whose_process_has_died_can_be_paused(photos: IndexVersion) -> None:
    building._begin(building.draft("other"), lambda *_: None)
    run = jobs.pause()
    assert run is not None
    assert run.options == {"model": "other"}
    assert indexing.sync().total == 0


def test_where_nothing_is_built_there_is_nothing_to_pause(photos: IndexVersion) -> None:
    assert jobs.pause() is None
    assert jobs.resume() is None


def test_a_build_that_is_paused_and_gone_on_with_at_once_is_one_build(photos: IndexVersion) -> None:
    run, _new = jobs.ask(IndexJob.Kind.REBUILD)

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "fit" and done == 0:  # before this process sees the pause
            jobs.pause()
            jobs.resume()

    taken = jobs.take()
    assert taken is not None
    building.rebuild(progress=progress, run=taken)
    run.refresh_from_db()
    assert (run.state, run.version_id) == ("done", live().pk)
    assert jobs.take() is None


def test_a_build_that_is_paused_and_given_up_at_once_does_not_go_live(photos: IndexVersion) -> None:
    run, _new = jobs.ask(IndexJob.Kind.REBUILD)

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "fit" and done == 0:
            jobs.pause()
            jobs.resume()
            jobs.cancel(run.pk)

    taken = jobs.take()
    assert taken is not None
    with pytest.raises(BuildPaused, match="given up"):
        building.rebuild(progress=progress, run=taken)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert live() == photos


def test_a_pause_pressed_twice_is_one(photos: IndexVersion) -> None:
    run = paused_at("index")
    assert jobs.pause() == run
    assert IndexJob.objects.count() == 1


# Giving up --------------------------------------------------------------------------------------------------


def test_a_paused_build_can_be_discarded(photos: IndexVersion) -> None:
    run = paused_at("index")
    build = IndexVersion.objects.get(state="building")
    assert building.discard() == build
    run.refresh_from_db()
    build.refresh_from_db()
    assert (run.state, build.state, jobs.paused()) == ("cancelled", "retired", None)
    assert upkeep.drop_retired(timedelta()) == 1
    assert building.rebuild() == live() != build


def test_a_build_under_way_is_not_discarded(photos: IndexVersion) -> None:
    building._begin(building.draft("default"), lambda *_: None)
    with jobs.recorded(IndexJob.Kind.REBUILD), pytest.raises(BuildRunning, match="pause it first"):
        building.discard()
    assert IndexVersion.objects.filter(state="building").exists()


def test_where_there_is_no_build_there_is_nothing_to_discard(photos: IndexVersion) -> None:
    with pytest.raises(BuildRunning, match="no build to be discarded"):
        building.discard()


def test_a_build_that_was_discarded_meanwhile_does_not_go_live(photos: IndexVersion) -> None:
    def discard(stage: str, done: int, total: int) -> None:
        if stage == "check" and not done:
            IndexVersion.objects.filter(state="ready").update(state="retired", retired=timezone.now())

    with pytest.raises(BuildRunning, match="discarded meanwhile"):
        building.rebuild(progress=discard)
    assert live() == photos


# Two at once ------------------------------------------------------------------------------------------------


def test_of_two_rebuilds_at_once_the_second_shares_the_work_and_says_so(
    photos: IndexVersion, caplog: pytest.LogCaptureFixture
) -> None:
    second: list[IndexVersion] = []

    def begin_second(stage: str, done: int, total: int) -> None:
        if stage == "index" and not second:
            second.append(live())  # but once
            second[0] = building.rebuild()

    assert building.rebuild(progress=begin_second) == second[0] == live()
    assert "Another process is at it" in caplog.text
    assert IndexVersion.objects.count() == 2


def test_what_another_has_built_while_photos_were_embedded_is_not_built_again(photos: IndexVersion) -> None:
    second: list[IndexVersion] = []

    def begin_second(stage: str, done: int, total: int) -> None:
        if stage == "embed" and not second:
            second.append(live())
            second[0] = building.rebuild("other")

    assert building.rebuild("other", begin_second) == second[0] == live()
    assert IndexVersion.objects.count() == 2


def test_two_rebuilds_started_at_once_end_with_one_version_of_all_photos(
    shared_database: None, settings: Any, grid: type[Grid], django_db_blocker: Any
) -> None:
    for seed in range(8):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    start = threading.Barrier(2)

    def build() -> int:
        try:
            start.wait()
            return building.rebuild("other").pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        built = [future.result() for future in [pool.submit(build) for _process in range(2)]]
    assert built == [live().pk] * 2
    assert IndexVersion.objects.exclude(state="retired").count() == 1
    assert audit.run().agree


def test_search_answers_throughout_a_rebuild_and_on_the_way_back(
    shared_database: None, settings: Any, django_db_blocker: Any
) -> None:
    made = [shop.product(f"p{seed}", photo(seed=seed)) for seed in range(8)]
    indexing.reconcile()
    done = threading.Event()
    searched: list[int] = []

    def look() -> None:
        try:
            while not done.is_set():
                found = results.similar_to(made[0], 8)
                assert len(found) == 7
                searched.append(live().pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            first, second = live(), building.rebuild()
            Product.objects.filter(sku="p3").update(price=7)
            rollback.roll_back()
            wait_for(lambda: searched[-1:] == [first.pk], looking)
        finally:
            done.set()
        looking.result()
    assert {first.pk, second.pk} >= set(searched)


def wait_for(condition: Any, looking: Any) -> None:
    until = timezone.now() + timedelta(seconds=20)
    while not condition() and not looking.done() and timezone.now() < until:
        threading.Event().wait(0.01)


# Crashes ----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process has ended at once: nothing of it does anything any more."""


class Death:
    """Progress that ends its process at the n-th step, so that nothing is given back or written down."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0
        self.stages: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.stages.append(stage)
        if len(self.stages) == self.at:
            raise Killed


STEPS = 12


def test_all_steps_of_a_build_are_cut_off_in_turn(photos: IndexVersion) -> None:
    whole = Death(at=0)
    building.rebuild("other", whole)
    assert len(whole.stages) == STEPS, whole.stages
    assert set(whole.stages) == {"embed", "fit", "index", "check"}


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_build_that_is_cut_off_at_any_step_is_gone_on_with_and_loses_nothing(
    photos: IndexVersion, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(ledger, "release", lambda _entries: None)
        dead.setattr(jobs.Record, "end", lambda *_: None)
        with pytest.raises(Killed):
            building.rebuild("other", Death(step))
    assert live() == photos
    assert index_of(photos).count() == 6

    # The catalogue goes on while nobody builds; then leases run out, and another process comes.
    Product.objects.get(sku="p0").delete()
    Product.objects.filter(sku="p1").update(price=3)
    shop.product("new", photo("hat"))
    long_ago = timezone.now() - timedelta(hours=1)
    IndexEntry.objects.exclude(leased_until=None).update(leased_until=long_ago)
    IndexJob.objects.filter(state="running").update(seen=long_ago)
    version = building.rebuild("other")
    assert version == live()
    assert version.fingerprint == "other"
    assert audit.run().agree
    assert index_of(version).count() == 6
    assert set(IndexJob.objects.filter(kind="rebuild").values_list("state", flat=True)) == {"failed", "done"}


def test_a_build_that_ends_after_the_measuring_is_switched_to_by_the_next(
    photos: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any, **options: Any) -> Any:
        raise Killed

    with monkeypatch.context() as dead, pytest.raises(Killed):
        dead.setattr(IndexVersion, "refresh_from_db", killed)
        building.rebuild()
    assert live() == photos
    ready = IndexVersion.objects.get(state="ready")
    assert building.rebuild() == ready == live()


def test_a_process_that_ends_right_after_the_switch_leaves_what_came_meanwhile_pending(
    photos: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> Any:
        raise Killed

    def change_at_last(stage: str, done: int, total: int) -> None:
        if stage == "check" and done:
            monkeypatch.setattr(activation, "bring_up_to_date", change)

    def change(*args: Any) -> None:
        """Between the last look and the switch."""
        Product.objects.filter(sku="p1").update(price=3)
        monkeypatch.setattr(indexing, "sync_version", killed)

    with monkeypatch.context(), pytest.raises(Killed):
        building.rebuild(progress=change_at_last)
    monkeypatch.undo()
    assert live() != photos
    assert IndexEntry.objects.filter(version=live(), state="pending").count() == 1
    indexing.sync()
    assert audit.run().agree


def test_a_refused_build_survives_as_it_is(photos: IndexVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "RECALL_AT_10", 1.1)
    for _try in range(2):
        with pytest.raises(BuildRefused):
            building.rebuild()
    assert IndexVersion.objects.filter(state="ready").count() == 1
