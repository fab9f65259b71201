"""Guessing passwords on the production server."""

from __future__ import annotations

from benchmarks.attacks import Shop
from benchmarks.passwords import NAME, PASSWORD, SUPERUSER, THREADS, attack, sign_in
from visualsearch.guesses import PER_ACCOUNT, PER_ADDRESS


def test_an_address_has_twenty_guesses_an_hour_and_others_still_sign_in(shop: Shop) -> None:
    shop.site.run("-c", SUPERUSER)
    one = attack(shop, [NAME] * 40, "127.0.0.21")
    assert one == {"wrong": PER_ACCOUNT, "refused": 40 - PER_ACCOUNT}
    many = attack(shop, [f"clerk-{number}" for number in range(60)], "127.0.0.22", THREADS)
    assert set(many) == {"wrong", "refused"}
    assert many["wrong"] <= PER_ADDRESS
    for source in ("127.0.0.21", "127.0.0.22"):
        assert sign_in(shop, NAME, PASSWORD, source) == "refused"
    assert sign_in(shop, NAME, PASSWORD, "127.0.0.23") == "signed in"
