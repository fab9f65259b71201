"""Requests that are small to send and were costly to answer, on a running shop."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from benchmarks.attacks import ATTACKS, Shop, attack

REFUSED = {
    "progressive bomb, 8 at once": HTTPStatus.UNPROCESSABLE_ENTITY,
    "HEIC grid of one tile, 8 at once": HTTPStatus.UNPROCESSABLE_ENTITY,
    "JSON error bomb, 8 at once": HTTPStatus.BAD_REQUEST,
    "long address, 8 at once": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "cookies of backslashes, 8 at once": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_costs_too_much_is_refused_before_it_does(shop: Shop, name: str) -> None:
    times, make = ATTACKS[name]
    cost, visits, responses = attack(shop, times, make)
    assert {response.status for response in responses} == {REFUSED[name]}
    assert max(len(response.body) for response in responses) <= 4_096
    assert cost.processor_seconds / times < 0.25
    assert visits.failures == []


def test_large_pictures_share_bounded_memory_and_others_retry_later(shop: Shop) -> None:
    times, make = ATTACKS["float TIFF of 50 MP, 9 at once"]
    cost, visits, responses = attack(shop, times, make)
    assert {response.status for response in responses} == {HTTPStatus.CREATED, HTTPStatus.SERVICE_UNAVAILABLE}
    busy = [response for response in responses if response.status == HTTPStatus.SERVICE_UNAVAILABLE]
    assert all(response.headers["retry-after"] for response in busy)
    assert cost.peak_megabytes < 800
    assert visits.failures == []


def test_ordinary_pictures_of_a_crowd_are_all_answered(shop: Shop) -> None:
    _cost, visits, responses = attack(shop, *ATTACKS["an ordinary picture, 16 at once"])
    assert {response.status for response in responses} == {HTTPStatus.CREATED}
    assert visits.failures == []
