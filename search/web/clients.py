"""Who sends a request: the one place that knows whose headers are believed.

`NUM_PROXIES` says how many of the shop's own proxies stand in front of the site. Each appends the address it was
asked from to `X-Forwarded-For`, so only the last `NUM_PROXIES` entries are the proxies' own; a client can write
whatever it likes in front of them. With 0, the header is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # noqa: S104 - "this host" (RFC 1122), nothing is bound to it
"""The address of a client that has none, as behind a Unix socket. All of these count as one client."""

NETWORK_BITS = 64
"""An IPv6 client chooses its own address within a /64 (RFC 4291), so the /64 is what identifies it."""

LONGEST_ACCEPT = 1_000
"""Bytes of the Accept header; browsers send less than 200. A longer one is not read: that takes long."""

_LONGEST = len("[0000:0000:0000:0000:0000:ffff:255.255.255.255%a-scope-id]:65535")


def client_address(request: HttpRequest) -> str:
    """The client's IP address in canonical form, never another text: safe as a cache key or in a log.

    An entry of `X-Forwarded-For` that is no address is ignored in favour of the connection's own address.
    """
    return str(_address(request.META) or UNKNOWN)


def client_key(request: HttpRequest) -> str:
    """What limits count by: an IPv4 address, or the /64 network of an IPv6 address."""
    return key_of(request.META)


def key_of(meta: Mapping[str, Any]) -> str:
    """The same of a WSGI environment, such as `HttpRequest.META`."""
    address = _address(meta)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), NETWORK_BITS), strict=False))
    return str(address or UNKNOWN)


def _address(meta: Mapping[str, Any]) -> IPv4Address | IPv6Address | None:
    return _forwarded(meta) or _parsed(meta.get("REMOTE_ADDR", ""))


def _forwarded(meta: Mapping[str, Any]) -> IPv4Address | IPv6Address | None:
    """The address that the outermost of the shop's own proxies was asked from."""
    proxies: int = settings.NUM_PROXIES
    entries = meta.get("HTTP_X_FORWARDED_FOR", "")
    if not (proxies and entries):
        return None
    believed = entries.rsplit(",", proxies)[-proxies:]
    return _parsed(believed[0])


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address as servers and proxies write it: also with a port, brackets or a scope."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def prefers_json(request: HttpRequest) -> bool:
    """Whether the client would rather have JSON than a page, as the scripts of the site's own pages do."""
    if len(request.META.get("HTTP_ACCEPT", "")) > LONGEST_ACCEPT:
        return False
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
