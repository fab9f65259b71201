"""Who sends a request, and whose word is taken for it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from search.models import ThrottleWindow
from search.web.clients import UNKNOWN, client_address, client_key


def asked_from(address: str, forwarded: str | None = None) -> HttpRequest:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=address, **headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (0, None, "192.0.2.1"),
        (0, "198.51.100.7", "192.0.2.1"),
        (1, None, "192.0.2.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.8,203.0.113.9,198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "unknown", "192.0.2.1"),
        (1, "198.51.100.7, ", "192.0.2.1"),
    ],
)
def test_as_many_entries_are_believed_as_the_shop_has_proxies(
    settings: Any, proxies: int, forwarded: str | None, client: str
) -> None:
    settings.NUM_PROXIES = proxies
    assert client_address(asked_from("192.0.2.1", forwarded)) == client


@pytest.mark.parametrize(
    ("written", "address", "key"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:0DB8:0:1::ABCD", "2001:db8:0:1::abcd", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("", UNKNOWN, UNKNOWN),
        ("unix:", UNKNOWN, UNKNOWN),
    ],
)
def test_an_address_has_one_form_and_an_ipv6_client_is_its_network(written: str, address: str, key: str) -> None:
    assert client_address(asked_from(written)) == address
    assert client_key(asked_from(written)) == key


@given(forwarded=st.text(max_size=300) | st.text("0123456789abcdef:.,%[] ", max_size=300))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_header_says_the_client_is_an_address(settings: Any, forwarded: str) -> None:
    settings.NUM_PROXIES = 1
    request = asked_from("192.0.2.1", forwarded)
    assert ip_address(client_address(request))
    assert ip_network(client_key(request))


@pytest.mark.parametrize("address", ["255.255.255.255", "fedc:ba98:7654:3210:fedc:ba98:7654:3210"])
def test_a_key_fits_into_the_column_that_counts_by_it(address: str) -> None:
    assert len(client_key(asked_from(address))) <= (ThrottleWindow._meta.get_field("client").max_length or 0)
