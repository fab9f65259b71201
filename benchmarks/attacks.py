"""Attacks on a running shop: what each costs the server, and what a shopper notices meanwhile.

    python -m benchmarks.attacks [NAME ...]

Each attack is a function registered below. It prints processor seconds of the web server, the peak of its memory and
the 95th percentile of a shopper's page loads.
"""

from __future__ import annotations

import contextlib
import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import ALONE, Server, Site


@dataclass
class Cost:
    """What the web server has used since a moment."""

    #: processor seconds of all its processes
    processor_seconds: float = 0.0
    #: largest resident memory of one of its processes since it started, in MB
    peak_megabytes: float = 0.0


@dataclass
class Visits:
    """A shopper's page loads."""

    #: seconds, in their order
    seconds: list[float] = field(default_factory=list)
    #: what went wrong instead of a page
    failures: list[str] = field(default_factory=list)

    @property
    def p95(self) -> float:
        """The 95th percentile in seconds; at least two visits are needed."""
        return statistics.quantiles(self.seconds, n=20)[-1]


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Shop:
    """A running shop that may be attacked. It listens on the loopback at `port`."""

    site: Site
    server: Server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return self.server.url

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 60.0,
        source: str = "127.0.0.1",
    ) -> Response:
        """One request on a connection of its own, from an address of the loopback (127.0.0.0/8)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(source, 0))
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Response(response.status, dict(response.getheaders()), response.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, headers=headers)

    def post_json(self, path: str, body: bytes) -> Response:
        return self.request("POST", path, body, {"Content-Type": "application/json"})

    def post_file(self, path: str, data: bytes, name: str = "image") -> Response:
        """A form with one file."""
        boundary = "----attack-boundary"
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"; filename="photo"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        return self.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    @contextmanager
    def cost(self) -> Iterator[Cost]:
        """What the server uses within the block; known after it."""
        cost = Cost()
        before = self.server.processor_ms() or 0.0
        yield cost
        cost.processor_seconds = ((self.server.processor_ms() or 0.0) - before) / 1000
        cost.peak_megabytes = self.server.peak_megabytes()

    @contextmanager
    def shopper(self, path: str = "/", source: str = "127.0.0.2") -> Iterator[Visits]:
        """Somebody at another address who loads a page again and again during the block, at least five times."""
        visits = Visits()
        done = threading.Event()

        def visit() -> None:
            while not (done.is_set() and len(visits.seconds) + len(visits.failures) >= 5):
                began = time.perf_counter()
                try:
                    status = self.request("GET", path, source=source).status
                except (OSError, http.client.HTTPException) as error:
                    visits.failures.append(repr(error))
                else:
                    if status != http.client.OK:
                        visits.failures.append(str(status))
                visits.seconds.append(time.perf_counter() - began)
                done.wait(0.05)

        thread = threading.Thread(target=visit, daemon=True)
        thread.start()
        try:
            yield visits
        finally:
            done.set()
            thread.join()


@contextmanager
def running_shop(folder: Path, *, products: int, **variables: str) -> Iterator[Shop]:
    """A demo shop of its own in `folder` on the production web server; `variables` are settings."""
    site = Site(folder / "data", {**ALONE, **variables})
    site.data_dir.mkdir(parents=True)
    site.prepare()
    site.run("manage.py", "load_demo", "--products", str(products))
    with site.serve(logs=folder) as server:
        server.wait_until_ready()
        yield Shop(site, server)
