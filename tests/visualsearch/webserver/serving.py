"""A small application on the project's own worker of gunicorn."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]

APPLICATION = """
import os, time
from pathlib import Path
import visualsearch.wsgi  # sets Django up, which refusals are rendered with

LARGE = Path(__file__).with_name("large")
LARGE.write_bytes(bytes(range(256)) * 20_000)  # 5 MB
RELEASED = Path(__file__).with_name("released")  # requests of /wait are answered once it exists
calls = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    calls.append(path)
    if environ.get("visualsearch.before_body"):
        start_response("100 Continue" if path == "/staff" else "413 Content Too Large", [("Connection", "close")])
        return [b"" if path == "/staff" else b"too large"]
    if path == "/readyz":
        answer = str(calls.count(path)).encode()
    elif path == "/wait":
        while not RELEASED.exists():
            time.sleep(0.01)
        answer = b"waited"
    elif path == "/file":
        start_response("200 OK", [("Content-Length", str(LARGE.stat().st_size))])
        return environ["wsgi.file_wrapper"](LARGE.open("rb"), 4096)
    elif path == "/stream":
        start_response("200 OK", [])
        return (b"x" * 50_000 for _ in range(40))
    elif path == "/environ":
        names = sorted(name for name in environ if not name.startswith("wsgi."))
        answer = "\\n".join(f"{name}={environ[name]}" for name in names).encode()
    elif path == "/calls":
        answer = ",".join(calls).encode()
    elif path == "/pid":
        answer = str(os.getpid()).encode()
    else:
        answer = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(source, 0))

    def send(self, request: bytes, source: str = "127.0.0.1") -> bytes:
        """What comes back on a connection of its own until the server closes it."""
        with self.connect(source) as client:
            client.sendall(request)
            return received(client)

    def get(self, path: str, source: str = "127.0.0.1", headers: str = "") -> bytes:
        """The body of an answer with 200."""
        answer = self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n".encode(), source)
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        return answer.partition(b"\r\n\r\n")[2]

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A request whose connection ends with it."""
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: a", b"Connection: close", *fields, b"", body])


def received(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    data = bytearray()
    try:
        while part := client.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return bytes(data)


def exchange(client: socket.socket, request: bytes, ending: bytes) -> bytes:
    """Send something and read until the answer, which may come in parts, ends as it should."""
    client.sendall(request)
    data = bytearray()
    while not data.endswith(ending):
        part = client.recv(65_536)
        assert part, bytes(data)
        data += part
    return bytes(data)


@contextmanager
def served(folder: Path, configuration: str) -> Iterator[Server]:
    """The application on a server with two threads; `configuration` is Python that gunicorn reads, and may set limits
    of `Worker` and `connections`."""
    (folder / "application.py").write_text(APPLICATION)
    lines = [
        "from dataclasses import replace",
        "from visualsearch.webserver import connections",
        "from visualsearch.webserver.worker import Worker",
        "worker_class = Worker",
        "threads = 2",
        "control_socket_disable = True",
        "graceful_timeout = 5",
        configuration,
    ]
    (folder / "conf.py").write_text("\n".join(lines))
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "-b", f"127.0.0.1:{port}", "application:app"]
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{folder}",
        "DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "visualsearch.settings",
        "DEBUG": "true",  # refusals name static files, which are not collected here
    }

    def listens() -> bool:
        assert process.poll() is None
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log) as process,  # noqa: S603
    ):
        try:
            until(listens)
            server = Server(port, process)
            server.get("/")  # answered once the application is loaded
            yield server
        finally:
            process.terminate()
