"""The parts of a results page, by the names that a reader or a screen reader knows them by.

Where the page changes its words, they change here and not in every test.
"""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def cards(page: Page) -> Locator:
    """The products that were found."""
    return page.locator("[data-grid] > .card:not(.card--coming)")


def titles(page: Page) -> list[str]:
    """What was found, in its order."""
    return cards(page).locator(".card__title").all_inner_texts()


def weight(page: Page) -> Locator:
    """The slider between style and colour."""
    return page.get_by_role("slider", name="Match by")


def picture(page: Page) -> Locator:
    """The picture that asks, over which a box is drawn."""
    return page.locator("crop-box")


def box(page: Page) -> Locator:
    """The box on the picture, which the keyboard moves."""
    return page.get_by_role("group", name="Part of the picture to search with")


def choices(page: Page) -> Locator:
    """What the search is narrowed and steered by."""
    return page.get_by_role("list", name="Your choices").get_by_role("listitem")


def edges(page: Page) -> Locator:
    """The fields that say where the box is."""
    return page.get_by_role("group", name="Edges").get_by_role("spinbutton")


def apply(page: Page) -> Locator:
    return page.get_by_role("button", name="Apply")
