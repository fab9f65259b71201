"""Connections to other people's sites: to public addresses alone, and cut when their time is over.

`requests-hardened` looks up a name and connects to the very address that has been checked, so that a name cannot mean
another one a moment later. What is public is said by `public`, which is stricter. An address that
`FETCH_PRIVATE_ADDRESSES` allows is connected to by its name, and every connection's other end is looked at once more
before anything is sent.
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
"""Bytes that one fetch may receive beside a picture: the headers of all answers, and the lengths of chunks."""

PROCESSOR_SECONDS = 1.0
"""Of one fetch. A picture of 10 MB takes 0.1 s; a site can make Python read millions of empty lines meanwhile."""

MOST_INFORMATIONAL = 3
"""Answers "100 Continue" before the answer. Nothing that is sent here asks for one."""

_UNICAST = ip_network("2000::/3")
"""All of IPv6 that has been given to networks; multicast, IPv4 in disguise and what is out of use are elsewhere."""

_TAKEN_OUT = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocols' own
            "192.88.99.0/24",  # relays of 6to4
            "2001::/23",  # protocols' own: Teredo, which has IPv4 in it, ORCHID and the like
            "2002::/16",  # 6to4, which has IPv4 in it
            "3fff::/20",  # documentation
        ),
    )
)
"""Python calls some of these global, from version to version."""


class Guard:
    """Watches the connection of one fetch, which may be in another thread."""

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
        """Never 0, which would mean for ever to a socket."""
        return max(self._end - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        return self._cut or time.monotonic() >= self._end or self._used > PROCESSOR_SECONDS

    @property
    def full(self) -> bool:
        """Whether more has been received than a picture and its headers take."""
        return self._received > settings.IMAGE_MAX_BYTES + OVERHEAD

    def begin(self) -> None:
        """The work begins, in this thread."""
        self._began = time.thread_time()

    def receive(self, count: int) -> None:
        """Count bytes of a socket, over all connections. Raises TimeoutError where the fetch has to end."""
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
            # Its own handle, since TLS takes the connection's away.
            self._socket = connection.dup()

    def cut(self) -> None:
        """End the connection, whatever is being waited for."""
        with self._lock:
            self._cut = True
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the other side was first
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None


def public(address: Address) -> bool:
    """Whether an address is one of the public internet's, and not one that leads on to another inside of it."""
    address = _plain(address)
    if any(address in network for network in _TAKEN_OUT):
        return False
    if isinstance(address, IPv6Address):
        return address in _UNICAST and address.is_global
    return address.is_global and not (address.is_multicast or address.is_reserved)


def allowed(address: Address) -> bool:
    """Whether the site's settings allow an address that is not public."""
    return any(_plain(address) in network for network in settings.FETCH_PRIVATE_ADDRESSES)


def _plain(address: Address) -> Address:
    """An IPv4 address that is written as one of IPv6 is itself."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


@contextmanager
def opened(guard: Guard) -> Iterator[Session]:
    """A session that follows no redirect, sends no cookies or passwords, and asks no proxy."""
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
            session.trust_env = False  # neither proxies of the environment nor a .netrc
            session.headers.update({"Accept": "image/*", "Accept-Encoding": "identity"})
            for scheme in ("http", "https"):
                session.mount(f"{scheme}://", _Adapter(is_https_proto=scheme == "https"))
            yield session
    finally:
        _guard.reset(token)


_guard: ContextVar[Guard] = ContextVar("guard")


class _Session(HTTPSession):  # type: ignore[misc]
    """The library's, which leaves a redirect alone: requests would read and unpack the whole of its body even where
    nothing is to be followed, only to say where it leads."""

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[Response]:
        return iter(())


class _Counted(io.RawIOBase):
    """The bytes of a connection, counted before anything is made of them: `http.client` reads any number of lines."""

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


class _Answer(HTTPResponse):
    """The library's, of counted bytes and a bounded number of informational answers."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Counted(self.fp.detach(), _guard.get()))
        self._informational = 0

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status == CONTINUE:
            self._informational += 1
            if self._informational > MOST_INFORMATIONAL:
                raise HTTPException("too many informational answers")
        return version, status, reason


class _Guarded(HTTPConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        try:
            _guard.get().admit(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def getresponse(self) -> Any:
        """The response without its cookies, which are not used; parsing a hundred long ones takes seconds."""
        response: Any = super().getresponse()
        for name in ("Set-Cookie", "Set-Cookie2"):
            del response._original_response.msg[name]
        return response


class _GuardedTls(_Guarded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """The library's, with guarded connections, and with the exceptions that the settings name."""

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
        # The library lets some through that the guard would refuse, though only after the connection.
        if found is not None and public(address):
            return found
        if allowed(address):
            return HTTPAdapter.build_connection_pool_key_attributes(self, request, *args, **kwargs)
        raise InvalidIPAddress(address)
