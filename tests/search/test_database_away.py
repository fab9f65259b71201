"""PostgreSQL restarts while workers are at it: they go on, and so does the site."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, close_old_connections, connection, transaction

from search import tasks
from search.lifecycle import jobs
from search.models import IndexEntry, IndexJob
from search.writing import ledger
from tests import shop
from tests.drawing import photo
from tests.search.workplace import Databases, Workplace, assert_agreement, held, leases_end, settled
from tests.servers.postgresql import PostgreSQL
from tests.waiting import until

pytestmark = pytest.mark.servers


def restart(server: PostgreSQL) -> None:
    server.stop()
    with pytest.raises(DatabaseError):
        IndexEntry.objects.exists()
    server.start().wait()
    # What the site's middleware does before each request.
    connection.close()
    close_old_connections()


@pytest.fixture
def place(
    tmp_path_factory: pytest.TempPathFactory,
    own_postgresql: PostgreSQL,
    open_workplace: Callable[[Databases, str], Workplace],
    redis_url: str,
) -> Workplace:
    databases = Databases(tmp_path_factory.mktemp("databases"), own_postgresql.url)
    place = open_workplace(databases, redis_url)
    ledger.ensure_live_version()
    return place


def fill(number: int) -> None:
    with transaction.atomic():
        for seed in range(number):
            shop.product(f"p{seed}", photo(seed=seed))


def test_celerys_worker_goes_on_after_a_restart_of_the_database(place: Workplace, own_postgresql: PostgreSQL) -> None:
    worker = place.worker("interactive", "bulk", slow=0.05)
    fill(40)
    until(held)
    restart(own_postgresql)
    leases_end()
    tasks.upkeep.delay()
    until(settled)
    assert worker.running
    shop.product("new", photo("hat"))
    until(settled)
    assert_agreement()


def test_the_loop_goes_on_after_a_restart_of_the_database(place: Workplace, own_postgresql: PostgreSQL) -> None:
    fill(40)
    worker = place.work(slow=0.05)
    until(held)
    restart(own_postgresql)
    until(lambda: "The worker met an error and goes on" in place.log(worker))
    leases_end()
    jobs.ask(IndexJob.Kind.SYNC)  # which ends the pause after an error
    until(settled)
    assert worker.running
    assert_agreement()
