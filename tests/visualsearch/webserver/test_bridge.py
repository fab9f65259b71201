"""The way of a request through the event loop and a thread, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.visualsearch.webserver.serving import Server, exchange, received, request, served
from tests.waiting import until

CONFIGURATION = """
limits = {"waiting": 4, "waiting_of_client": 3, "patience": 30.0, "bodies_of_client": 30_000_000}
Worker.admission = replace(Worker.admission, **limits)
accesslog = "-"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server"), CONFIGURATION) as server:
        yield server


def post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = [
        b"POST %s HTTP/1.1" % path,
        b"Host: a",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


# Bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
def test_a_body_comes_whole(server: Server, size: int) -> None:
    assert server.send(post(b"/", bytes(size))).endswith(b"\r\n\r\n%d" % size)


def test_a_body_of_unknown_length_comes_whole(server: Server) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"186a0\r\n" + bytes(100_000) + b"\r\n5\r\nabcde\r\n0\r\n\r\n"
    assert server.send(head % b"/" + chunks).endswith(b"100005")
    environ = server.send(head % b"/environ" + chunks)
    assert b"CONTENT_LENGTH=100005" in environ
    assert b"HTTP_TRANSFER_ENCODING" not in environ


def test_a_body_of_unknown_length_has_a_limit(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as client:
        client.sendall(head + b"1000000\r\n")
        sending = threading.Thread(target=_send, args=(client, bytes(20_000_000)), daemon=True)
        sending.start()
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")
    sending.join(30)


def _send(client: object, data: bytes) -> None:
    with suppress(OSError):
        client.sendall(data)  # type: ignore[attr-defined]


def test_a_body_larger_than_any_picture_is_refused_before_upload(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"POST /stranger HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_expect_100_continue_is_answered(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with server.connect() as client:
        exchange(client, head % 3, b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange(client, b"abc", b"\r\n\r\n3")
        client.sendall(head % 20_000_000)
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_the_rest_of_a_refused_body_is_read_so_the_client_sees_the_answer(server: Server) -> None:
    body = bytes(20_000_000)
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server.connect() as client:
        client.sendall(request + body)  # all of it, without being cut off
        client.sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers = received(client)
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert b"HTTP/1.1 200 " in answers


def test_a_client_allowed_to_send_more_is_read(server: Server) -> None:
    assert server.send(post(b"/staff", bytes(20_000_000))).endswith(b"\r\n\r\n20000000")


def test_a_body_comes_whole_though_its_request_offers_another_protocol(server: Server) -> None:
    offer = [
        b"Connection: Upgrade, HTTP2-Settings, close",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk",
    ]
    lines = [b"POST / HTTP/1.1", b"Host: a", *offer, b"Content-Length: 3", b"", b"abc"]
    assert server.send(b"\r\n".join(lines)).endswith(b"\r\n\r\n3")


@pytest.mark.parametrize("length", [b"0" * 5_000 + b"3", b"9" * 19, b"1" * 5_000])
def test_a_length_of_any_digits_is_read_or_refused(server: Server, length: bytes) -> None:
    answer = server.send(request(b"POST /", b"Content-Length: " + length, body=b"abc"))
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


def test_an_answer_that_is_not_read_keeps_no_room_from_other_bodies(server: Server) -> None:
    with server.connect() as slow:
        slow.sendall(request(b"POST /file", b"Content-Length: 10000000", body=bytes(10_000_000)))
        until(lambda: b"/file" in server.get("/calls"))
        for _ in range(3):  # with the first they would be too much
            assert server.send(post(b"/", bytes(10_000_000))).endswith(b"10000000")


# The environment ----------------------------------------------------------------------------------------------------


def test_headers_that_wsgi_could_take_for_others_are_left_out(server: Server) -> None:
    forged = "SCRIPT_NAME: /x\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
    lines = server.get("/environ", headers=forged).decode().splitlines()
    assert "SCRIPT_NAME=" in lines
    assert "PATH_INFO=/environ" in lines
    assert "HTTP_X_FORWARDED_FOR=1.2.3.4" in lines
    assert "REMOTE_ADDR=127.0.0.1" in lines
    assert not any("6.6.6.6" in line for line in lines)


def test_cookies_in_several_headers_are_one_header(server: Server) -> None:
    assert b"HTTP_COOKIE=a=1; b=2" in server.get("/environ", headers="Cookie: a=1\r\nCookie: b=2\r\n")


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (b"/" + b"a" * 9_000, b"", b"414"),
        (b"/?q=" + b"a" * 9_000, b"", b"414"),
        (b"/", b"Cookie: " + b"a" * 33_000 + b"\r\n", b"431"),
        (b"/", b"".join(b"X-%d: a\r\n" % number for number in range(70)), b"431"),
    ],
)
def test_addresses_and_headers_that_are_too_long_are_refused(
    server: Server, line: bytes, headers: bytes, status: bytes
) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n%s\r\n" % (line, headers)
    answer = server.send(request)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"<h1>" in answer
    assert len(answer) < 4_000


# Answers ------------------------------------------------------------------------------------------------------------


def test_a_large_file_comes_whole(server: Server) -> None:
    assert server.get("/file") == bytes(range(256)) * 20_000


def test_an_answer_of_unknown_length_comes_whole(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /stream HTTP/1.0\r\nHost: a\r\n\r\n")
        answer = received(client)
    assert answer.count(b"x") >= 2_000_000


def test_the_head_alone_has_no_body(server: Server) -> None:
    answer = server.send(b"HEAD /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 5120000" in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


# Crowds -------------------------------------------------------------------------------------------------------------


def test_a_crowd_is_refused_beyond_the_queue_and_probes_are_not(tmp_path: Path) -> None:
    with served(tmp_path, CONFIGURATION) as server, ExitStack() as stack:
        waiting = []
        for number in range(6):  # two run, four wait
            client = stack.enter_context(server.connect(f"127.0.0.{1 + number}"))
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            waiting.append(client)
        page = request(b"GET /", b"Accept: text/html")
        until(lambda: server.send(page, "127.0.0.9").startswith(b"HTTP/1.1 503 "))
        refusal = server.send(page, "127.0.0.9")
        assert b"retry-after: 5" in refusal
        assert b"The shop is busy" in refusal
        # Its body is not waited for.
        api = server.send(request(b"POST /api/v1/search/", b"Content-Length: 100000000"), "127.0.0.9")
        assert api.startswith(b"HTTP/1.1 503 ")
        assert b"application/problem+json" in api
        for probe in ("/healthz", "/readyz"):
            assert server.get(probe, "127.0.0.9") != b""
        (tmp_path / "released").touch()
        assert all(received(client).endswith(b"waited") for client in waiting)


def test_answers_are_logged_with_their_client(tmp_path: Path) -> None:
    with served(tmp_path, CONFIGURATION) as server:
        server.get("/caf%C3%A9?q=1", "127.0.0.5")
        assert any(
            line.startswith("127.0.0.5 ") and line.endswith('"GET /caf%C3%A9?q=1" 200')
            for line in (tmp_path / "log").read_text().splitlines()
        )


# Processes ----------------------------------------------------------------------------------------------------------


def test_a_reload_answers_what_is_under_way_and_loses_no_request(tmp_path: Path) -> None:
    with served(tmp_path, CONFIGURATION) as server, server.connect() as waiting:
        waiting.sendall(request(b"GET /wait"))
        until(lambda: b"/wait" in server.get("/calls"))
        before = server.get("/pid")
        server.reload()
        until(lambda: server.get("/pid") != before)
        (tmp_path / "released").touch()
        assert received(waiting).endswith(b"waited")
