"""What hostile requests cost a running server, and how exactly it counts searches.

`python -m benchmarks.requests [--json]` serves an empty shop with the production server and sends it bodies,
addresses and cookies that are made to cost much: processor time of the server for each, and the largest answer. Then
one client searches on sixteen threads, and two processes count in the database and, where `redis-server` is
installed, in Redis: how many searches pass, as a multiple of `SEARCH_RATE`. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.machine import processor
from benchmarks.server import ALONE, Server, Site

TIMES = 20
"""Of each hostile request: the kernel counts processor time in hundredths of a second."""

RATE = 60
THREADS, SEARCHES = 16, 300

SEARCH = "/api/v1/search/"
JSON, FORM = "application/json", "multipart/form-data; boundary=edge"

MOST_BYTES = 4_096
MOST_MULTIPLE = 1.05

Request = tuple[str, bytes, dict[str, str]]


def _field(name: str, value: str) -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return f"{head}{value}\r\n--edge--\r\n".encode()


def hostile() -> Iterator[tuple[str, float, Request]]:
    """Each kind, the milliseconds of processor time that it may take, and the request."""
    lists = ",".join(["[]"] * 400_000)
    letters = "ü" * 80_000
    for name in ("category", "like", "box"):
        bomb = f'{{"{name}": [{lists}]}}' if name != "category" else f'{{"filters": {{"category": [{lists}]}}}}'
        yield f"JSON of 400,000 lists, {name}", 50, (SEARCH, bomb.encode(), {"Content-Type": JSON})
    names = json.dumps({f"name {number}": 1 for number in range(1_900)}).encode()
    yield "JSON of 1,900 names", 50, (SEARCH, names, {"Content-Type": JSON})
    # Each as large as it is admitted; the request itself takes its few milliseconds too.
    for path, field in (("/postURL", "url"), (SEARCH, "image_url")):
        body = json.dumps({field: "https://" + letters[:32_000]}, ensure_ascii=False).encode()
        yield f"address of 32,000 letters, {path}", 20, (path, body, {"Content-Type": JSON})
    yield "address of 80,000 letters, form", 20, (SEARCH, _field("image_url", letters), {"Content-Type": FORM})
    parts = b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 20_000
    yield "form of 20,000 parts", 50, (SEARCH, parts, {"Content-Type": FORM})
    cookies = {"Content-Type": JSON, "Cookie": 'a="' + "\\" * 8_000 + '"'}
    yield "8 KB of backslashes in a cookie", 20, (SEARCH, b"{}", cookies)


def ask(server: Server, request: Request) -> tuple[int, bytes]:
    path, body, headers = request
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def costs(server: Server) -> dict[str, Any]:
    """By kind: milliseconds of the server's processor time each, bytes of the largest answer, and the statuses."""
    measured = {}
    for kind, most_ms, request in hostile():
        ask(server, request)
        before = server.processor_ms() or 0.0
        answers = [ask(server, request) for _ in range(TIMES)]
        measured[kind] = {
            "ms": round(((server.processor_ms() or 0.0) - before) / TIMES, 1),
            "most_ms": most_ms,
            "bytes": max(len(body) for _status, body in answers),
            "statuses": sorted({status for status, _body in answers}),
        }
    return measured


def passed(server: Server) -> Counter[int]:
    """The statuses of `SEARCHES` searches that one address sends on `THREADS` threads."""
    search: Request = (SEARCH, b'{"product": "none"}', {"Content-Type": JSON})
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(lambda _number: ask(server, search)[0], range(SEARCHES)))


def served(folder: Path, measure: Callable[[Server], Any], **variables: str) -> Any:
    folder.mkdir()
    site = Site(folder, {**ALONE, "ALLOWED_HOSTS": "127.0.0.1", **variables})
    site.prepare()
    with site.serve(logs=folder) as server:
        return measure(server)


def multiples(folder: Path) -> dict[str, float]:
    """By where it is counted: how many searches pass for each that `SEARCH_RATE` admits."""
    counters = {"database": {"REDIS_URL": ""}}
    with ExitStack() as stack:
        if shutil.which("redis-server"):
            from tests.servers.base import running
            from tests.servers.redis import Redis

            (redis,) = stack.enter_context(running(Redis))
            counters["Redis"] = redis.variables
        found = {}
        for name, variables in counters.items():
            statuses = served(
                folder / name, passed, SEARCH_RATE=f"{RATE}/min", WEB_PROCESSES="2", WEB_THREADS="8", **variables
            )
            found[name] = statuses[HTTPStatus.NOT_FOUND] / RATE  # it is counted before its product is looked for
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        requests = served(Path(scratch) / "costs", costs)
        throttle = multiples(Path(scratch))
    figures = {"processor": processor(), "requests": requests, "throttle": throttle}
    if options.json:
        print(json.dumps(figures))
    else:
        print(figures["processor"])
        for kind, one in requests.items():
            print(
                f"{kind}: {one['ms']} ms of processor time (target {one['most_ms']}), "
                f"at most {one['bytes']} bytes (target {MOST_BYTES}), status {', '.join(map(str, one['statuses']))}"
            )
        for name, multiple in throttle.items():
            print(
                f"{SEARCHES} searches on {THREADS} threads and two processes, counted in {name}: {multiple:.2f} x "
                f"SEARCH_RATE pass (target {MOST_MULTIPLE})"
            )
    missed = any(one["ms"] > one["most_ms"] or one["bytes"] > MOST_BYTES for one in requests.values())
    sys.exit(missed or any(multiple > MOST_MULTIPLE for multiple in throttle.values()))


if __name__ == "__main__":
    main()
