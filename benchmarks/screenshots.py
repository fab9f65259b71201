"""The README's pictures of the shop, taken again.

`python -m benchmarks.screenshots [--out docs/screenshots] [--only NAME ...]` makes a demo shop, visits it as shoppers
and staff do, and keeps what it looks like as WebP files below 200 KB. Only drawn garments are in them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page

from benchmarks.browser import DESK, PHONE, browser
from benchmarks.server import ALONE, ROOT, Server, Site

PRODUCTS = 120
MOST_BYTES = 200_000
ACCOUNT, PASSWORD = "shopkeeper", "for pictures alone"
SCREENS: Mapping[str, Mapping[str, Any]] = {
    "desk": {**DESK, "device_scale_factor": 1.5},
    "phone": {**PHONE, "device_scale_factor": 2},
}

DECODED = """() => Promise.all(
    [...document.images]
        .filter((image) => image.getBoundingClientRect().top < innerHeight)
        .map((image) => image.decode().catch(() => {})),
)"""
"""Wait for the photos that are seen; those further down may never be asked for."""


@dataclass(frozen=True)
class Shot:
    """A picture: how the browser is set up, and what is done before it is taken."""

    name: str
    lead: Callable[[Page, Server], None]
    screen: Literal["desk", "phone"] = "desk"
    scheme: Literal["light", "dark"] = "light"


def first_page(page: Page, server: Server, language: str = "") -> None:
    page.goto(f"{language}/")


def product(page: Page, server: Server, language: str = "") -> None:
    page.goto(f"{language}/products/{_product(server)['sku']}/")


def results(page: Page, server: Server, language: str = "") -> None:
    with urllib.request.urlopen(_product(server)["photos"][0]["url"]) as answer:  # noqa: S310 - the server's own
        photo = FilePayload(name="photo.jpg", mimeType="image/jpeg", buffer=answer.read())
    page.goto(f"{language}/search/")
    page.locator("main input[type=file]").first.set_input_files(photo)
    page.wait_for_url("**/search/*-*/")


def refined(page: Page, server: Server) -> None:
    """Results with a box, a filter and two wishes."""
    results(page, server)
    wishes = page.locator("[data-grid] button[name=product]").evaluate_all("all => all.map(one => one.value)")
    page.goto(f"{page.url}?box=0.1,0.05,0.9,0.7&in_stock=true&like={wishes[2]}&dislike={wishes[5]}")


def filtered(page: Page, server: Server) -> None:
    page.goto("/categories/tops/?in_stock=true&price_max=90")


def first_page_of_staff(page: Page, server: Server) -> None:
    page.goto("/admin/")
    page.locator("[name=username]").fill(ACCOUNT)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url("**/admin/")


def products_of_staff(page: Page, server: Server) -> None:
    first_page_of_staff(page, server)
    page.goto("/admin/catalogue/product/")


def index_of_staff(page: Page, server: Server) -> None:
    first_page_of_staff(page, server)
    page.goto("/admin/search/indexversion/index/")


def japanese(lead: Callable[[Page, Server, str], None]) -> Callable[[Page, Server], None]:
    return lambda page, server: lead(page, server, "/ja")


SHOTS = [
    Shot("home", first_page),
    Shot("results", results),
    Shot("refined", refined),
    Shot("product", product),
    Shot("list", filtered),
    Shot("results-dark", results, scheme="dark"),
    Shot("results-phone", results, "phone"),
    Shot("home-phone", first_page, "phone"),
    Shot("results-japanese", japanese(results)),
    Shot("admin", first_page_of_staff),
    Shot("admin-products", products_of_staff),
    Shot("admin-index", index_of_staff),
]


def _product(server: Server) -> dict[str, Any]:
    """A patterned dress that is in stock shows best what search does; any other product does otherwise."""
    with urllib.request.urlopen(f"{server.url}/api/v1/products/?k=200") as answer:  # noqa: S310 - the server's own
        listed: list[dict[str, Any]] = [one for one in json.load(answer)["results"] if one["photos"]]
    dresses = [one for one in listed if one["in_stock"] and one["attributes"].get("pattern") == "floral"]
    return (dresses or listed)[0]


def take(opened: Browser, server: Server, shot: Shot) -> bytes:
    """The picture as WebP, as good as its size allows."""
    with opened.new_context(
        base_url=server.url, color_scheme=shot.scheme, reduced_motion="reduce", **SCREENS[shot.screen]
    ) as context:
        page = context.new_page()
        shot.lead(page, server)
        page.wait_for_load_state("networkidle")
        page.evaluate(DECODED)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in range(88, 30, -6):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() < MOST_BYTES:
            break
    return buffer.getvalue()


@contextmanager
def shop() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch), {**ALONE, "DJANGO_SUPERUSER_PASSWORD": PASSWORD})
        site.prepare()
        site.run("manage.py", "load_demo", "--products", str(PRODUCTS))
        site.run("manage.py", "createsuperuser", "--no-input", "--username", ACCOUNT, "--email", "staff@shop.example")
        with site.serve(worker=True) as server:
            server.wait_until_ready()
            yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--only", nargs="*", choices=[shot.name for shot in SHOTS], default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with shop() as server, browser() as opened:
        for shot in SHOTS:
            if not options.only or shot.name in options.only:
                file = options.out / f"{shot.name}.webp"
                file.write_bytes(take(opened, server, shot))
                print(f"{os.path.relpath(file)}: {file.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
