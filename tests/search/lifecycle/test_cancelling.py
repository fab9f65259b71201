"""Builds that are cancelled, taken over, and cut off between any two steps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from catalogue.models import Product
from jobs.exceptions import JobCancelled, JobRunning
from search import worker
from search.exceptions import BuildRefused, NothingToCancel
from search.indexes import index_of
from search.lifecycle import activation, audit, building, gate, jobs, rollback, upkeep
from search.models import IndexEntry, IndexJob, IndexVersion
from search.reading import results
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.builds import unfinished
from tests.search.grid import Grid
from tests.search.lifecycle.test_building import many


@pytest.fixture(autouse=True)
def small_steps(two_grids: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.running.NOTE", 0.0)  # a job notices at the very next step that it was cancelled
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


def cancelling(at: str) -> Any:
    """Progress that cancels the build at a stage."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == at and done:
            building.cancel()

    return progress


def cancelled_at(stage: str, alias: str = "default") -> IndexJob:
    with pytest.raises(JobCancelled):
        building.rebuild(alias, cancelling(stage))
    return IndexJob.objects.latest("pk")


# Cancelling -------------------------------------------------------------------------------------------------


def test_a_rebuild_that_is_cancelled_while_it_indexes_is_discarded(photos: IndexVersion) -> None:
    job = cancelled_at("index", "other")
    build = IndexVersion.objects.get(fingerprint="other")
    assert (job.state, build.state, live()) == ("cancelled", "retired", photos)
    assert upkeep.drop_retired(timedelta()) == 1
    shop.product("new", photo("hat"))
    assert indexing.sync().indexed == 1


def test_a_rebuild_that_is_cancelled_while_it_embeds_leaves_no_version(photos: IndexVersion) -> None:
    assert cancelled_at("embed", "other").state == "cancelled"
    assert IndexVersion.objects.get() == photos


def test_a_rebuild_that_is_cancelled_while_it_fits_leaves_no_version(photos: IndexVersion) -> None:
    assert cancelled_at("fit", "other").state == "cancelled"
    assert IndexVersion.objects.get() == photos


@pytest.mark.parametrize(("stage", "calls"), [("embed", 2), ("fit", 0), ("index", 0)])
def test_a_restarted_rebuild_does_not_embed_a_photo_twice(
    photos: IndexVersion, grid: type[Grid], stage: str, calls: int
) -> None:
    cancelled_at(stage, "other")  # of six photos, four are embedded when it notices
    upkeep.delete_orphans()
    grid.calls = 0
    assert building.rebuild("other") == live()
    assert grid.calls == calls


def test_a_worker_whose_rebuild_is_cancelled_does_what_else_is_asked(
    photos: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.ask(IndexJob.Kind.REBUILD)
    tasks = worker.WorkerTasks(lambda: False)
    monkeypatch.setattr(tasks, "progress", cancelling("index"))
    tasks.run_jobs()
    jobs.ask(IndexJob.Kind.SYNC)
    tasks.run_jobs()
    assert list(IndexJob.objects.values_list("kind", "state")) == [("sync", "done"), ("rebuild", "cancelled")]


def test_a_queued_rebuild_can_be_cancelled(photos: IndexVersion) -> None:
    job, _new = jobs.ask(IndexJob.Kind.REBUILD)
    assert building.cancel() is None
    job.refresh_from_db()
    assert (job.state, IndexJob.objects.take()) == ("cancelled", None)


def test_an_interrupted_rebuild_can_be_discarded(photos: IndexVersion) -> None:
    build = unfinished()
    assert building.cancel() == build
    build.refresh_from_db()
    assert build.state == "retired"
    assert building.rebuild() == live() != build


def test_without_a_rebuild_there_is_nothing_to_cancel(photos: IndexVersion) -> None:
    with pytest.raises(NothingToCancel, match="no rebuild to cancel"):
        building.cancel()


def test_a_version_that_is_discarded_while_it_is_measured_does_not_go_live(photos: IndexVersion) -> None:
    def discard(stage: str, done: int, total: int) -> None:
        if stage == "check" and not done:
            IndexVersion.objects.filter(state="ready").update(state="retired", retired=timezone.now())

    with pytest.raises(JobCancelled, match="was discarded"):
        building.rebuild(progress=discard)
    assert live() == photos


# Two at once ------------------------------------------------------------------------------------------------


def test_a_second_rebuild_is_refused_while_one_runs(photos: IndexVersion) -> None:
    def start_second(stage: str, done: int, total: int) -> None:
        if stage == "index":
            with pytest.raises(JobRunning, match="Another job is running: rebuild"):
                building.rebuild()

    assert building.rebuild(progress=start_second) == live()
    assert IndexVersion.objects.count() == 2


def test_a_process_whose_job_was_taken_over_ends_with_the_same_version(photos: IndexVersion) -> None:
    taken: list[IndexVersion] = []

    def hang(stage: str, done: int, total: int) -> None:
        if stage == "index" and not taken:
            IndexJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
            taken.append(building.rebuild())

    assert building.rebuild(progress=hang) == taken[0] == live()
    assert IndexVersion.objects.count() == 2
    assert audit.run().agree


@pytest.mark.django_db
def test_the_upkeep_waits_for_a_job_that_runs() -> None:
    many(60)
    indexing.reconcile()
    before = live()
    with jobs.recorded(IndexJob.Kind.SYNC):
        assert upkeep.maintain() is None
        upkeep.catch_up()
    assert live() == before


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
def test_a_build_interrupted_at_any_step_is_continued_without_loss(
    photos: IndexVersion, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(ledger, "release", lambda _entries: None)
        dead.setattr(IndexJob, "end", lambda *_: None)
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
    IndexJob.objects.filter(state="running").update(leased_until=long_ago)
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


def test_changes_stay_pending_if_the_process_dies_after_the_switch(
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
