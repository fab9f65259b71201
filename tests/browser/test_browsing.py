"""Looking around: first page, categories, products; in both languages, at both widths, without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import PHONE
from tests.browser import accessibility, furnishing, hands
from tests.browser.shop import Shop
from tests.browser.visits import Opener
from tests.browser.watch import Watch


def test_from_the_first_page_to_a_product_and_back(desk: Page) -> None:
    desk.goto("/")
    desk.get_by_role("banner").get_by_role("link", name="Tops").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Tops")
    card = desk.locator("main li").filter(has=desk.locator("img")).first
    title = card.locator(".card__title").inner_text()
    card.get_by_role("link").first.click()
    expect(desk.get_by_role("heading", level=1)).to_have_text(title)
    desk.get_by_role("navigation", name="You are here").get_by_role("link", name="Tops").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Tops")


def test_the_first_page_is_read_by_keyboard_alone(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    hands.press(desk.get_by_role("link", name="Skip to the content"), at_most=1)
    newest = desk.locator("main").get_by_role("link", name=shop.json("/api/v1/products/?k=1")["results"][0]["title"])
    hands.press(newest)
    desk.wait_for_url("**/products/*/")


def test_pages_of_a_list_lead_on(no_script: Page) -> None:
    no_script.goto("/products/")
    no_script.get_by_role("link", name="Next").click()
    no_script.wait_for_url("**page=2")
    expect(no_script.get_by_role("heading", level=1)).to_be_visible()


def test_a_sold_out_product_says_so(desk: Page) -> None:
    desk.goto(f"/products/{furnishing.SOLD_OUT}/")
    expect(desk.locator("main").get_by_text("Sold out").first).to_be_visible()


def test_a_hidden_product_is_not_found(desk: Page, watch: Watch) -> None:
    watch.expects(404)
    desk.goto(f"/products/{furnishing.HIDDEN}/")
    expect(desk.get_by_role("heading", level=1)).to_have_text("There is nothing here")


@pytest.mark.parametrize("width", [390, 360, 320])
def test_the_form_fits_a_phone_without_scripts(width: int, open_page: Opener) -> None:
    page = open_page(**{**PHONE, "viewport": {"width": width, "height": 800}}, java_script_enabled=False)
    page.goto("/search/")
    form = page.locator("form.ask").bounding_box()
    assert form is not None
    assert 0 <= form["x"] < form["x"] + form["width"] <= width
    for part in page.locator("form.ask :is(input[name=image], .ask__send, .ask__help)").filter(visible=True).all():
        box = part.bounding_box()
        assert box is not None
        assert form["x"] <= box["x"] < box["x"] + box["width"] <= form["x"] + form["width"]


@pytest.mark.parametrize(
    "path", ["/", "/products/", "/categories/tops/", f"/products/{furnishing.SOLD_OUT}/", "/search/"]
)
def test_pages_fit_a_narrow_window_with_large_letters(path: str, open_page: Opener) -> None:
    """WCAG 1.4.10: 320 CSS pixels, which is a desk's screen at 400 %."""
    page = open_page(viewport={"width": 320, "height": 640})
    page.goto(path)
    assert accessibility.fits(page)


@pytest.mark.parametrize("width", [390, 320])
def test_results_fit_a_phone(width: int, open_page: Opener, ask: Callable[..., None]) -> None:
    page = open_page(**{**PHONE, "viewport": {"width": width, "height": 800}})
    ask(page)
    assert accessibility.fits(page)
    beyond = "actions => actions.filter(one => one.scrollWidth > one.parentElement.clientWidth).length"
    assert page.locator(".card__actions").evaluate_all(beyond) == 0
