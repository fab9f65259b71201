"""How long a client waits for the API of the production server.

`python -m benchmarks.latency --data-dir DIR FOLDER [--json]` serves the catalogue that `benchmarks.ingest --data-dir
DIR FOLDER` made with the production server, and sends requests one after another, as one client: photos of the folder
as uploads, and products for those similar to them. Targets: p50 30 ms and p95 60 ms; p50 12 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.machine import processor
from benchmarks.server import Site

BOUNDARY = "picture-boundary"


def measure(request: Callable[[Any], tuple[int, Any]], inputs: list[Any], warm: int = 10) -> dict[str, float]:
    """Times of requests in milliseconds; the first few are not counted."""
    times = []
    for number, value in enumerate(inputs):
        start = time.perf_counter()
        status, body = request(value)
        elapsed = (time.perf_counter() - start) * 1000
        if status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"The server answered {status}: {body}")
        if number >= warm:
            times.append(elapsed)
    times.sort()
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95)], 1),
        "requests": len(times),
    }


def run(data_dir: Path, folder: Path, number: int) -> dict[str, Any]:
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = random.Random(1).sample(photos, min(number, len(photos)))
    site = Site(data_dir)
    site.prepare()
    with site.serve() as server:
        server.wait_until_ready()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

        def call(method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, Any]:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

        def upload(path: Path) -> tuple[int, Any]:
            head = (
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
                "Content-Type: image/jpeg\r\n\r\n"
            )
            body = head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
            return call("POST", "/api/v1/search/", body, f"multipart/form-data; boundary={BOUNDARY}")

        def similar(sku: str) -> tuple[int, Any]:
            return call("GET", f"/api/v1/products/{quote(sku)}/similar/")

        uploads = measure(upload, chosen)
        skus = [result["sku"] for path in chosen[:40] for result in upload(path)[1]["results"]]
        return {
            "processor": processor(),
            "upload": uploads,
            "similar": measure(similar, random.Random(2).sample(skus, min(number, len(skus)))),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=210)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = run(options.data_dir, options.folder, options.requests)
    if options.json:
        print(json.dumps(result))
        return
    print(result["processor"])
    for name, target in (("upload", "p50 30, p95 60"), ("similar", "p50 12")):
        figures = result[name]
        print(f"{name}: p50 {figures['p50_ms']} ms, p95 {figures['p95_ms']} ms over {figures['requests']} ({target})")


if __name__ == "__main__":
    main()
