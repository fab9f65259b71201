"""Workers are killed at random while products change; when it is quiet, database, ledger and index agree exactly.

KILL_SEEDS and KILL_OPERATIONS make more of it: 20 and 200 take an hour or so.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone

from catalogue.models import Product, ProductImage
from search import tasks
from search.indexes import index_of
from search.lifecycle import jobs
from search.models import IndexJob
from search.writing import ledger
from tests import shop
from tests.drawing import KINDS, photo
from tests.search.workplace import Databases, Workplace, assert_agreement, leases_end, settled
from tests.servers.process import Process
from tests.servers.redis import Redis
from tests.waiting import until

pytestmark = pytest.mark.servers

SEEDS = int(os.environ.get("KILL_SEEDS", "2"))
OPERATIONS = int(os.environ.get("KILL_OPERATIONS", "50"))
SLOW = 0.02


class Fate:
    """What happens, in an order that the seed decides; how far the workers are by then, the machine does."""

    def __init__(self, place: Workplace, redis: Redis, seed: int) -> None:
        self.place = place
        self.redis = redis
        self.random = random.Random(seed)
        self.made = 0
        self.deleted: set[int] = set()
        self.kills = 0
        self.worker = self.start()

    def start(self) -> Process:
        if self.random.random() < 0.7:
            return self.place.celery("interactive", "bulk", slow=SLOW)
        return self.place.work(slow=SLOW)

    def step(self) -> None:
        acts = [self.add, self.change, self.change, self.replace, self.delete, self.many, self.rebuild]
        self.random.choice(acts)()
        if self.random.random() < 0.12:
            self.kill()
        elif self.random.random() < 0.03:
            self.redis.kill()
            self.redis.start().wait()
        time.sleep(self.random.random() * 0.3)

    def kill(self) -> None:
        # A worker that has only just begun has nothing to lose.
        until(lambda: "ready." in self.place.log(self.worker) or "waits for" in self.place.log(self.worker))
        time.sleep(self.random.random() * 0.3)
        self.worker.kill()
        self.kills += 1
        if self.random.random() < 0.5:
            leases_end()
        self.worker = self.start()

    def add(self) -> None:
        self.made += 1
        shop.product(f"p{self.made}", self.picture(), stock=1)

    def many(self) -> None:
        with transaction.atomic():
            for _ in range(12):
                self.add()

    def change(self) -> None:
        if product := self.any():
            product.stock = self.random.randrange(3)
            product.save()

    def replace(self) -> None:
        if product := self.any():
            with transaction.atomic():
                product.photos.all().delete()
                shop.add_photo(product, self.picture())

    def delete(self) -> None:
        if product := self.any():
            self.deleted.add(product.pk)
            product.delete()

    def rebuild(self) -> None:
        jobs.ask(IndexJob.Kind.REBUILD)

    def any(self) -> Product | None:
        products = list(Product.objects.order_by("pk"))
        return self.random.choice(products) if products else None

    def picture(self) -> bytes:
        # Some contents come again and again.
        return photo(self.random.choice(list(KINDS)), seed=self.random.randrange(60))

    def quiet(self) -> None:
        """No more changes, and as much time as leases and runs of dead workers take to end."""
        leases_end()
        long_ago = timezone.now() - timedelta(hours=1)
        IndexJob.objects.filter(state=IndexJob.State.RUNNING).update(leased_until=long_ago)
        self.worker.kill()
        self.worker = self.place.worker("interactive", "bulk")
        leases_end()
        IndexJob.objects.filter(state=IndexJob.State.RUNNING).update(leased_until=long_ago)

        def done() -> bool:
            tasks.serve.delay()
            tasks.upkeep.delay()
            time.sleep(0.5)
            return settled() and not IndexJob.objects.filter(state__in=["waiting", "running"]).exists()

        until(done, 120)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_doubled_or_brought_back(
    open_workplace: Callable[[Databases, str], Workplace],
    postgresql_databases: Databases,
    own_redis: Redis,
    seed: int,
) -> None:
    fate = Fate(open_workplace(postgresql_databases, own_redis.url), own_redis, seed)
    for _ in range(OPERATIONS):
        fate.step()
    fate.kill()
    fate.quiet()
    assert_agreement()
    assert fate.kills > 1
    assert ProductImage.objects.exists()
    version = ledger.ensure_live_version()
    hits = index_of(version).search(np.ones(version.width, np.float32), 10_000)
    assert {hit.product_id for hit in hits} == set(Product.objects.values_list("pk", flat=True))
    assert not {hit.product_id for hit in hits} & fate.deleted
