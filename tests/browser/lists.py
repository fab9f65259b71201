"""The parts of a list of products, by the names that a reader or a screen reader knows them by."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def cards(page: Page) -> Locator:
    return page.locator('[data-part="found"] .card')


def titles(page: Page) -> list[str]:
    return cards(page).locator(".card__title").all_inner_texts()


def prices(page: Page) -> list[float]:
    """Of the products on the page, in their order, as English pages write euros."""
    return [float(text.strip("€").replace(",", "")) for text in cards(page).locator(".card__price").all_inner_texts()]


def number(page: Page) -> int:
    """How many products there are, by the page's own words."""
    return int(page.locator("[data-count]").inner_text().split()[0])


def chosen(page: Page) -> Locator:
    """The choices that the list is narrowed by; each is taken away by a click."""
    return page.get_by_role("list", name="Chosen").get_by_role("link", name="Remove")


def filter_count(choice: Locator) -> int:
    """The number of products that stands beside a choice."""
    return int(choice.locator("xpath=..").locator(".choice__count").inner_text().strip("()"))


def settle(page: Page) -> None:
    """Wait until a choice has had its effect."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
