"""Marking the part of the picture that is meant: by mouse, finger and keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import hands, results

Ask = Callable[..., None]

BOXED = re.compile(r"[?&]box=")
UPPER_LEFT, LOWER_RIGHT = (0.2, 0.2), (0.8, 0.7)


def edges(page: Page) -> list[float]:
    fields = page.locator("#edges input")  # they may be folded away
    return [float(value) for value in fields.evaluate_all("fields => fields.map(field => field.value)") if value]


def near(found: list[float], wanted: tuple[float, ...]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) < 0.03 for a, b in zip(found, wanted, strict=True))


def test_a_box_is_drawn_with_the_mouse_and_kept_in_the_address(desk: Page, ask: Ask) -> None:
    ask(desk)
    hands.drag(results.picture(desk), UPPER_LEFT, LOWER_RIGHT)
    desk.wait_for_url(BOXED)
    desk.reload()
    assert near(edges(desk), UPPER_LEFT + LOWER_RIGHT)


def test_a_corner_is_dragged_with_a_finger_without_scrolling_the_page(phone: Page, ask: Ask) -> None:
    ask(phone)
    results.picture(phone).scroll_into_view_if_needed()
    place = phone.evaluate("scrollY")
    hands.swipe(results.box(phone), (0.97, 0.97), LOWER_RIGHT)
    phone.wait_for_url(BOXED)
    assert phone.evaluate("scrollY") == place
    assert near(edges(phone), (0, 0, *LOWER_RIGHT))


def test_a_box_is_moved_by_its_middle(desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.goto(f"{desk.url}?box=0,0,0.5,0.5")
    hands.drag(results.box(desk), (0.5, 0.5), (0.9, 1.1))
    desk.wait_for_url(lambda url: "0%2C0%2C0.5" not in url and "box=0,0" not in url)
    assert near(edges(desk), (0.2, 0.3, 0.7, 0.8))


def test_a_box_is_made_and_taken_away_by_arrow_keys(desk: Page, ask: Ask) -> None:
    ask(desk)
    plain = desk.url
    hands.tab_to(results.box(desk))
    for _ in range(10):
        desk.keyboard.press("Shift+ArrowLeft")
    for _ in range(5):
        desk.keyboard.press("ArrowRight")
    desk.wait_for_url(BOXED)
    assert near(edges(desk), (0.1, 0, 0.9, 1))
    expect(desk.get_by_role("status").filter(has_text="From 10 to 90 % across, 0 to 100 % down")).to_have_count(1)
    expect(results.box(desk)).to_be_focused()
    desk.keyboard.press("Delete")
    desk.wait_for_url(plain)


def test_back_takes_the_box_away_again(desk: Page, ask: Ask) -> None:
    ask(desk)
    plain = desk.url
    hands.drag(results.picture(desk), UPPER_LEFT, LOWER_RIGHT)
    desk.wait_for_url(BOXED)
    desk.go_back()
    desk.wait_for_url(plain)
    expect(desk.locator(".crop--whole")).to_have_count(1)
    desk.go_forward()
    desk.wait_for_url(BOXED)
    expect(desk.locator(".crop--whole")).to_have_count(0)


def test_a_box_is_typed_with_the_keyboard(desk: Page, ask: Ask) -> None:
    ask(desk)
    hands.press(desk.locator("summary").filter(has_text="Part of the picture"))
    for field, value in zip(results.edges(desk).all(), ("0.2", "0.2", "0.8", "0.7"), strict=True):
        hands.tab_to(field)
        desk.keyboard.type(value)
    desk.keyboard.press("Enter")
    desk.wait_for_url(BOXED)
    expect(results.cards(desk)).not_to_have_count(0)


def test_a_box_that_is_half_typed_waits_for_the_rest(desk: Page, ask: Ask) -> None:
    ask(desk)
    asked = []
    desk.on("request", lambda request: asked.append(request.url))
    hands.press(desk.locator("summary").filter(has_text="Part of the picture"))
    first, *others = results.edges(desk).all()
    first.press_sequentially("0.2", delay=20)
    hands.tab_to(others[0])
    results.weight(desk).press("End")  # still takes effect
    desk.wait_for_url(re.compile(r"colour_weight=0\.5"))
    assert not [url for url in asked if BOXED.search(url)]
    expect(first).to_have_value("0.2")
    for field, value in zip(others, ("0.2", "0.8", "0.7"), strict=True):
        field.fill(value)
    others[-1].press("Tab")
    desk.wait_for_url(BOXED)


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
    results.picture(desk).click(position={"x": 5, "y": 5})
    desk.wait_for_url(lambda url: not BOXED.search(url))


def test_a_click_within_the_box_leaves_it_as_it_is(desk: Page, ask: Ask) -> None:
    ask(desk)
    boxed = f"{desk.url}?box=0.2,0.2,0.8,0.7"
    desk.goto(boxed)
    results.box(desk).click()
    results.box(desk).press("ArrowRight")
    desk.wait_for_url(lambda url: url != boxed)
    assert near(edges(desk), (0.22, 0.2, 0.82, 0.7))


def test_a_box_is_drawn_in_japanese(desk: Page, ask: Ask) -> None:
    ask(desk, language="/ja")
    hands.drag(results.picture(desk), UPPER_LEFT, LOWER_RIGHT)
    desk.wait_for_url(BOXED)
    assert near(edges(desk), UPPER_LEFT + LOWER_RIGHT)
    expect(results.cards(desk).first).to_be_visible()
