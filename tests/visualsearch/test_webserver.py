"""The web server's threads under clients that take their time, on a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

APP = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(str(len(body)))))])
    return [str(len(body)).encode()]
"""
CONFIGURATION = """
from visualsearch import webserver
webserver.PATIENCE = 1.0
worker_class = webserver.PatientWorker
threads = 2
control_socket_disable = True
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with two threads, which tells how long a request's body is."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "echo.py").write_text(APP)
    (folder / "conf.py").write_text(CONFIGURATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        str(folder / "conf.py"),
        "-b",
        f"127.0.0.1:{number}",
        "echo:app",
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"}
    with subprocess.Popen(command, cwd=folder, env=environment) as process:  # noqa: S603
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", number), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield number
        finally:
            process.terminate()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def answer(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection; one that it resets comes to nothing."""
    data = b""
    try:
        while part := client.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nHost: 127", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nabc"]
)
def test_clients_that_stop_half_way_do_not_hold_all_threads(port: int, begun: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(port)) for _ in range(6)]
        for client in slow:
            client.sendall(begun)
        other = stack.enter_context(connected(port))
        asked = time.monotonic()
        other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer(other).endswith(b"0")
        # Six, two at a time, each for a second.
        assert time.monotonic() - asked < 6
        assert not any(answer(client).startswith(b"HTTP/1.1 200") for client in slow)


def test_a_slow_client_that_goes_on_sending_is_waited_for(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 240000\r\n\r\n")
        for _turn in range(8):  # 60,000 bytes a second, for four seconds
            client.sendall(b"x" * 30_000)
            time.sleep(0.5)
        assert answer(client).endswith(b"240000")


def test_a_connection_is_used_for_several_requests(port: int) -> None:
    with connected(port) as client:
        for body in (b"abc", b"de"):
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            answered = b""
            while not answered.endswith(b"\r\n\r\n%d" % len(body)):
                part = client.recv(65_536)  # headers and body may come one after the other
                assert part, answered
                answered += part
            time.sleep(1.2)
