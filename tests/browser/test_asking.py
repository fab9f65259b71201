"""Asking with a picture: chosen, dropped, pasted; by mouse, keyboard and finger; without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import hands
from tests.browser.results import cards
from tests.browser.shop import Shop
from tests.browser.visits import Visits
from tests.browser.watch import Watch


def shows_results(page: Page) -> None:
    page.wait_for_url("**/search/*-*/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Products like your picture")
    assert cards(page).count() > 0


def test_choosing_a_photo_leads_to_what_is_like_it(desk: Page, shop: Shop) -> None:
    product = shop.products[0]
    desk.goto("/")
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(product))
    shows_results(desk)
    expect(cards(desk).first).to_contain_text(product["title"])
    expect(cards(desk).first).to_contain_text("Same item")


@pytest.mark.parametrize("path", ["/products/", "/products/DEMO-0001/"])
def test_every_page_takes_a_photo(path: str, desk: Page, shop: Shop) -> None:
    desk.goto(path)
    desk.get_by_role("banner").locator("input[type=file]").set_input_files(shop.photo_of(shop.products[1]))
    shows_results(desk)


def test_a_photo_is_dropped_anywhere(desk: Page, shop: Shop) -> None:
    desk.goto("/products/")
    hands.drop(desk, shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_picture_is_pasted_anywhere(desk: Page, shop: Shop) -> None:
    desk.goto("/products/")
    hands.paste(desk, shop.noise())
    desk.wait_for_url("**/search/*-*/")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Nothing in the shop looks like this picture")


def test_a_photo_is_chosen_by_keyboard_alone(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    hands.tab_to(desk.get_by_label("Choose a photo"))
    with desk.expect_file_chooser() as choosing:
        desk.keyboard.press("Enter")
    choosing.value.set_files(shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_photo_is_chosen_on_a_phone(phone: Page, shop: Shop) -> None:
    phone.goto("/")
    with phone.expect_file_chooser() as choosing:
        phone.get_by_text("Choose a photo").tap()
    choosing.value.set_files(shop.photo_of(shop.products[0]))
    shows_results(phone)


def test_a_photo_is_sent_without_scripts(no_script: Page, shop: Shop) -> None:
    no_script.goto("/")
    no_script.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    no_script.get_by_role("button", name="Search").click()
    shows_results(no_script)


@pytest.mark.parametrize("opened", ["desk", "no_script"])
def test_a_file_that_is_no_picture_is_answered_with_a_sentence(
    opened: str, request: pytest.FixtureRequest, shop: Shop, watch: Watch
) -> None:
    page: Page = request.getfixturevalue(opened)
    watch.expects(415)
    page.goto("/")
    page.get_by_label("Choose a photo").set_input_files(shop.no_picture())
    if opened == "no_script":
        page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("not a picture")


def test_a_picture_like_nothing_gets_a_plain_answer_first(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    desk.get_by_label("Choose a photo").set_input_files(shop.noise())
    expect(desk.get_by_role("heading", level=1)).to_have_text("Nothing in the shop looks like this picture")
    expect(cards(desk).first).to_be_hidden()
    desk.get_by_text("Show the closest all the same").click()
    expect(cards(desk).first).to_be_visible()


def test_a_deleted_picture_is_gone_for_good(desk: Page, ask: Callable[[Page], None], watch: Watch) -> None:
    ask(desk)
    address = desk.url
    desk.get_by_role("button", name="Delete my picture").click()
    expect(desk.get_by_role("status").filter(has_text="Your picture was deleted.")).to_be_visible()
    watch.expects(410)
    answer = desk.goto(address)
    assert answer is not None
    assert answer.status == 410


def test_a_picture_is_deleted_without_scripts(no_script: Page, ask: Callable[[Page], None]) -> None:
    ask(no_script)
    no_script.get_by_role("button", name="Delete my picture").click()
    expect(no_script.get_by_text("Your picture was deleted.")).to_be_visible()


def test_searching_too_often_is_answered_with_how_long_to_wait(
    visits: Visits, strict_shop: Shop, watch: Watch
) -> None:
    page = visits.open(strict_shop, java_script_enabled=False)
    watch.expects(429, 503)
    for _ in range(2):
        page.goto("/search/")
        page.get_by_label("Choose a photo").set_input_files(strict_shop.drawn_photo())
        page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A little slower, please")
