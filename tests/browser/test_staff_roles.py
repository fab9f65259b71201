"""What each role may do, and that the rest is neither shown nor allowed; the first steps of an empty shop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import accessibility, furnishing
from tests.browser import desk as admin
from tests.browser.shop import Shop
from tests.browser.watch import Watch

PAGES = {
    "Products": "/admin/catalogue/product/",
    "Photos": "/admin/catalogue/productimage/",
    "Categories": "/admin/catalogue/category/",
    "Brands": "/admin/catalogue/brand/",
    "Index": admin.INDEX,
    "Versions": "/admin/search/indexversion/",
    "Photos in the index": "/admin/search/indexentry/",
    "Queries": "/admin/search/query/",
    "Users": "/admin/auth/user/",
    "Groups": "/admin/auth/group/",
}
CATALOGUE = {"Products", "Photos", "Categories", "Brands"}
INDEX = {"Index", "Versions", "Photos in the index"}
MAY_OPEN = {
    furnishing.SUPERUSER: set(PAGES),
    furnishing.EDITOR: CATALOGUE,
    furnishing.OPERATOR: CATALOGUE | INDEX | {"Queries"},
    furnishing.VIEWER: CATALOGUE | INDEX,
}


@pytest.mark.parametrize("name", MAY_OPEN)
def test_a_role_is_shown_what_it_may_open_and_refused_the_rest(
    name: str, sign_in: Callable[..., Page], shop: Shop
) -> None:
    page = sign_in(shop, name)
    page.goto("/admin/")
    shown = {link.inner_text().splitlines()[-1].strip() for link in admin.menu(page).all()}
    assert shown & set(PAGES) == MAY_OPEN[name]
    for title, path in PAGES.items():
        answer = page.request.get(path, max_redirects=0)
        assert answer.status == (200 if title in MAY_OPEN[name] else 403), title


def test_a_refused_page_says_so(viewer: Page, watch: Watch) -> None:
    watch.expects(403)
    answer = viewer.goto(PAGES["Queries"])
    assert answer is not None
    assert answer.status == 403
    expect(viewer.get_by_role("heading", level=1)).to_be_visible()
    accessibility.check(viewer)


def test_a_viewer_is_offered_nothing_that_changes_the_catalogue(viewer: Page) -> None:
    viewer.goto(admin.PRODUCTS)
    for name in ("Add product", "Import"):
        expect(viewer.get_by_role("link", name=name)).to_have_count(0)
    expect(viewer.locator("#result_list input:not([type=checkbox])")).to_have_count(0)
    expect(viewer.get_by_role("button", name="Save")).to_have_count(0)
    admin.open_product(viewer, "DEMO-0001")
    expect(viewer.get_by_role("button", name="Save")).to_have_count(0)
    expect(viewer.get_by_role("link", name="Delete")).to_have_count(0)
    expect(viewer.get_by_label("New photos")).to_have_count(0)


def test_a_viewer_is_offered_nothing_that_changes_the_index(viewer: Page) -> None:
    viewer.goto(admin.INDEX)
    expect(viewer.get_by_role("heading", name="Live version")).to_be_visible()
    expect(viewer.get_by_role("button", name="Sync now")).to_have_count(0)
    expect(viewer.get_by_role("link", name="Rebuild…")).to_have_count(0)


def forbidden(page: Page, path: str, **fields: str) -> None:
    """Send what a button would have sent, had it been shown."""
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    answer = page.request.post(path, form={"csrfmiddlewaretoken": token, **fields}, max_redirects=0)
    assert answer.status == 403, f"{path}: {answer.status}"


def test_what_a_viewer_is_not_offered_is_not_allowed_either(viewer: Page) -> None:
    viewer.goto(admin.PRODUCTS)
    for path in ("add/", "import/", "process_import/", "load-demo/"):
        forbidden(viewer, f"{admin.PRODUCTS}{path}")
    for fields in ({"ask": "sync"}, {"ask": "rebuild"}, {"cancel": "1"}, {"again": "none"}):
        forbidden(viewer, f"{admin.INDEX}do/", **fields)
    assert viewer.request.get(f"{admin.INDEX}rebuild/").status == 403


def test_an_editor_cannot_steer_the_index_and_an_operator_cannot_edit(editor: Page, operator: Page) -> None:
    editor.goto(admin.PRODUCTS)
    forbidden(editor, f"{admin.INDEX}do/", ask="rebuild")
    operator.goto(admin.PRODUCTS)
    expect(operator.get_by_role("link", name="Add product")).to_have_count(0)
    forbidden(operator, f"{admin.PRODUCTS}add/")
    forbidden(operator, f"{admin.PRODUCTS}import/")


def test_strangers_are_asked_to_sign_in(desk: Page) -> None:
    desk.goto(admin.PRODUCTS)
    desk.wait_for_url("**/admin/login/**")
    desk.locator("[name=username]").fill(furnishing.VIEWER)
    desk.locator("[name=password]").fill("not this one")
    desk.locator("[name=password]").press("Enter")
    expect(desk.get_by_text("Please enter the correct username and password")).to_be_visible()


# First steps ------------------------------------------------------------------------------------------------------


def test_an_empty_shop_is_filled_and_searched_in_its_first_minute(
    sign_in: Callable[..., Page], new_shop: Shop
) -> None:
    page = sign_in(new_shop)
    page.goto("/admin/")
    expect(page.get_by_role("heading", name="The shop is empty")).to_be_visible()
    for name in ("Import a table or photos", "Add a product"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    page.get_by_role("button", name="Load the demo shop").click()
    expect(page.get_by_text("24 demo products were added.")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name="The shop is empty")).to_have_count(0)
    page.goto(admin.INDEX)
    expect(page.get_by_text("100 % of the photos are indexed.")).to_be_visible(timeout=60_000)
    page.goto("/search/")
    page.get_by_label("Choose a photo").set_input_files(new_shop.photo_of(new_shop.products[0]))
    page.wait_for_url("**/search/*-*/")
    expect(page.locator("main .card").first).to_contain_text(new_shop.products[0]["title"])
