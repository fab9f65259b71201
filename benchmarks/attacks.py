"""Attacks on a running shop: what each costs the server, and what a shopper notices meanwhile.

    python -m benchmarks.attacks

Prints for each attack the processor seconds of a request, the largest answer, the statuses, the 95th percentile of a
shopper's home page meanwhile, and the peak of the server's memory. `benchmarks.slow_clients`, `benchmarks.passwords`,
`benchmarks.requests` and `benchmarks.imports` measure the attacks that need more than one request of a kind.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from benchmarks import hostile
from benchmarks.machine import processor
from benchmarks.server import ALONE, Server, Site

SEARCH = "/api/v1/search/"


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
    #: by their names in any case
    headers: Message
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
            return Response(response.status, response.headers, response.read())

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
        """A shopper at another address who loads a page repeatedly during the block, at least five times."""
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


Attack = Callable[[Shop], Response]


def picture(draw: Callable[[], bytes]) -> Attack:
    """Search with a picture, which is drawn once."""
    data = draw()
    return lambda shop: shop.post_file(SEARCH, data)


def json_bomb(shop: Shop) -> Response:
    """1.2 MB of empty lists where texts belong."""
    body = {"product": "x", "filters": {"category": [[]] * 400_000}}
    return shop.post_json(SEARCH, json.dumps(body, separators=(",", ":")).encode())


def long_address(shop: Shop) -> Response:
    """80,000 letters outside ASCII where a host's name belongs."""
    return shop.post_json("/postURL", json.dumps({"url": f"https://{'ü' * 80_000}.example/"}).encode())


def cookies(shop: Shop) -> Response:
    """Cookies that Python before 3.11.10 takes quadratic time for (CVE-2024-7592)."""
    return shop.get("/", {"Cookie": 'a="' + "\\" * 30_000 + '"'})


ATTACKS: dict[str, tuple[int, Callable[[], Attack]]] = {
    "an ordinary picture, 16 at once": (16, lambda: picture(lambda: hostile.jpeg_scans(1_000, 3))),
    "progressive bomb, 8 at once": (8, lambda: picture(hostile.jpeg_scans)),
    "float TIFF of 50 MP, 9 at once": (9, lambda: picture(hostile.HOSTILE["TIFF, float, in 70 strips"])),
    "HEIC grid of one tile, 8 at once": (8, lambda: picture(hostile.heif_grid)),
    "JSON error bomb, 8 at once": (8, lambda: json_bomb),
    "long address, 8 at once": (8, lambda: long_address),
    "cookies of backslashes, 8 at once": (8, lambda: cookies),
    "products of the sitemap, 16 at once": (16, lambda: lambda shop: shop.get("/sitemap-products.xml")),
}
"""Name -> how many at once, and what makes it."""


def attack(shop: Shop, times: int, make: Callable[[], Attack]) -> tuple[Cost, Visits, list[Response]]:
    """Send an attack so often at once. The cost is that of all of them and of the shopper's visits."""
    send = make()
    with ThreadPoolExecutor(times) as threads, shop.cost() as cost, shop.shopper() as visits:
        responses = list(threads.map(send, [shop] * times))
    return cost, visits, responses


def main() -> None:
    print(processor())
    with tempfile.TemporaryDirectory() as folder, running_shop(Path(folder), products=60) as shop:
        for name, (times, make) in ATTACKS.items():
            cost, visits, responses = attack(shop, times, make)
            statuses = Counter(response.status for response in responses)
            print(
                f"{name}: {cost.processor_seconds / times * 1000:.0f} ms of processor time each, "
                f"answers of {max(len(response.body) for response in responses):,} bytes at most, "
                f"statuses {dict(statuses)}; home page p95 {visits.p95 * 1000:.0f} ms, "
                f"{len(visits.failures)} failures; peak memory {cost.peak_megabytes:.0f} MB"
            )


if __name__ == "__main__":
    main()
