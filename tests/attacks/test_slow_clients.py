"""Clients that take their time do not keep shoppers waiting."""

from __future__ import annotations

from benchmarks.attacks import Shop
from benchmarks.slow_clients import slow_clients


def test_slow_readers_and_writers_leave_the_shop_open(shop: Shop) -> None:
    with (
        slow_clients(shop, readers=150, writers=150, addresses=3),
        shop.cost() as cost,
        shop.shopper() as visits,
        shop.shopper("/healthz", "127.0.0.3") as probes,
    ):
        for _ in range(3):
            assert shop.request("GET", "/products/", source="127.0.0.4").status == 200
    assert visits.failures == []
    assert probes.failures == []
    assert probes.p95 < 2
    assert visits.p95 < 5
    assert cost.peak_megabytes < 700
