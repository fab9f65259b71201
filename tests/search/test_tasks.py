"""Celery's workers on a real broker: real processes that are told of changes, and killed in the middle of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction
from PIL import Image

from catalogue.models import Product, ProductImage
from search import tasks
from search.lifecycle import jobs
from search.models import IndexEntry, IndexJob, Worker
from search.writing import ledger
from tests import shop
from tests.drawing import encoded, photo
from tests.interpreter import python
from tests.search.workplace import (
    Databases,
    Workplace,
    assert_agreement,
    held,
    leases_end,
    searchable,
    settled,
)
from tests.servers.redis import Redis
from tests.waiting import until
from visualsearch.celery import VISIBLE_AGAIN, app

pytestmark = pytest.mark.servers


def fill(number: int, first: int = 0) -> None:
    """Products in one transaction, each with a photo of its own."""
    with transaction.atomic():
        for seed in range(first, first + number):
            shop.product(f"p{seed}", photo(seed=seed))


@pytest.mark.parametrize("databases", ["sqlite_databases", "postgresql_databases"])
def test_a_saved_photo_is_searchable_and_a_deleted_one_is_not(
    request: pytest.FixtureRequest,
    open_workplace: Callable[[Databases, str], Workplace],
    databases: str,
    redis_url: str,
) -> None:
    workplace = open_workplace(request.getfixturevalue(databases), redis_url)
    workplace.worker("interactive")
    fill(3)
    until(settled)
    assert searchable().keys() == set(ProductImage.objects.values_list("pk", flat=True))
    assert jobs.last_worker()[0]
    Product.objects.get(sku="p1").delete()
    until(lambda: len(searchable()) == 2)
    until(settled)
    assert_agreement()


def test_what_was_saved_while_redis_was_down_is_taken_up_later(
    open_workplace: Callable[[Databases, str], Workplace], postgresql_databases: Databases, own_redis: Redis
) -> None:
    workplace = open_workplace(postgresql_databases, own_redis.url)
    worker = workplace.worker("interactive")
    ledger.ensure_live_version()
    own_redis.stop()
    fill(2)
    own_redis.start().wait()
    tasks.reconcile.delay()  # what beat does each minute; the worker has come back to the broker by itself
    until(settled)
    assert worker.running
    assert_agreement()


def test_a_worker_that_is_killed_loses_and_doubles_nothing(workplace: Workplace) -> None:
    first = workplace.worker("bulk", slow=0.05)
    fill(40)
    until(held)
    first.kill()
    assert not settled()
    workplace.worker("bulk")
    leases_end()
    tasks.upkeep.delay()
    until(settled)
    assert_agreement()


def test_a_killed_process_of_the_pool_is_replaced_and_the_worker_goes_on(workplace: Workplace) -> None:
    worker = workplace.worker("bulk", slow=0.05)
    fill(40)
    until(held)
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(children[0]), signal.SIGKILL)
    until(lambda: "WorkerLostError" in workplace.log(worker))
    leases_end()
    tasks.upkeep.delay()
    until(settled)
    assert_agreement()


def test_a_photo_that_its_worker_dies_of_is_given_up_and_holds_nothing_back(workplace: Workplace) -> None:
    ledger.ensure_live_version()
    fill(12)
    deadly = shop.product("deadly", encoded(Image.new("RGB", (80, 80), (201, 0, 0)), "PNG")).photos.get()
    app.control.purge()
    worker = workplace.worker("bulk", fatal=201)
    while not settled():
        deaths = workplace.log(worker).count("WorkerLostError")
        leases_end()
        tasks.upkeep.delay()
        until(lambda deaths=deaths: settled() or workplace.log(worker).count("WorkerLostError") > deaths)  # type: ignore[misc]
    entry = IndexEntry.objects.get(photo_id=deadly.pk)
    assert entry.state == "failed"
    assert "crashed" in entry.reason
    assert len(searchable()) == 12


def test_a_stopping_celery_worker_returns_its_job(workplace: Workplace) -> None:
    ledger.ensure_live_version()
    fill(40)
    app.control.purge()
    worker = workplace.worker("bulk", slow=0.1)
    run, _new = jobs.ask(IndexJob.Kind.REBUILD)
    tasks.run_jobs.delay()
    until(lambda: IndexJob.objects.get().stage == "embed")  # four seconds of it
    workplace.terminate(worker)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("waiting", 0)
    assert not held()
    assert not Worker.objects.filter(ended=None).exists()
    workplace.worker("bulk")
    tasks.run_jobs.delay()
    until(lambda: IndexJob.objects.get().ended)
    assert IndexJob.objects.get().state == "done"
    assert_agreement()


def test_a_long_reindex_does_not_delay_a_new_photo(workplace: Workplace) -> None:
    workplace.worker("bulk", slow=0.3)
    workplace.worker("interactive")
    fill(40)
    until(held)
    new = shop.product("new", photo("hat")).photos.get().pk
    waited = until(lambda: IndexEntry.objects.filter(photo_id=new, state="indexed").exists())
    assert waited < 5
    assert not settled()  # the others are still at it


def test_beat_has_staffs_requests_done(workplace: Workplace) -> None:
    ledger.ensure_live_version()
    jobs.ask(IndexJob.Kind.REBUILD)
    workplace.worker("bulk")
    workplace.beat()
    until(lambda: IndexJob.objects.get().state == "done")


def test_beat_asks_for_tasks_that_there_are() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= app.tasks.keys()
    assert set(app.conf.task_routes) <= app.tasks.keys()


def test_a_message_is_redelivered_only_after_its_task_must_have_ended() -> None:
    for budget, limits in ((tasks.SHORT, tasks.LIMITS), (tasks.LONG, tasks.LONG_LIMITS)):
        assert budget < limits["soft_time_limit"] < limits["time_limit"] < VISIBLE_AGAIN


def test_importing_the_tasks_loads_no_model(redis_url: str, tmp_path: Path) -> None:
    code = (
        "import sys, visualsearch\n"
        "visualsearch.celery.loader.import_default_modules()\n"
        "assert 'search.sync' in visualsearch.celery.tasks\n"
        "print(*{'openvino', 'faiss', 'sklearn', 'scipy', 'boto3', 'tensorflow'} & set(sys.modules))"
    )
    done = python("-c", code, environment=os.environ | {"DATA_DIR": str(tmp_path), "REDIS_URL": redis_url})
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
