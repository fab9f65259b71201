"""Pages meet WCAG 2.2 AA as far as axe can tell, in light and in dark.

A state is a line in one of the lists below, or a function that leads a page to it. States that another test comes
through anyway are checked there, with `accessibility.check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import DESK, PHONE
from tests.browser import accessibility, furnishing, hands
from tests.browser import desk as admin
from tests.browser.shop import Shop
from tests.browser.visits import Opener, Visits
from tests.browser.watch import Watch

Ask = Callable[..., None]


class State(NamedTuple):
    name: str
    path: str
    #: Other than 200
    status: int = 200


def ids(states: list[State]) -> list[str]:
    return [state.name for state in states]


# Pages that an address is enough for ------------------------------------------------------------------------------

PAGES = [
    State("home", "/"),
    State("list", "/products/"),
    State("last page of a list", "/products/?page=3"),
    State("list with filters", "/products/?in_stock=true&price_max=100&category=tops&sort=price_up"),
    State("list that is empty", "/products/?price_max=0.01"),
    State("list with values that cannot be used", "/products/?price_min=cheap&category=none", 400),
    State("category", "/categories/tops/"),
    State("category without children", "/categories/t-shirts/"),
    State("product", "/products/DEMO-0001/"),
    State("product that is sold out", f"/products/{furnishing.SOLD_OUT}/"),
    State("product without a photo", f"/products/{furnishing.WITHOUT_PHOTO}/"),
    State("product without a price", f"/products/{furnishing.WITHOUT_PRICE}/"),
    State("ask", "/search/"),
    State("about", "/about/"),
    State("privacy", "/privacy/"),
    State("not found", "/nowhere/", 404),
]
#: The main ones, by their names
IN_JAPANESE = [
    state for state in PAGES if state.name in {"home", "list with filters", "category", "product", "ask", "privacy"}
]


@pytest.mark.parametrize("state", PAGES, ids=ids(PAGES))
def test_pages(state: State, desk: Page, watch: Watch) -> None:
    visit(desk, state, watch)
    accessibility.check(desk)


@pytest.mark.parametrize("state", PAGES, ids=ids(PAGES))
def test_pages_on_a_phone(state: State, phone: Page, watch: Watch) -> None:
    visit(phone, state, watch)
    assert accessibility.fits(phone)
    accessibility.check(phone)


@pytest.mark.parametrize("state", IN_JAPANESE, ids=ids(IN_JAPANESE))
def test_pages_in_japanese(state: State, desk: Page, watch: Watch) -> None:
    visit(desk, state._replace(path=f"/ja{state.path}"), watch)
    accessibility.check(desk)


def visit(page: Page, state: State, watch: Watch) -> None:
    if state.status != 200:
        watch.expects(state.status)
    answer = page.goto(state.path)
    assert answer is not None
    assert answer.status == state.status
    assert "unsafe-eval" not in answer.headers["content-security-policy"]
    assert page.locator("html").get_attribute("lang") == ("ja" if state.path.startswith("/ja/") else "en")
    if "/admin/" not in state.path:
        expect(page.get_by_role("heading", level=1)).to_be_visible()


# Results, whose address is known only after a search --------------------------------------------------------------

RESULTS = [
    State("results", ""),
    State("with wishes", "?like=DEMO-0002&dislike=DEMO-0003"),
    State("with filters", "?category=tops&in_stock=true&colour_weight=0.4"),
    State("with a box", "?box=0.2,0.2,0.8,0.7"),
    State("with filters that leave nothing", "?price_max=0.01"),
    State("with values that cannot be used", "?price_min=x&category=none&box=1,2,3&colour_weight=9&like=a", 400),
]


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("state", RESULTS, ids=ids(RESULTS))
def test_results(state: State, screen: dict[str, object], open_page: Opener, ask: Ask, watch: Watch) -> None:
    page = open_page(**screen)
    ask(page)
    if state.path:
        visit(page, state._replace(path=page.url + state.path), watch)
    if screen is PHONE:
        assert accessibility.fits(page)
    accessibility.check(page)


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_results_in_japanese(screen: dict[str, object], open_page: Opener, ask: Ask) -> None:
    page = open_page(**screen)
    ask(page, language="/ja")
    page.goto(f"{page.url}?like=DEMO-0002&in_stock=true&box=0.2,0.2,0.8,0.7")
    accessibility.check(page)


def test_results_with_everything_unfolded(desk: Page, ask: Ask) -> None:
    ask(desk)
    for fold in desk.locator("main summary").all():
        fold.press("Enter")  # one of them shows only where the keyboard is
    accessibility.check(desk)


# What opens over a page -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_the_dialog_to_ask_with(screen: dict[str, object], open_page: Opener) -> None:
    page = open_page(**screen)
    page.goto("/products/")
    page.locator("[data-ask-open]").first.click()
    page.get_by_role("dialog").wait_for()
    accessibility.check(page)


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_a_photo_seen_whole(screen: dict[str, object], open_page: Opener) -> None:
    page = open_page(**screen)
    page.goto("/products/DEMO-0001/")
    page.locator("[data-photos] a").first.click()
    page.get_by_role("dialog").wait_for()
    accessibility.check(page)
    page.get_by_role("button", name="Enlarge").click()
    accessibility.check(page)


# Answers that are errors ------------------------------------------------------------------------------------------


def test_a_file_that_is_no_picture(desk: Page, shop: Shop, watch: Watch) -> None:
    watch.expects(415)
    desk.goto("/search/")
    desk.get_by_label("Choose a photo").set_input_files(shop.no_picture())
    desk.get_by_role("alert").filter(has_text="not a picture").wait_for()
    accessibility.check(desk)


@pytest.mark.parametrize("name", ["answered", "counted"])
def test_a_search_that_is_refused_in_its_place(
    name: str, visits: Visits, empty_shop: Shop, strict_shop: Shop, watch: Watch
) -> None:
    shop, sentence = {
        "answered": (empty_shop, "Search is unavailable right now"),
        "counted": (strict_shop, "Try again in"),
    }[name]
    page = visits.open(shop, **DESK)
    watch.expects(503, 429)
    page.goto("/search/")
    alert = page.get_by_role("alert")
    for _ in range(2):
        page.get_by_label("Choose a photo").set_input_files(shop.drawn_photo())
        alert.filter(has_text=re.compile(".")).wait_for()
    alert.filter(has_text=sentence).wait_for()
    accessibility.check(page)


def test_a_search_that_is_refused_on_a_page_of_its_own(
    visits: Visits, empty_shop: Shop, strict_shop: Shop, watch: Watch
) -> None:
    """The form's own answer, as it is where the page's script has not come."""
    watch.expects(503, 429)
    for shop, times, title in (
        (empty_shop, 1, "Search is unavailable"),
        (strict_shop, 2, "Too many searches"),
    ):
        page = visits.open(shop, **DESK)
        page.route("**/js/ask.*", lambda route: route.abort("aborted"))
        for _ in range(times):
            page.goto("/search/")
            page.get_by_label("Choose a photo").set_input_files(shop.drawn_photo())
            with page.expect_navigation():
                page.locator("main form[enctype]").evaluate("form => form.requestSubmit()")
        page.get_by_role("heading", name=title).wait_for()
        accessibility.check(page)


@pytest.mark.parametrize("path", ["/", "/products/"])
def test_an_empty_shop(path: str, visits: Visits, empty_shop: Shop) -> None:
    page = visits.open(empty_shop, **DESK)
    page.goto(path)
    accessibility.check(page)


# What stands on no page of its own --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", PAGES[:1] + IN_JAPANESE[1:3], ids=lambda state: state.name)
def test_focus_is_always_visible(state: State, desk: Page) -> None:
    desk.goto(state.path)
    unseen = [stop for stop in hands.tab_through(desk, 30) if not stop.visible]
    assert unseen == []


# The admin --------------------------------------------------------------------------------------------------------

# Of long lists a few rows, which are made like the others: axe looks at each.
ADMIN = [
    State("first page", "/admin/"),
    State("products", f"{admin.PRODUCTS}?q=DEMO-000"),
    State("products that are filtered", f"{admin.PRODUCTS}?visible=no&q=test"),
    State("no products", f"{admin.PRODUCTS}?q=nothing-is-called-so"),
    State("new product", f"{admin.PRODUCTS}add/"),
    State("import", f"{admin.PRODUCTS}import/"),
    State("export", f"{admin.PRODUCTS}export/"),
    State("photos", "/admin/catalogue/productimage/?q=DEMO-000"),
    State("categories", "/admin/catalogue/category/"),
    State("new category", "/admin/catalogue/category/add/"),
    State("brands", "/admin/catalogue/brand/"),
    State("index", admin.INDEX),
    State("rebuild", f"{admin.INDEX}rebuild/"),
    State("discard", f"{admin.INDEX}discard/"),
    State("index versions", "/admin/search/indexversion/"),
    State("photos in the index", "/admin/search/indexentry/"),
    State("queries", "/admin/search/query/"),
    State("users", "/admin/auth/user/"),
    State("new user", "/admin/auth/user/add/"),
    State("groups", "/admin/auth/group/"),
    State("failed sign-ins", "/admin/axes/accessattempt/"),
    State("second factor", "/admin/second-factor/"),
    State("new password", "/admin/password_change/"),
]
ADMIN_MAIN = [state for state in ADMIN if state.name in {"first page", "products", "new product", "index", "queries"}]


def test_signing_in(desk: Page) -> None:
    desk.goto("/admin/")
    accessibility.check(desk, reload=True)


@pytest.mark.parametrize("state", ADMIN, ids=ids(ADMIN))
def test_the_admin(state: State, staff: Page, watch: Watch) -> None:
    visit(staff, state, watch)
    accessibility.check(staff, reload=True)


@pytest.mark.parametrize("state", ADMIN_MAIN, ids=ids(ADMIN_MAIN))
def test_the_admin_on_a_phone(state: State, sign_in: Callable[..., Page], shop: Shop, watch: Watch) -> None:
    page = sign_in(shop, **PHONE)
    visit(page, state, watch)
    accessibility.check(page, reload=True)


@pytest.mark.parametrize("state", ADMIN_MAIN, ids=ids(ADMIN_MAIN))
def test_the_admin_in_japanese(state: State, staff: Page, watch: Watch) -> None:
    visit(staff, state._replace(path=f"/ja{state.path}"), watch)
    accessibility.check(staff)


@pytest.mark.parametrize("name", [furnishing.SUPERUSER, furnishing.VIEWER])
def test_a_product_in_the_admin(name: str, sign_in: Callable[..., Page], shop: Shop) -> None:
    page = sign_in(shop, name)
    admin.open_product(page, "DEMO-0002")
    accessibility.check(page, reload=True)


def test_a_previewed_import_in_the_admin(staff: Page, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("sku,title,price\nNEVER-1,Hat,12\nNEVER-2,Hat,cheap\n")
    staff.goto(f"{admin.PRODUCTS}import/")
    staff.get_by_label("Table", exact=True).set_input_files(table)
    staff.get_by_role("button", name="See what will change").click()
    admin.says(staff, "This is what an import would do")
    accessibility.check(staff)


def test_the_admin_of_an_empty_shop(sign_in: Callable[..., Page], empty_shop: Shop) -> None:
    page = sign_in(empty_shop)
    for path in ("/admin/", admin.INDEX):
        page.goto(path)
        accessibility.check(page, reload=True)
