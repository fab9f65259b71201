"""A product's page: its photos, what stands beside it, and what it says of itself to other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import accessibility, furnishing, hands, results
from tests.browser.shop import Shop

DEMO = "/products/DEMO-0001/"


def zoomed(page: Page) -> Locator:
    """The dialog with the whole photo."""
    return page.get_by_role("dialog", name="Photos of")


def number(page: Page) -> Locator:
    """Which photo the dialog shows."""
    return zoomed(page).get_by_role("status")


# Photos -----------------------------------------------------------------------------------------------------------


def test_photos_are_looked_at_by_mouse(desk: Page) -> None:
    desk.goto(DEMO)
    desk.locator("[data-photos] a").first.click()
    expect(number(desk)).to_have_text("1 of 2")
    zoomed(desk).get_by_role("button", name="Next photo").click()
    expect(number(desk)).to_have_text("2 of 2")
    zoomed(desk).get_by_role("button", name="Next photo").click()
    expect(number(desk)).to_have_text("1 of 2")
    zoomed(desk).get_by_role("button", name="Previous photo").click()
    expect(number(desk)).to_have_text("2 of 2")
    zoomed(desk).get_by_role("button", name="Close").click()
    expect(zoomed(desk)).to_be_hidden()


def test_photos_are_looked_at_by_keyboard_alone(desk: Page) -> None:
    desk.goto(DEMO)
    links = desk.locator("[data-photos] a")
    hands.press(links.first)
    expect(zoomed(desk)).to_be_visible()
    desk.keyboard.press("ArrowRight")
    expect(number(desk)).to_have_text("2 of 2")
    enlarge = zoomed(desk).get_by_role("button", name="Enlarge")
    hands.press(enlarge, at_most=6)
    expect(enlarge).to_have_attribute("aria-pressed", "true")
    desk.keyboard.press("Escape")
    expect(zoomed(desk)).to_be_hidden()
    expect(links.nth(1)).to_be_focused()


def test_photos_are_looked_at_by_finger(phone: Page) -> None:
    phone.goto(DEMO)
    phone.locator("[data-photos] a").first.tap()
    expect(number(phone)).to_have_text("1 of 2")
    zoomed(phone).get_by_role("button", name="Next photo").tap()
    expect(number(phone)).to_have_text("2 of 2")
    zoomed(phone).get_by_role("button", name="Close").tap()
    expect(zoomed(phone)).to_be_hidden()


def test_a_small_photo_brings_the_large_one_into_view(desk: Page) -> None:
    desk.goto(DEMO)
    small = desk.get_by_role("navigation", name="Photos").get_by_role("link")
    small.nth(1).click()
    expect(small.nth(1)).to_have_attribute("aria-current", "true")
    expect(desk.locator("[data-photos] img").nth(1)).to_be_in_viewport()


def test_without_scripts_a_photo_is_a_link_to_the_whole(no_script: Page) -> None:
    no_script.goto(DEMO)
    address = no_script.locator("[data-photos] a").first.get_attribute("href")
    answer = no_script.request.get(address or "")
    assert answer.headers["content-type"] == "image/jpeg"


# What stands beside it --------------------------------------------------------------------------------------------


def test_alternatives_link_to_other_products(desk: Page) -> None:
    desk.goto(DEMO)
    expect(desk.get_by_role("list", name="Colours")).to_be_visible()
    links = desk.get_by_role("region", name="Looks similar").get_by_role("link")
    assert links.count() >= 4
    assert DEMO not in links.evaluate_all("links => links.map(link => link.pathname)")
    title = links.first.locator(".card__title").inner_text()
    links.first.click()
    expect(desk.get_by_role("heading", level=1)).to_have_text(title)


def test_what_is_similar_for_less_costs_less(desk: Page, shop: Shop) -> None:
    def euros(text: str) -> float:
        return float(text.strip("€").replace(",", ""))

    row = desk.get_by_role("region", name="Similar for less")
    for product in shop.products:
        desk.goto(f"/products/{product['sku']}/")
        if row.count():
            break
    prices = [euros(price) for price in row.locator(".card__price").all_inner_texts()]
    assert prices
    assert max(prices) < euros(desk.locator(".product__price").inner_text())


@pytest.mark.parametrize("opened", ["desk", "no_script"])
def test_a_product_is_searched_with(opened: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(opened)
    page.goto(DEMO)
    page.get_by_role("button", name="Find similar").click()
    page.wait_for_url("**/search/*-*/")
    expect(results.heading(page)).to_have_text("Products like this one")
    assert results.cards(page).count() > 0


def test_a_product_is_searched_with_by_keyboard(desk: Page) -> None:
    desk.goto(DEMO)
    hands.press(desk.get_by_role("button", name="Find similar"))
    expect(results.heading(desk)).to_have_text("Products like this one")
    accessibility.check(desk)


def test_a_product_without_photos_says_so_and_offers_no_search(desk: Page) -> None:
    desk.goto(f"/products/{furnishing.WITHOUT_PHOTO}/")
    expect(desk.get_by_text("There is no photo of this product yet.")).to_be_visible()
    expect(desk.get_by_role("button", name="Find similar")).to_have_count(0)


# What it says of itself -------------------------------------------------------------------------------------------


def structured(page: Page) -> dict[str, dict[str, Any]]:
    """schema.org's objects of a page, by their kind."""
    texts = page.locator('script[type="application/ld+json"]').all_text_contents()
    return {one["@type"]: one for one in map(json.loads, texts)}


def test_structured_data_tell_the_product_and_its_price(desk: Page, shop: Shop) -> None:
    product = shop.json("/api/v1/products/DEMO-0001/")
    desk.goto(DEMO)
    told = structured(desk)
    assert told["Product"]["name"] == product["title"]
    assert told["Product"]["sku"] == "DEMO-0001"
    assert float(told["Product"]["offers"]["price"]) == float(product["price"])
    assert told["Product"]["offers"]["priceCurrency"] == product["currency"]
    assert "BreadcrumbList" in told


def test_each_language_has_its_address_and_names_the_others(desk: Page, shop: Shop) -> None:
    for prefix in ("", "/ja"):
        desk.goto(f"{prefix}{DEMO}?utm_source=letter")
        canonical = desk.locator("link[rel=canonical]").get_attribute("href")
        assert canonical == f"{shop.url}{prefix}{DEMO}"
        others = desk.locator("link[rel=alternate]").evaluate_all(
            "links => Object.fromEntries(links.map(link => [link.hreflang, link.href]))"
        )
        assert others["en"] == shop.url + DEMO
        assert others["ja"] == f"{shop.url}/ja{DEMO}"


@pytest.mark.parametrize("path", [DEMO, "/products/?in_stock=true", "/categories/tops/", "/search/", "/about/"])
def test_switching_the_language_keeps_the_page(path: str, desk: Page) -> None:
    desk.goto(path)
    desk.get_by_role("link", name="日本語").click()
    desk.wait_for_url(f"**/ja{path}")
    desk.get_by_role("link", name="English").click()
    desk.wait_for_url(lambda url: url.endswith(path) and "/ja/" not in url)
    expect(desk.locator("html")).to_have_attribute("lang", "en")


def test_switching_the_language_keeps_a_search(desk: Page, ask: Callable[..., None]) -> None:
    ask(desk)
    desk.goto(f"{desk.url}?in_stock=true&like=DEMO-0002")
    found = results.titles(desk)
    desk.get_by_role("link", name="日本語").click()
    desk.wait_for_url(re.compile("/ja/search/.*like=DEMO-0002"))
    assert results.titles(desk) == found
