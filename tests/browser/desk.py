"""The parts of the admin, by the names that staff know them by, and what they do there again and again."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

PRODUCTS = "/admin/catalogue/product/"
INDEX = "/admin/search/indexversion/index/"


def menu(page: Page) -> Locator:
    """The links of the sidebar."""
    return page.locator("#nav-sidebar").get_by_role("link")


def photos(page: Page) -> Locator:
    """The rows of a product's stored photos."""
    return page.locator("#photos-data tbody.original")


def previews(page: Page) -> list[str]:
    """A product's photos in their order, by their files."""
    return photos(page).locator("img").evaluate_all("photos => photos.map(photo => photo.getAttribute('src'))")


def positions(page: Page) -> Locator:
    return photos(page).get_by_label("Position")


def save(page: Page, button: str = "Save and continue editing") -> None:
    page.get_by_role("button", name=button, exact=True).click()


def open_product(page: Page, sku: str) -> None:
    page.goto(f"{PRODUCTS}?q={sku}")
    page.locator("#result_list").get_by_role("link").filter(has_text=sku).click()
    page.wait_for_url("**/change/**")


def act(page: Page, action: str) -> None:
    """Do something with the products that are chosen in the list."""
    page.get_by_label("Select action to run").select_option(label=action)
    page.get_by_role("button", name="Run").click()


def figure(page: Page, name: str) -> int:
    """A number of the page of the index."""
    tile = page.locator(".index-tile").filter(has=page.get_by_text(name, exact=True))
    return int(tile.locator(".index-tile__number").inner_text().replace(",", ""))


def says(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible()
