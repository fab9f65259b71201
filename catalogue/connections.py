"""Connections to other web sites: only to public addresses, and cut at their deadline.

`requests-hardened` looks up a name and connects to the address that it checked, so that a second look-up cannot give
another one. `public` is stricter than the library. Addresses in `FETCH_PRIVATE_ADDRESSES` are connected to by name.
The peer of every connection is checked again before anything is sent.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http.client import CONTINUE, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Lock
from typing import Any

from django.conf import settings
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Address = IPv4Address | IPv6Address

OVERHEAD = 200_000
"""Bytes that one fetch may receive besides the picture: headers of all answers, and lengths of chunks."""

PROCESSOR_SECONDS = 1.0
"""Of one fetch. A picture of 10 MB takes 0.1 s, but a site can make Python read millions of empty lines."""

MAX_INFORMATIONAL = 3
"""Answers "100 Continue" before the real one. No request here asks for any."""

_UNICAST = ip_network("2000::/3")
"""Assigned IPv6 addresses, without multicast, embedded IPv4 and deprecated ranges."""

_EXCLUDED = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays
            "2001::/23",  # protocol assignments: Teredo (embeds IPv4), ORCHID
            "2002::/16",  # 6to4 (embeds IPv4)
            "3fff::/20",  # documentation
        ),
    )
)
"""Some versions of Python call some of these global."""


class Guard:
    """Limits one fetch, whose connection may be in another thread."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = Lock()
        self._cut = False
        self._socket: socket.socket | None = None
        self._received = 0
        #: processor time of the thread at the start, and what has been used since
        self._began = 0.0
        self._used = 0.0

    @property
    def seconds_left(self) -> float:
        """Never 0, which a socket takes as no limit."""
        return max(self._end - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        return self._cut or time.monotonic() >= self._end or self._used > PROCESSOR_SECONDS

    @property
    def full(self) -> bool:
        """Whether more bytes were received than a picture and its headers may have."""
        return self._received > settings.IMAGE_MAX_BYTES + OVERHEAD

    def begin(self) -> None:
        """Start counting the processor time of this thread."""
        self._began = time.thread_time()

    def receive(self, count: int) -> None:
        """Count received bytes of all connections. Raises TimeoutError at a limit."""
        self._received += count
        self._used = time.thread_time() - self._began
        if self.full or self.over:
            raise TimeoutError

    def admit(self, connection: socket.socket) -> None:
        """Check and remember a new connection. Raises InvalidIPAddress, or TimeoutError once the fetch is over."""
        peer = ip_address(connection.getpeername()[0].partition("%")[0])
        if not (public(peer) or allowed(peer)):
            raise InvalidIPAddress(peer)
        with self._lock:
            if self._cut:
                raise TimeoutError
            self._forget()
            # A duplicate, since TLS detaches the original.
            self._socket = connection.dup()

    def cut(self) -> None:
        """Close the connection, even while another thread waits for it."""
        with self._lock:
            self._cut = True
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # already closed by the peer
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None


def public(address: Address) -> bool:
    """Whether an address is on the public internet and embeds no other address."""
    address = _without_mapping(address)
    if any(address in network for network in _EXCLUDED):
        return False
    if isinstance(address, IPv6Address):
        return address in _UNICAST and address.is_global
    return address.is_global and not (address.is_multicast or address.is_reserved)


def allowed(address: Address) -> bool:
    """Whether the settings allow this private address."""
    return any(_without_mapping(address) in network for network in settings.FETCH_PRIVATE_ADDRESSES)


def _without_mapping(address: Address) -> Address:
    """The IPv4 address within an IPv4-mapped IPv6 address; others as they are."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


@contextmanager
def opened(guard: Guard) -> Iterator[Session]:
    """A session without redirects, cookies, passwords and proxies."""
    config = Config(
        default_timeout=guard.seconds_left,
        never_redirect=True,
        ip_filter_enable=True,
        ip_filter_allow_loopback_ips=False,
        user_agent_override="visualsearch",
    )
    token = _guard.set(guard)
    guard.begin()
    try:
        with _Session(config) as session:
            session.trust_env = False  # no proxies from the environment, no .netrc
            session.headers.update({"Accept": "image/*", "Accept-Encoding": "identity"})
            for scheme in ("http", "https"):
                session.mount(f"{scheme}://", _Adapter(is_https_proto=scheme == "https"))
            yield session
    finally:
        _guard.reset(token)


_guard: ContextVar[Guard] = ContextVar("guard")


class _Session(HTTPSession):  # type: ignore[misc]
    """Leaves redirects alone: even without following one, requests would read and decompress its whole body."""

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[Response]:
        return iter(())


class _CountedStream(io.RawIOBase):
    """Counts a connection's bytes before they are parsed: `http.client` reads any number of lines."""

    def __init__(self, raw: io.RawIOBase, guard: Guard) -> None:
        self._raw = raw
        self._watch = guard

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._watch.receive(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """Counts its bytes and limits informational answers."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_CountedStream(self.fp.detach(), _guard.get()))
        self._informational = 0

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status == CONTINUE:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise HTTPException("too many informational answers")
        return version, status, reason


class _GuardedConnection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        try:
            _guard.get().admit(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def getresponse(self) -> Any:
        """The response without its cookies: they are not used, and parsing a hundred long ones takes seconds."""
        response: Any = super().getresponse()
        for name in ("Set-Cookie", "Set-Cookie2"):
            del response._original_response.msg[name]
        return response


class _GuardedTlsConnection(_GuardedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsConnection


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """Guards connections, and allows the private addresses of the settings."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_connection_pool_key_attributes(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        found = None
        try:
            found = super().build_connection_pool_key_attributes(request, *args, **kwargs)
            address = ip_address(found[0]["host"].strip("[]"))
        except InvalidIPAddress as error:
            address = error.args[0]
        # The library allows some addresses that the guard would refuse, but only once connected.
        if found is not None and public(address):
            return found
        if allowed(address):
            return HTTPAdapter.build_connection_pool_key_attributes(self, request, *args, **kwargs)
        raise InvalidIPAddress(address)
