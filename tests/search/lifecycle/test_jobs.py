"""What staff ask the worker for, how far it is, and whether there is a worker at all."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.utils import timezone

from jobs.exceptions import JobCancelled, JobRunning, WorkStopped
from jobs.models import LEASE, MOST_ATTEMPTS
from search import worker
from search.exceptions import BuildInterrupted
from search.lifecycle import building, jobs
from search.models import IndexedMinute, IndexEntry, IndexJob, IndexVersion, Worker
from search.worker import WorkerTasks
from search.writing import indexing, ledger, throughput
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]

SYNC, REBUILD = IndexJob.Kind.SYNC, IndexJob.Kind.REBUILD


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def tasks(stop: threading.Event) -> WorkerTasks:
    return WorkerTasks(stop.is_set)


def only() -> IndexJob:
    return IndexJob.objects.get()


def leave(run: IndexJob) -> None:
    """As if the job's process had died a while ago."""
    IndexJob.objects.filter(pk=run.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


# Asking -----------------------------------------------------------------------------------------------------


def test_what_is_asked_for_waits_with_the_name_of_who_asked() -> None:
    operator = User.objects.create_user("operator")
    run, new = jobs.ask(SYNC, operator)
    assert new
    assert (run.state, run.asked, run.asked_by) == ("waiting", True, operator)


def test_two_who_ask_for_the_same_get_one_request() -> None:
    first, _new = jobs.ask(REBUILD)
    assert jobs.ask(REBUILD) == (first, False)
    assert IndexJob.objects.count() == 1


def test_two_who_ask_in_the_same_moment_get_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _new = jobs.ask(REBUILD)
    # Neither has seen the other's: the database decides.
    monkeypatch.setattr(IndexJob.objects, "filter", blind(IndexJob.objects.filter))
    assert jobs.ask(REBUILD) == (first, False)
    assert IndexJob.objects.count() == 1


def blind(find: Any) -> Any:
    """The first looks, for a run that was left and for one that stands, find nothing."""
    looks = iter([IndexJob.objects.none()] * 2)
    return lambda **conditions: next(looks, None) or find(**conditions)


def test_while_one_kind_waits_the_other_cannot_be_asked_for() -> None:
    first, _new = jobs.ask(SYNC)
    assert jobs.ask(REBUILD) == (first, False)


def test_a_rebuild_can_wait_behind_a_sync_that_runs() -> None:
    jobs.ask(SYNC)
    assert IndexJob.objects.take() is not None
    _run, new = jobs.ask(REBUILD)
    assert new
    assert IndexJob.objects.take() is None


def test_a_queued_job_can_be_cancelled() -> None:
    job, _new = jobs.ask(SYNC)
    assert jobs.cancel(job.pk) == 1
    assert (only().state, only().reason) == ("cancelled", "Cancelled.")
    assert IndexJob.objects.take() is None
    assert jobs.cancel(job.pk) == 0


def test_a_running_job_that_is_cancelled_ends_at_its_next_step() -> None:
    jobs.ask(SYNC)
    with pytest.raises(JobCancelled), jobs.recorded(SYNC, job=IndexJob.objects.take()) as record:
        assert jobs.cancel(only().pk) == 1
        record("index", 1, 2)
        pytest.fail("It went on.")
    assert only().state == "cancelled"


# Taking -----------------------------------------------------------------------------------------------------


def test_a_request_is_taken_once() -> None:
    jobs.ask(SYNC)
    taken = IndexJob.objects.take()
    assert taken is not None
    assert taken.state == "running"
    assert IndexJob.objects.take() is None


def test_looking_for_requests_costs_one_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert IndexJob.objects.due() is None


def test_what_a_dead_worker_left_is_taken_up_by_the_next() -> None:
    run, _new = jobs.ask(REBUILD)
    assert IndexJob.objects.take() == run
    leave(run)
    assert IndexJob.objects.take() == run


def test_a_request_that_ends_its_workers_is_written_off_after_three() -> None:
    run, _new = jobs.ask(SYNC)
    for _attempt in range(MOST_ATTEMPTS):
        assert IndexJob.objects.take() == run
        leave(run)
    assert IndexJob.objects.take() is None
    assert (only().state, only().reason) == ("failed", "Its process ended before it was done.")


def test_a_worker_that_stops_in_good_order_costs_no_attempt() -> None:
    run, _new = jobs.ask(SYNC)
    for _attempt in range(MOST_ATTEMPTS + 1):
        taken = IndexJob.objects.take()
        assert taken == run
        with pytest.raises(WorkStopped), jobs.recorded(SYNC, job=taken):
            raise WorkStopped("stop")
    assert only().state == "waiting"


def test_what_is_asked_for_does_not_wait_behind_a_dead_command() -> None:
    with pytest.raises(DatabaseError), jobs.recorded(REBUILD) as record:
        leave(record.job)
        run, new = jobs.ask(REBUILD)
        assert new
        assert IndexJob.objects.take() == run
        raise DatabaseError
    run.refresh_from_db()
    assert run.state == "running"


def test_an_old_process_does_not_end_what_another_has_begun_again() -> None:
    run, _new = jobs.ask(SYNC)
    with jobs.recorded(SYNC, job=IndexJob.objects.take()):
        leave(run)
        assert IndexJob.objects.take() == run
    assert only().state == "running"


def test_what_a_dead_process_did_unasked_is_written_off() -> None:
    run = IndexJob.objects.create(kind=REBUILD, state="running", started=timezone.now())
    leave(run)
    asked, _new = jobs.ask(SYNC)
    assert IndexJob.objects.take() == asked
    run.refresh_from_db()
    assert run.state == "failed"
    assert "Its process ended" in run.reason


def test_what_a_dead_worker_left_is_written_off_if_something_else_waits() -> None:
    run, _new = jobs.ask(SYNC)
    assert IndexJob.objects.take() == run
    asked, _new = jobs.ask(REBUILD)
    leave(run)
    assert IndexJob.objects.take() == asked
    run.refresh_from_db()
    assert run.state == "failed"


# Doing ------------------------------------------------------------------------------------------------------


def test_the_worker_does_a_sync_that_was_asked_for(tasks: WorkerTasks) -> None:
    ledger.ensure_live_version()
    shop.product("a", photo(), photo("hat"))
    jobs.ask(SYNC)
    tasks.run_jobs()
    assert (only().state, only().photos, only().total) == ("done", 2, 2)
    assert only().ended is not None
    assert set(IndexEntry.objects.values_list("state", flat=True)) == {"indexed"}


def test_a_sync_tries_at_once_what_waits_for_another_try(tasks: WorkerTasks, grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    indexing.reconcile()
    grid.unavailable = False
    assert indexing.reconcile().total == 0
    jobs.ask(SYNC)
    tasks.run_jobs()
    assert IndexEntry.objects.get().state == "indexed"


def test_a_sync_that_the_model_stands_up_tells_why(tasks: WorkerTasks, grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    jobs.ask(SYNC)
    tasks.run_jobs()
    assert (only().state, only().reason) == ("failed", "The model is asleep.")


def test_the_worker_rebuilds_and_says_what_came_of_it(tasks: WorkerTasks) -> None:
    shop.product("a", photo(), photo("hat"))
    before = ledger.ensure_live_version()
    indexing.reconcile()
    jobs.ask(REBUILD)
    tasks.run_jobs()
    live = IndexVersion.objects.live()
    assert live is not None
    assert live.pk != before.pk
    assert (only().state, only().version, only().photos) == ("done", live, 2)


def test_a_rebuild_that_raises_keeps_its_reason_and_can_be_asked_for_again(
    tasks: WorkerTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.product("a", photo())
    before = ledger.ensure_live_version()
    jobs.ask(REBUILD)
    with monkeypatch.context() as patch:
        patch.setattr(building, "load", broken)
        tasks.run_jobs()
    assert (only().state, only().reason) == ("failed", "OSError: No space left on device")
    assert IndexVersion.objects.live() == before
    again, new = jobs.ask(REBUILD)
    assert new
    tasks.run_jobs()
    again.refresh_from_db()
    assert again.state == "done"


def broken(*args: Any) -> None:
    raise OSError("No space left on device")


def test_a_rebuild_without_the_model_tells_why_and_the_next_goes_on(tasks: WorkerTasks, grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    jobs.ask(REBUILD)
    tasks.run_jobs()
    assert only().state == "failed"
    assert "The model is asleep." in only().reason
    grid.unavailable = False
    jobs.ask(REBUILD)
    tasks.run_jobs()
    assert IndexJob.objects.first().state == "done"  # type: ignore[union-attr]


def test_a_rebuild_goes_on_at_once_with_photos_that_wait_for_another_try(
    tasks: WorkerTasks, grid: type[Grid], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    monkeypatch.setattr(indexing, "_sync_claimed", postponing(indexing._sync_claimed))
    with pytest.raises(BuildInterrupted):
        building.rebuild()
    jobs.ask(REBUILD)
    tasks.run_jobs()
    assert IndexJob.objects.first().state == "done"  # type: ignore[union-attr]


def postponing(do: Any) -> Any:
    """The first claim has to wait."""
    first = iter([True])

    def claimed(version: IndexVersion, entries: list[IndexEntry], progress: Any) -> indexing.Outcome:
        if next(first, False):
            ledger.postpone(dict.fromkeys(entries, "The index is away."))
            return indexing.Outcome(postponed=len(entries))
        outcome: indexing.Outcome = do(version, entries, progress)
        return outcome

    return claimed


def test_a_stopping_worker_returns_its_job_to_the_queue(tasks: WorkerTasks, stop: threading.Event) -> None:
    shop.product("a", photo())
    ledger.ensure_live_version()
    run, _new = jobs.ask(REBUILD)

    def stopped(*args: Any) -> None:
        stop.set()

    taken = IndexJob.objects.take()
    assert taken is not None
    tasks.heartbeat.beat = stopped  # type: ignore[method-assign]
    with pytest.raises(WorkStopped):
        worker.perform(taken, tasks.progress)
    run.refresh_from_db()
    assert (run.state, run.started, run.stage) == ("waiting", None, "")
    WorkerTasks(threading.Event().is_set).run_jobs()
    run.refresh_from_db()
    assert run.state == "done"


def test_the_worker_leaves_the_ledger_for_a_request(tasks: WorkerTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STEP", 1)
    ledger.ensure_live_version()
    for seed in range(4):
        shop.product(f"p{seed}", photo(seed=seed))
    # Someone asks while the first step is done.
    monkeypatch.setattr(tasks.heartbeat, "beat", lambda: jobs.ask(SYNC))
    tasks.drain()
    assert IndexEntry.objects.filter(state="indexed").count() == 1
    tasks.run_jobs()
    assert IndexEntry.objects.filter(state="indexed").count() == 4


def test_a_worker_that_rests_after_an_error_is_woken_by_a_request(stop: threading.Event) -> None:
    jobs.ask(SYNC)
    began = time.monotonic()
    worker.Loop(stop).rest(30)
    assert time.monotonic() - began < 5


# Progress ---------------------------------------------------------------------------------------------------


def test_a_rebuild_by_command_is_written_down_too() -> None:
    shop.product("a", photo())
    version = building.rebuild()
    assert (only().state, only().asked, only().version) == ("done", False, version)


def test_progress_is_written_once_a_second_and_at_each_new_stage(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    told: list[tuple[str, int, int]] = []
    with jobs.recorded(REBUILD, lambda *step: told.append(step)) as record:
        record("embed", 0, 9)
        with django_assert_num_queries(0):
            record("embed", 1, 9)
        moment[0] += 1
        record("embed", 2, 9)
        assert (only().stage, only().done, only().total) == ("embed", 2, 9)
        record("index", 0, 9)
        assert only().stage == "index"
    assert told == [("embed", 0, 9), ("embed", 1, 9), ("embed", 2, 9), ("index", 0, 9)]


def test_one_job_runs_at_a_time() -> None:
    refused = pytest.raises(JobRunning, match="Another job is running: rebuild, since")
    with jobs.recorded(REBUILD), refused, jobs.recorded(SYNC):
        pytest.fail("It was started.")
    assert (only().kind, only().state) == ("rebuild", "done")


def test_progress_renews_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.running.NOTE", 0.0)
    with jobs.recorded(REBUILD) as record:
        IndexJob.objects.update(leased_until=timezone.now() + timedelta(seconds=1))
        record("embed", 1, 2)
        assert only().leased_until > timezone.now() + LEASE / 2  # type: ignore[operator]


def test_a_record_that_cannot_be_written_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with jobs.recorded(REBUILD) as record:

        def locked(**values: Any) -> int:
            raise DatabaseError("database is locked")

        with monkeypatch.context() as patch:
            patch.setattr("django.db.models.query.QuerySet.update", lambda self, **values: locked(**values))
            record("embed", 1, 2)
    assert only().state == "done"


# Throughput -------------------------------------------------------------------------------------------------


def test_settled_photos_are_counted_by_the_minute() -> None:
    shop.product("a", photo(), photo("hat"))
    missing = shop.product("b", photo("dress")).photos.get()
    missing.file.storage.delete(missing.file.name)
    indexing.reconcile()
    assert sum(throughput.minutes(5)) == 3
    now = timezone.now()
    assert throughput.minutes(3, now + timedelta(minutes=60)) == [0, 0, 0]


def test_postponed_photos_are_not_counted(grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    indexing.reconcile()
    assert not IndexedMinute.objects.exists()


def test_the_minutes_come_oldest_first_with_gaps() -> None:
    now = timezone.now().replace(second=30, microsecond=0)
    start = now.replace(second=0)
    for ago, photos in ((0, 5), (2, 7), (9, 99)):
        IndexedMinute.objects.create(minute=start - timedelta(minutes=ago), photos=photos)
    assert throughput.minutes(4, now) == [0, 7, 0, 5]


# Workers ----------------------------------------------------------------------------------------------------


def test_nobody_has_ever_seen_a_worker_where_there_was_none() -> None:
    assert jobs.last_worker() == (False, None)


def test_a_worker_is_there_while_it_beats_and_away_when_it_has_ended() -> None:
    heartbeat = jobs.Heartbeat()
    heartbeat.beat()
    there, seen = jobs.last_worker()
    assert there
    heartbeat.end()
    there, ended = jobs.last_worker()
    assert not there
    assert seen is not None
    assert ended is not None
    assert ended >= seen


def test_a_worker_that_was_killed_is_away_after_a_while() -> None:
    jobs.Heartbeat().beat()
    long_ago = timezone.now() - jobs.AWAY - timedelta(seconds=1)
    Worker.objects.update(seen=long_ago)
    assert jobs.last_worker() == (False, long_ago)


def test_a_pulse_is_written_every_few_seconds(django_assert_num_queries: Any) -> None:
    heartbeat = jobs.Heartbeat()
    heartbeat.beat()
    with django_assert_num_queries(0):
        heartbeat.beat()
    assert Worker.objects.count() == 1


def test_what_is_long_ago_is_forgotten_but_the_last_rebuild() -> None:
    now = timezone.now()
    old = now - timedelta(days=100)
    IndexedMinute.objects.create(minute=old, photos=1)
    Worker.objects.create(seen=old)
    rebuilds = [IndexJob.objects.create(kind=REBUILD, state="done", ended=old) for _ in range(2)]
    IndexJob.objects.create(kind=SYNC, state="failed", ended=old)
    jobs.forget()
    assert not IndexedMinute.objects.exists()
    assert not Worker.objects.exists()
    assert only() == rebuilds[1]


def test_the_database_refuses_a_second_run_of_a_state() -> None:
    IndexJob.objects.create(kind=SYNC, state="running")
    with pytest.raises(DatabaseError), transaction.atomic():
        IndexJob.objects.create(kind=REBUILD, state="running")
