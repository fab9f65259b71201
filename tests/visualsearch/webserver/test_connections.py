"""Connections that take their time, and too many of them, on a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from search.web.clients import key_of
from tests.visualsearch.webserver.serving import Server, exchange, received, served
from tests.waiting import until
from visualsearch.webserver.connections import Limits, Register

CONFIGURATION = """
connections.PATIENCE = 2.0
connections.UNREAD_PATIENCE = 1.0
connections.SWEEP_SECONDS = 0.1
Worker.connections = connections.Limits(connections=12, of_client=6)
Worker.admission = replace(Worker.admission, receiving=8, receiving_of_client=4)
keepalive = 4
"""

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server"), CONFIGURATION) as server:
        yield server


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127",
        b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "half a head", "blank lines", "half a body", "half a chunk"],
)
def test_stalled_clients_are_disconnected_and_hold_no_thread(server: Server, begun: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(4)]
        for client in slow:
            client.sendall(begun)
        assert server.get("/") == b"0"
        assert not any(_hung_up(client) for client in slow)
        for client in slow:
            answer = received(client)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"too slowly" in answer


def test_a_slow_client_that_goes_on_sending_is_waited_for(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 240000\r\n\r\n")
        for _turn in range(8):  # 60,000 bytes a second, for longer than a client has that sends nothing
            client.sendall(b"x" * 30_000)
            time.sleep(0.5)
        assert received(client).endswith(b"240000")


def test_clients_that_read_nothing_hold_no_thread_and_are_hung_up_on(server: Server) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(5)]
        for client in slow:
            client.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n" * 4)
        assert server.get("/") == b"0"
        until(lambda: server.get("/calls").count(b"/file") >= 5)
        for client in slow:
            until(lambda client=client: _hung_up(client))  # type: ignore[misc]
        # What was pipelined behind the first was never begun.
        assert server.get("/calls").count(b"/file") <= 10


def _hung_up(client: socket.socket) -> bool:
    established = 1
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established


def test_more_connections_of_one_address_are_refused_and_others_are_not(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(server.connect("127.0.0.7")).sendall(HEAD)
        refused = server.send(HEAD, "127.0.0.7")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in refused.lower()
        assert server.get("/", "127.0.0.8") == b"0"


def test_idle_connections_make_room_for_new_ones(server: Server) -> None:
    with ExitStack() as stack:
        idle = []
        for number in range(12):
            client = stack.enter_context(server.connect(f"127.0.1.{1 + number % 3}"))
            exchange(client, HEAD + b"\r\n", b"\r\n\r\n0")
            idle.append(client)
        assert server.get("/", "127.0.0.9") == b"0"
        assert received(idle[0]) == b""  # the oldest was closed


def test_a_connection_is_used_for_several_requests(server: Server) -> None:
    with server.connect() as client:
        for body in (b"abc", b"de"):
            request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            exchange(client, request, b"\r\n\r\n%d" % len(body))
            time.sleep(2.4)  # longer than a request may take: between requests there is no hurry


def test_a_connection_whose_request_was_refused_ends_like_any_other(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")
        client.sendall(bytes(20_000_000))
        assert received(client).count(b"HTTP/1.1 ") == 0  # until it is closed


def test_more_bodies_of_one_client_than_it_may_send_at_once_are_refused(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.connect("127.0.0.7")).sendall(head)
        until(lambda: server.send(head + b"abc", "127.0.0.7").startswith(b"HTTP/1.1 503 "), pause=0.05)
        assert server.get("/", "127.0.0.8") == b"0"


def test_pipelined_requests_are_not_answered_inside_a_response(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.recv(65_536)
        client.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n" * 30)
        answer += received(client)
    head, _blank, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert (bytes(range(256)) * 20_000).startswith(body[:5_120_000])


def test_a_body_in_very_many_pieces_is_refused(server: Server) -> None:
    chunks = b"1\r\na\r\n" * 30_000 + b"0\r\n\r\n"
    answer = server.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_head_that_does_not_end_is_refused(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 400_000)
        assert received(client).startswith(b"HTTP/1.1 431 ")


def test_too_many_pipelined_requests_close_the_connection(server: Server) -> None:
    answers = server.send((HEAD + b"\r\n") * 500)
    assert answers.count(b"HTTP/1.1 200") < 20


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_refused(server: Server, garbage: bytes) -> None:
    assert server.send(garbage).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: -3\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"X: a\r\n b: c\r\n\0: d\r\n",
    ],
)
def test_requests_with_ambiguous_length_are_refused(server: Server, headers: bytes) -> None:
    """Two servers that disagree about where a request ends let one request hide in another."""
    answers = server.send(
        b"POST / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\nabcGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


def test_protocol_upgrades_are_ignored(server: Server) -> None:
    upgrade = (
        b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    )
    assert server.send(HEAD + upgrade + b"\r\n").startswith(b"HTTP/1.1 200 ")


class Stub:
    """A connection as the register sees it."""

    def __init__(self, *, idle: bool = False, receiving: bool = False) -> None:
        self.idle = idle
        self.receiving = receiving
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_the_client_with_most_connections_makes_room_for_others() -> None:
    register = Register(Limits(connections=4, of_client=None), key_of_address)
    crowd = [Stub(receiving=True) for _ in range(2)]
    others = [Stub(receiving=True), Stub()]
    for stub, address in zip(
        [others[0], *crowd, others[1]], ("127.0.0.1", "2001:db8::1", "2001:db8::2", "127.0.0.2"), strict=True
    ):
        assert register.add(stub, address)  # type: ignore[arg-type]
    assert register.add(Stub(), "127.0.0.3")  # type: ignore[arg-type]
    assert [stub.aborted for stub in crowd] == [True, False]
    assert not any(stub.aborted for stub in others)


def test_connections_of_an_ipv6_network_are_counted_together() -> None:
    register = Register(Limits(of_client=2), key_of_address)
    assert [register.add(Stub(), f"2001:db8::{number}") for number in range(3)] == [True, True, False]  # type: ignore[arg-type]
    assert register.add(Stub(), "2001:db8:1::1")  # type: ignore[arg-type]


def key_of_address(address: str) -> str:
    return key_of({"REMOTE_ADDR": address})
