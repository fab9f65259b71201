"""The real server and a real browser. Each is started once, for all tests. Tests share contexts that were cleaned
between them (`visits`).

The process of the tests never opens the shop's database: what a test needs there is put there by a command of its own
process (`furnishing`), so these tests go together with all others in any order.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from benchmarks.browser import DESK, PHONE, BrowserMissing, browser, chromium
from benchmarks.server import ALONE, Site
from tests.browser.furnishing import EDITOR, OPERATOR, PASSWORD, SUPERUSER, VIEWER
from tests.browser.shop import Shop
from tests.browser.visits import PATIENCE, THOROUGH, Opener, Visits
from tests.browser.watch import Watch

HERE = Path(__file__).parent
PRODUCTS = 60

_visits = pytest.StashKey[Visits]()

expect.set_options(timeout=PATIENCE)


# Hooks --------------------------------------------------------------------------------------------------------------


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the other tests first: while Playwright runs, Django takes this thread for an asynchronous one."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Errors in a page fail its test."""
    result = yield
    if visits := pyfuncitem.stash.get(_visits, None):
        visits.watch.verify()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep screenshots and traces of a failed test, and name their folder."""
    report = yield
    visits = item.stash.get(_visits, None)
    if visits and report.when == "call" and report.failed:
        folder = visits.keep()
        told = f"Pictures and traces are in {folder}\nTo see a trace: playwright show-trace FILE"
        told += "" if THOROUGH else "\nWith TRACE=1 the traces show the pages at each step."
        for title, text in (("browser", told), ("server", visits.shop_logs())):
            if hasattr(report.longrepr, "addsection"):
                report.longrepr.addsection(title, text)
    return report


# The server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_installed() -> None:
    """Skip, or fail on CI, before anything slow is set up."""
    try:
        chromium()
    except BrowserMissing as error:
        if os.environ.get("CI", "").lower() in {"", "0", "false"}:
            pytest.skip(str(error))
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def prepared(browser_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with a migrated database and collected static files, which all shops are copied from."""
    site = Site(tmp_path_factory.mktemp("prepared") / "data", ALONE)
    site.data_dir.mkdir()
    site.prepare()
    return site


def another(prepared: Site, folder: Path, **variables: str) -> Site:
    """A copy of the prepared site."""
    shutil.copytree(prepared.data_dir, folder / "data")
    return Site(folder / "data", {**ALONE, **variables})


@pytest.fixture(scope="session")
def shop(prepared: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The demo shop, as `make run` starts it, with its worker."""
    folder = tmp_path_factory.mktemp("shop")
    # A picture's address may be one of this very shop's.
    site = another(prepared, folder, FETCH_PRIVATE_ADDRESSES="127.0.0.1")
    site.run("manage.py", "load_demo", "--products", str(PRODUCTS))
    site.run("-m", "tests.browser.furnishing")
    (folder / "pictures").mkdir()
    with site.serve(worker=True, logs=folder) as server:
        server.wait_until_ready()
        yield Shop(server, folder / "pictures")


@pytest.fixture(scope="session")
def empty_shop(prepared: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop without products or index, with a superuser."""
    folder = tmp_path_factory.mktemp("empty-shop")
    site = another(prepared, folder)
    site.run("-m", "tests.browser.furnishing", "superuser")
    with site.serve(logs=folder) as server:
        yield Shop(server, folder)


@pytest.fixture
def new_shop(prepared: Site, tmp_path: Path) -> Iterator[Shop]:
    """An empty shop with a worker, for one test, which may fill it."""
    site = another(prepared, tmp_path)
    site.run("-m", "tests.browser.furnishing", "superuser")
    with site.serve(worker=True, logs=tmp_path) as server:
        yield Shop(server, tmp_path)


@pytest.fixture(scope="session")
def strict_shop(prepared: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop without products that allows one search per hour."""
    folder = tmp_path_factory.mktemp("strict-shop")
    with another(prepared, folder, SEARCH_RATE="1/hour").serve(logs=folder) as server:
        yield Shop(server, folder)


# The browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chrome(browser_installed: None) -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def idle_contexts() -> dict[str, BrowserContext]:
    """Contexts that earlier tests have left, by their options."""
    return {}


@pytest.fixture
def visits(
    chrome: Browser,
    idle_contexts: dict[str, BrowserContext],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Visits]:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:60]
    opened = request.node.stash[_visits] = Visits(chrome, idle_contexts, name, tmp_path_factory)
    yield opened
    opened.close()


@pytest.fixture
def watch(visits: Visits) -> Watch:
    """Collects errors of this test's pages: `watch.expects(404)` accepts such responses."""
    return visits.watch


@pytest.fixture
def open_page(visits: Visits, shop: Shop) -> Opener:
    """Opens a page with options of Playwright's contexts: `open_page(locale="ja-JP")`."""
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


@pytest.fixture(scope="session")
def searches() -> dict[str, str]:
    """File name -> path of the results, for pictures that were searched with before."""
    return {}


@pytest.fixture
def ask(shop: Shop, searches: dict[str, str]) -> Callable[..., None]:
    """Opens the results of a product's photo, or of a file.

    A search does not change, so tests share one per picture, sent through the API. Uploading in a page is tested in
    `test_asking`. `own` is for a test that deletes the picture.
    """

    def asking(page: Page, file: Path | None = None, *, language: str = "", own: bool = False) -> None:
        file = file or shop.photo_of(shop.products[0])
        if own or file.name not in searches:
            answer = page.request.post("/api/v1/search/", multipart={"image": file})
            assert answer.ok, answer.text()
            address = urlsplit(answer.json()["permalink"]).path
            if not own:
                searches[file.name] = address
        page.goto(language + (address if own else searches[file.name]))

    return asking


# Staff ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cookies() -> dict[tuple[str, str], Any]:
    """(shop, account) -> the state of its signed-in browser."""
    return {}


@pytest.fixture
def sign_in(visits: Visits, chrome: Browser, cookies: dict[tuple[str, str], Any]) -> Callable[..., Page]:
    """Opens a page as a signed-in account: `sign_in(shop, EDITOR)`, with options of Playwright's contexts."""

    def signing_in(shop: Shop, name: str = SUPERUSER, **options: Any) -> Page:
        if (shop.url, name) not in cookies:
            with chrome.new_context(base_url=shop.url) as context:
                page = context.new_page()
                page.goto("/admin/login/?next=/admin/jsi18n/")  # the fastest page behind the login
                page.locator("[name=username]").fill(name)
                page.locator("[name=password]").fill(PASSWORD)
                page.locator("[name=password]").press("Enter")
                page.wait_for_url("**/admin/jsi18n/")
                cookies[shop.url, name] = context.storage_state()
        return visits.open(shop, **{**DESK, "storage_state": cookies[shop.url, name], **options})

    return signing_in


@pytest.fixture
def staff(sign_in: Callable[..., Page], shop: Shop) -> Page:
    """A page at a desk in which a superuser has signed in."""
    return sign_in(shop)


@pytest.fixture
def editor(sign_in: Callable[..., Page], shop: Shop) -> Page:
    """A page of someone who edits the catalogue."""
    return sign_in(shop, EDITOR)


@pytest.fixture
def operator(sign_in: Callable[..., Page], shop: Shop) -> Page:
    """A page of someone who looks after search."""
    return sign_in(shop, OPERATOR)


@pytest.fixture
def viewer(sign_in: Callable[..., Page], shop: Shop) -> Page:
    """A page of someone who may only look."""
    return sign_in(shop, VIEWER)
