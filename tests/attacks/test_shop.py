"""The measurements that other tests rely on."""

from __future__ import annotations

from benchmarks.attacks import Shop


def test_the_cost_of_a_request_is_measured(shop: Shop) -> None:
    with shop.cost() as cost:
        assert shop.get("/").status == 200
    assert 0 <= cost.processor_seconds < 2
    assert 50 < cost.peak_megabytes < 2_000


def test_a_shopper_is_timed_while_something_else_happens(shop: Shop) -> None:
    with shop.shopper() as visits:
        for _ in range(3):
            assert shop.get("/healthz").status == 200
    assert visits.failures == []
    assert 0 < visits.p95 < 5
