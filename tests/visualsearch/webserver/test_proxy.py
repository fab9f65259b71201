"""The proxy that production has in front of the web server, with the configuration that compose gives it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.servers.nginx import Nginx
from tests.visualsearch.webserver.serving import Server, request, served

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("site"), "") as site:
        nginx = Nginx(tmp_path_factory.mktemp("proxy") / "nginx", f"127.0.0.1:{site.port}")
        try:
            nginx.start().wait()
            yield replace(site, port=nginx.port)
        finally:
            nginx.stop()


def test_the_site_learns_who_asks_and_for_what(proxy: Server) -> None:
    lines = proxy.get("/environ", "127.0.0.5", headers="X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n")
    assert b"HTTP_X_FORWARDED_FOR=6.6.6.6, 127.0.0.5" in lines  # the last one is the proxy's own
    assert b"HTTP_X_FORWARDED_PROTO=http\n" in lines
    assert b"HTTP_HOST=a\n" in lines


def test_a_request_reaches_the_site_only_once_it_is_whole(proxy: Server) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
        client.sendall(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
        assert b"/half" not in proxy.get("/calls")
        client.sendall(bytes(50_000))
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_only_the_admin_gets_large_bodies_and_checks_their_sender(proxy: Server) -> None:
    assert proxy.send(request(b"POST /", b"Content-Length: 20000000")).startswith(b"HTTP/1.1 413 ")
    assert b"/admin/" not in proxy.get("/calls")
    answer = proxy.send(request(b"POST /admin/x/", b"Content-Length: 20000000", body=bytes(1000)))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"/admin/x/" in proxy.get("/calls")


def test_connections_of_one_address_are_bounded(proxy: Server) -> None:
    clients = []
    try:
        for _ in range(110):
            client = proxy.connect("127.0.0.6")
            client.sendall(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
            clients.append(client)
        assert proxy.send(request(b"GET /"), "127.0.0.6").startswith(b"HTTP/1.1 503 ")
        assert proxy.get("/", "127.0.0.8") == b"0"
    finally:
        for client in clients:
            client.close()
