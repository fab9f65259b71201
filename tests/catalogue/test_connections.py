"""Which addresses may be connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from requests_hardened.ip_filter import InvalidIPAddress

from catalogue.connections import Guard, public

PUBLIC = [
    "1.1.1.1",
    "93.184.215.14",
    "192.88.98.1",
    "223.255.255.255",
    "::ffff:1.1.1.1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450:4001:831::200e",
]

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.0.171",
    "192.0.2.1",
    "192.88.99.1",  # relays of 6to4
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4 as it was once written in IPv6
    "::a9fe:a9fe",
    "::101:101",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:224.0.0.1",
    "::ffff:0:1.1.1.1",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::101:101",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "2002:101:101::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",  # site-local
    "ff02::1",
    "ff0e::1",
]


class Connected(socket.socket):
    """A socket whose other end is said to be anywhere."""

    peer = ""

    def getpeername(self) -> tuple[str, int]:
        return self.peer, 80


@pytest.fixture
def admit() -> Iterator[Callable[[str], None]]:
    """Have a new connection to an address looked at."""
    guard = Guard(10)
    with Connected() as connection:

        def ask(address: str) -> None:
            connection.peer = address
            guard.admit(connection)

        yield ask
    guard.cut()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(admit: Callable[[str], None], address: str) -> None:
    admit(address)
    assert public(ip_address(address))


@pytest.mark.parametrize("address", [*PRIVATE, "fe80::1%eth0"])
def test_private_addresses_may_not_be_connected_to(admit: Callable[[str], None], address: str) -> None:
    with pytest.raises(InvalidIPAddress):
        admit(address)
    assert not public(ip_address(address))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "10.1.0.0/16"),
        ("192.88.99.1", "192.88.99.0/24"),
        ("fd00::5", "fd00::/64"),
        ("fec0::5", "fec0::/10"),
        ("64:ff9b::a01:203", "64:ff9b::/96"),
    ],
)
def test_allowed_private_addresses_may_be_connected_to_and_no_others(
    admit: Callable[[str], None], settings: Any, address: str, network: str
) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = [ip_network(network)]
    admit(address)
    for other in ("10.2.0.1", "fd01::5", "::1"):
        with pytest.raises(InvalidIPAddress):
            admit(other)
