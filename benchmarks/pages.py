"""What the shop's pages weigh, how soon they show their main part, and how still they stand.

`python -m benchmarks.pages [--data-dir DIR] [--json]` opens the first page, a category, a product and results in
Chromium, as at a desk and as on a phone, with nothing in the browser's cache and the processor slowed down four
times. Without DIR it makes a demo shop for it. Targets: 100 KB besides photos, a shift of .02, 1.2 s until the
largest part shows. Ends with 1 if a page misses one.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.browser import DESK, PHONE, browser
from benchmarks.machine import processor
from benchmarks.server import ALONE, Server, Site

PRODUCTS = 60
RUNS = 5
SLOWDOWN = 4
SCREENS: Mapping[str, Mapping[str, Any]] = {"desk": DESK, "phone": PHONE}

MOST_BYTES = 100_000
MOST_SHIFT = 0.02
LONGEST_PAINT = 1_200
"""In milliseconds."""

OBSERVE = """() => {
    window.measured = { paint: 0, element: "", shifts: [] };
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            measured.paint = entry.startTime;
            measured.element = entry.element?.outerHTML.slice(0, 90) ?? "";
        }
    }).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) {
            const sources = entry.sources.map((source) => source.node?.outerHTML?.slice(0, 90) ?? "");
            measured.shifts.push({ value: entry.value, time: entry.startTime, sources });
        }
    }).observe({ type: "layout-shift", buffered: true });
}"""

READ_ON = """async () => {
    const steps = Math.min(20, Math.ceil(document.documentElement.scrollHeight / innerHeight));
    for (let step = 1; step <= steps; step++) {
        scrollTo({ top: step * innerHeight, behavior: "instant" });
        await new Promise((done) => setTimeout(done, 120));
    }
}"""
"""Scroll through the whole page: what comes in late may push the rest away only then."""


@dataclass(frozen=True)
class Figures:
    page: str
    screen: str
    #: Besides pictures, as they came through the network, headers included
    transferred: int
    #: Medians of the runs
    shift: float
    paint: float
    #: What was the largest part, and what had moved: to look for the cause
    largest: str
    moved: list[str]

    @property
    def misses(self) -> list[str]:
        values = (self.transferred, self.shift, self.paint)
        targets = (MOST_BYTES, MOST_SHIFT, LONGEST_PAINT)
        names = ("transferred", "shift", "paint")
        return [name for name, value, target in zip(names, values, targets, strict=True) if value > target]


@contextmanager
def shop(data_dir: Path | None) -> Iterator[Server]:
    """The shop of a folder, or a demo made for the occasion, served and ready."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(data_dir) if data_dir else Site(Path(scratch), ALONE)
        site.prepare()
        if data_dir is None:
            site.run("manage.py", "load_demo", "--products", str(PRODUCTS))
        with site.serve() as server:
            server.wait_until_ready()
            yield server


def addresses(server: Server, opened: Browser) -> dict[str, str]:
    """The pages that are measured. The results are those of a product's own photo, uploaded."""
    with urllib.request.urlopen(f"{server.url}/api/v1/products/?k=1") as answer:  # noqa: S310 - the server's own
        product = json.load(answer)["results"][0]
    with urllib.request.urlopen(product["photos"][0]["url"]) as answer:  # noqa: S310
        photo = answer.read()
    with opened.new_context(base_url=server.url, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/search/")
        page.locator("main").get_by_label("Choose a photo").set_input_files(
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
        page.locator("main form[enctype] [type=submit], main form[enctype] button:not([type])").first.click()
        page.wait_for_url(re.compile("/search/.*-"))
        found = page.url.removeprefix(server.url)
    return {
        "home": "/",
        "category": f"/categories/{product['category']}/",
        "product": product["url"].removeprefix(server.url),
        "results": found,
    }


def measure(opened: Browser, server: Server, page: tuple[str, str], screen: str, runs: int) -> Figures:
    name, path = page
    visits = [visit(opened, server, path, screen) for _ in range(runs)]
    middle = sorted(visits, key=lambda one: one["paint"])[runs // 2]
    return Figures(
        page=name,
        screen=screen,
        transferred=round(statistics.median(one["transferred"] for one in visits)),
        shift=round(statistics.median(one["shift"] for one in visits), 4),
        paint=round(middle["paint"]),
        largest=middle["largest"],
        moved=sorted({source for one in visits for source in one["moved"]}),
    )


def visit(opened: Browser, server: Server, path: str, screen: str) -> dict[str, Any]:
    """One visit by a browser that has never been in the shop."""
    with opened.new_context(base_url=server.url, **SCREENS[screen]) as context:
        page = context.new_page()
        transferred = _count(page)
        page.add_init_script(f"({OBSERVE})()")
        answer = page.goto(path, wait_until="load")
        if answer is None or not answer.ok:
            raise RuntimeError(f"{path} was answered with {answer and answer.status}.")
        page.wait_for_timeout(500)
        first = page.evaluate("measured")
        page.evaluate(READ_ON)
        page.wait_for_timeout(200)
        last = page.evaluate("measured")
        return {
            "transferred": sum(transferred.values()),
            "paint": first["paint"],
            "largest": first["element"],
            "shift": _worst_window(last["shifts"]),
            "moved": [source for shift in last["shifts"] for source in shift["sources"] if source],
        }


def _count(page: Page) -> dict[str, int]:
    """Slow the page's processor down, and count the bytes of all but pictures, by request."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))

    def finished(event: dict[str, Any]) -> None:
        if kinds.get(event["requestId"]) != "Image":
            sizes[event["requestId"]] = event["encodedDataLength"]

    session.on("Network.loadingFinished", finished)
    return sizes


def _worst_window(shifts: list[dict[str, Any]]) -> float:
    """Cumulative layout shift as browsers report it: the worst five seconds, no pause in them above one."""
    worst = total = 0.0
    start = last = -10_000.0
    for shift in shifts:
        if shift["time"] - last > 1_000 or shift["time"] - start > 5_000:
            total, start = 0.0, shift["time"]
        total, last = total + shift["value"], shift["time"]
        worst = max(worst, total)
    return worst


def table(figures: list[Figures]) -> str:
    lines = ["| page | screen | KB without photos | shift | largest part after |", "|---|---|---|---|---|"]
    for one in figures:
        marks = {name: " **missed**" if name in one.misses else "" for name in ("transferred", "shift", "paint")}
        lines.append(
            f"| {one.page} | {one.screen} | {one.transferred / 1000:.1f}{marks['transferred']} "
            f"| {one.shift:.3f}{marks['shift']} | {one.paint / 1000:.2f} s{marks['paint']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="a folder of state, such as benchmarks.ingest makes")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with shop(options.data_dir) as server, browser() as opened:
        figures = [
            measure(opened, server, page, screen, options.runs)
            for page in addresses(server, opened).items()
            for screen in SCREENS
        ]
    if options.json:
        print(json.dumps({"processor": processor(), "pages": [asdict(one) for one in figures]}))
    else:
        print(f"{processor()}; {SLOWDOWN} times slowed down; median of {options.runs}\n\n{table(figures)}")
        for one in figures:
            if one.misses:
                print(f"\n{one.page}, {one.screen}: largest part: {one.largest}")
                print("\n".join(f"  moved: {source}" for source in one.moved))
    sys.exit(any(one.misses for one in figures))


if __name__ == "__main__":
    main()
