"""Marking the part of the picture that is meant: by mouse, finger and keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import hands, results

Ask = Callable[..., None]

BOXED = re.compile(r"[?&]box=")
UPPER_LEFT, LOWER_RIGHT = (0.2, 0.2), (0.8, 0.7)


def edges(page: Page) -> list[float]:
    return [float(value) for value in results.edges(page).evaluate_all("fields => fields.map(field => field.value)")]


def near(found: list[float], wanted: tuple[float, ...]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) < 0.03 for a, b in zip(found, wanted, strict=True))


def test_a_box_is_drawn_with_the_mouse_and_kept_in_the_address(desk: Page, ask: Ask) -> None:
    ask(desk)
    hands.drag(results.picture(desk), UPPER_LEFT, LOWER_RIGHT)
    desk.wait_for_url(BOXED)
    desk.reload()
    assert near(edges(desk), UPPER_LEFT + LOWER_RIGHT)


@pytest.mark.xfail(reason="A finger that moves down scrolls the page: the picture leaves vertical panning to it.")
def test_a_box_is_drawn_with_a_finger_without_scrolling_the_page(phone: Page, ask: Ask) -> None:
    ask(phone)
    results.picture(phone).scroll_into_view_if_needed()
    place = phone.evaluate("scrollY")
    hands.swipe(results.picture(phone), UPPER_LEFT, LOWER_RIGHT)
    phone.wait_for_url(BOXED)
    assert phone.evaluate("scrollY") == place


def test_a_box_is_typed_with_the_keyboard(desk: Page, ask: Ask) -> None:
    ask(desk)
    hands.press(desk.locator("summary").filter(has_text="Part of the picture"))
    for field, value in zip(results.edges(desk).all(), ("0.2", "0.2", "0.8", "0.7"), strict=True):
        hands.tab_to(field)
        desk.keyboard.type(value)
    desk.keyboard.press("Enter")
    desk.wait_for_url(BOXED)
    expect(results.cards(desk)).not_to_have_count(0)


def test_a_box_is_typed_without_scripts(no_script: Page, ask: Ask) -> None:
    ask(no_script)
    no_script.locator("summary").filter(has_text="Part of the picture").click()
    for field, value in zip(results.edges(no_script).all(), ("0.2", "0.2", "0.8", "0.7"), strict=True):
        field.fill(value)
    results.apply(no_script).click()
    no_script.wait_for_url(BOXED)
    assert near(edges(no_script), UPPER_LEFT + LOWER_RIGHT)


def test_a_click_on_the_picture_takes_the_box_away(desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.goto(f"{desk.url}?box=0.2,0.2,0.8,0.7")
    results.picture(desk).click()
    desk.wait_for_url(lambda url: not BOXED.search(url))
