"""The real server and a real browser. Each is started once, for all tests; each test has contexts of its own.

The process of the tests never opens the shop's database: what a test needs there is put there by a command of its own
process (`furnishing`), so these tests go together with all others in any order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import DESK, PHONE, BrowserMissing, browser, chromium
from benchmarks.server import ALONE, Site
from tests.browser.furnishing import PASSWORD, SUPERUSER
from tests.browser.shop import Shop
from tests.browser.visits import PATIENCE, Opener, Visits
from tests.browser.watch import Watch

HERE = Path(__file__).parent
PRODUCTS = 60

_visits = pytest.StashKey[Visits]()

expect.set_options(timeout=PATIENCE)


# How these tests stand among the others ---------------------------------------------------------------------------


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests first. And while Playwright runs, Django takes this thread for an asynchronous one."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Trouble in a page fails the test that met it."""
    result = yield
    if visits := pyfuncitem.stash.get(_visits, None):
        visits.watch.verify()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the pages of a failed test looked like, and say where."""
    report = yield
    visits = item.stash.get(_visits, None)
    if visits and report.when == "call" and report.failed:
        folder = visits.keep()
        told = f"Pictures and traces are in {folder}\nTo see a trace: playwright show-trace FILE"
        for title, text in (("browser", told), ("server", visits.shop_logs())):
            if hasattr(report.longrepr, "addsection"):
                report.longrepr.addsection(title, text)
    return report


# The server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_installed() -> None:
    """Before anything slow is done for nothing."""
    try:
        chromium()
    except BrowserMissing as error:
        if os.environ.get("CI", "").lower() in {"", "0", "false"}:
            pytest.skip(str(error))
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def shop(browser_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The demo shop, as `make run` starts it, with its worker."""
    folder = tmp_path_factory.mktemp("shop")
    site = Site(folder / "data", ALONE)
    site.data_dir.mkdir()
    site.prepare()
    site.run("manage.py", "load_demo", "--products", str(PRODUCTS))
    site.run("-m", "tests.browser.furnishing")
    (folder / "pictures").mkdir()
    with site.serve(worker=True, logs=folder) as server:
        server.wait_until_ready()
        yield Shop(server, folder / "pictures")


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A shop without products or index, before it is opened."""
    site = Site(tmp_path_factory.mktemp("empty-shop"), ALONE)
    site.prepare()
    return site


@pytest.fixture(scope="session")
def empty_shop(browser_installed: None, empty_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop without products or index."""
    folder = tmp_path_factory.mktemp("empty-shop-logs")
    with empty_site.serve(logs=folder) as server:
        yield Shop(server, folder)


@pytest.fixture(scope="session")
def strict_shop(
    browser_installed: None, empty_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The same shop where one may search once an hour."""
    folder = tmp_path_factory.mktemp("strict-shop-logs")
    site = replace(empty_site, variables={**ALONE, "SEARCH_RATE": "1/hour"})
    with site.serve(logs=folder) as server:
        yield Shop(server, folder)


# The browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chrome(browser_installed: None) -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def visits(
    chrome: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visits]:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:60]
    opened = request.node.stash[_visits] = Visits(chrome, name, tmp_path_factory)
    yield opened
    opened.close()


@pytest.fixture
def watch(visits: Visits) -> Watch:
    """What is watched in this test's pages: `watch.expects(404)` lets such answers pass."""
    return visits.watch


@pytest.fixture
def open_page(visits: Visits, shop: Shop) -> Opener:
    """Opens a page with whatever options Playwright's contexts take: `open_page(locale="ja-JP")`."""
    return lambda **options: visits.open(shop, **options)


@pytest.fixture
def desk(open_page: Opener) -> Page:
    """A page at a desk, for the mouse and the keyboard."""
    return open_page(**DESK)


@pytest.fixture
def phone(open_page: Opener) -> Page:
    """A page on a phone, for fingers."""
    return open_page(**PHONE)


@pytest.fixture
def no_script(open_page: Opener) -> Page:
    """A page at a desk whose browser runs no scripts."""
    return open_page(**DESK, java_script_enabled=False)


@pytest.fixture(params=["", "/ja"], ids=["en", "ja"])
def language(request: pytest.FixtureRequest) -> str:
    """What addresses begin with in each language: `page.goto(f"{language}/products/")`."""
    return str(request.param)


@pytest.fixture
def ask(shop: Shop) -> Callable[..., None]:
    """Searches in a page with a product's photo, or with a file, and ends at its results."""

    def asking(page: Page, file: Path | None = None) -> None:
        page.goto("/search/")
        page.locator("main").get_by_label("Choose a photo").set_input_files(file or shop.photo_of(shop.products[0]))
        sending = page.locator("main form[enctype] button").last
        if sending.is_visible():
            sending.click()
        page.wait_for_url("**/search/*-*/")

    return asking


@pytest.fixture(scope="session")
def signed_in(chrome: Browser, shop: Shop) -> dict[str, Any]:
    """A superuser's cookies, as `open_page(storage_state=signed_in)` takes them."""
    with chrome.new_context(base_url=shop.url) as context:
        page = context.new_page()
        page.goto("/admin/")
        page.locator("[name=username]").fill(SUPERUSER)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=password]").press("Enter")
        page.wait_for_url("**/admin/")
        return dict(context.storage_state())


@pytest.fixture
def staff(open_page: Opener, signed_in: dict[str, Any]) -> Page:
    """A page at a desk in which a superuser has signed in."""
    return open_page(**DESK, storage_state=signed_in)
