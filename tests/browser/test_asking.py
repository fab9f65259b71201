"""Asking with a picture: chosen, dropped, pasted; by mouse, keyboard and finger; without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import accessibility, hands
from tests.browser.results import cards
from tests.browser.shop import Shop
from tests.browser.visits import Opener
from tests.browser.watch import Watch


def shows_results(page: Page) -> None:
    page.wait_for_url("**/search/*-*/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Products similar to your picture")
    assert cards(page).count() > 0


def test_choosing_a_photo_leads_to_what_is_like_it(desk: Page, shop: Shop) -> None:
    product = shop.products[0]
    desk.goto("/")
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(product))
    shows_results(desk)
    expect(cards(desk).first).to_contain_text(product["title"])
    expect(cards(desk).first).to_contain_text("Same item")


@pytest.mark.parametrize("path", ["/products/", "/products/DEMO-0001/", "/about/"])
def test_every_page_accepts_a_photo(path: str, desk: Page, shop: Shop) -> None:
    desk.goto(path)
    desk.get_by_role("link", name="Search with a photo").click()
    desk.get_by_role("dialog").get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[1]))
    shows_results(desk)


def test_a_page_not_found_accepts_a_photo(desk: Page, shop: Shop, watch: Watch) -> None:
    watch.expects(404)
    desk.goto("/nowhere/")
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[1]))
    shows_results(desk)


def test_the_dialog_is_opened_and_used_by_finger(phone: Page, shop: Shop) -> None:
    phone.goto("/products/")
    phone.locator("[data-ask-open]").first.tap()
    dialog = phone.get_by_role("dialog")
    expect(dialog.get_by_text("Take a photo")).to_be_visible()
    with hands.choosing(phone) as choosing:
        dialog.get_by_text("Take a photo").tap()
    choosing.value.set_files(shop.photo_of(shop.products[0]))
    shows_results(phone)


def test_a_photo_is_sent_and_answered_in_japanese(open_page: Opener, shop: Shop) -> None:
    page = open_page(locale="ja-JP")
    page.goto("/ja/search/")
    page.locator("main input[type=file]").first.set_input_files(shop.photo_of(shop.products[0]))
    page.wait_for_url("**/ja/search/*-*/")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(cards(page).first).to_contain_text(shop.products[0]["title"])


def test_the_dialog_is_opened_and_left_by_keyboard(desk: Page) -> None:
    desk.goto("/products/")
    opener = desk.get_by_role("link", name="Search with a photo")
    hands.press(opener)
    expect(desk.get_by_role("dialog", name="Search with a photo")).to_be_visible()
    hands.tab_to(desk.get_by_label("Choose a photo"), at_most=4)
    desk.keyboard.press("Escape")
    expect(desk.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


def test_without_scripts_every_page_leads_to_the_form(no_script: Page, shop: Shop) -> None:
    no_script.goto("/products/")
    no_script.get_by_role("link", name="Search with a photo").click()
    no_script.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[1]))
    no_script.get_by_role("button", name="Search", exact=True).click()
    shows_results(no_script)


def test_a_photo_on_its_way_is_shown_and_can_be_taken_back(desk: Page, shop: Shop) -> None:
    desk.goto("/search/")
    desk.route("**/search/", lambda route: None)  # an answer that does not come
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    expect(desk.get_by_alt_text("The chosen photo")).to_be_visible()
    expect(desk.get_by_role("progressbar", name="Progress")).to_be_visible()
    accessibility.check(desk)
    cancel = desk.get_by_role("button", name="Cancel")
    expect(cancel).to_be_focused()
    cancel.press("Enter")
    expect(desk.get_by_alt_text("The chosen photo")).to_be_hidden()
    expect(desk.get_by_label("Choose a photo")).to_be_focused()
    desk.unroute("**/search/")
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_huge_photo_is_made_smaller_before_it_is_sent(desk: Page, shop: Shop) -> None:
    desk.goto("/search/")
    huge = shop.huge_photo()
    assert huge.stat().st_size > 1_500_000
    with desk.expect_request(lambda request: request.method == "POST") as sent:
        desk.get_by_label("Choose a photo").set_input_files(huge)
    shows_results(desk)
    assert int(sent.value.header_value("content-length") or 0) < huge.stat().st_size / 4
    expect(cards(desk).first).to_contain_text(shop.products[0]["title"])
    picture = desk.locator("crop-box img")
    assert picture.get_attribute("width") == "1200"
    assert picture.get_attribute("height") == "1600"


def test_a_broken_connection_is_reported_and_the_photo_can_be_resent(desk: Page, shop: Shop) -> None:
    desk.goto("/search/")
    desk.route("**/search/", lambda route: route.abort("aborted"))
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    expect(desk.get_by_role("alert")).to_contain_text("did not get through")
    desk.unroute("**/search/")
    desk.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_phone_offers_its_camera(phone: Page, desk: Page) -> None:
    for page, offered in ((phone, True), (desk, False)):
        page.goto("/search/")
        expect(page.get_by_text("Take a photo")).to_be_visible(visible=offered)
    assert phone.get_by_label("Take a photo").get_attribute("capture") == "environment"


def test_a_photo_is_dropped_anywhere(desk: Page, shop: Shop) -> None:
    desk.goto("/products/")
    hands.drop(desk, shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_what_is_dropped_over_the_first_page_is_sent_by_its_own_form(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    hands.drop(desk, shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_dropped_file_that_is_not_a_picture_is_refused_in_place(desk: Page, shop: Shop) -> None:
    letter = shop.folder / "letter.txt"
    letter.write_text("Dear shop,")
    desk.goto("/products/")
    hands.drop(desk, letter)
    expect(desk.get_by_role("dialog").get_by_role("alert")).to_contain_text("not a picture")
    assert desk.url.endswith("/products/")


def test_a_picture_is_pasted_anywhere(desk: Page, shop: Shop) -> None:
    desk.goto("/products/")
    hands.paste(desk, shop.noise())
    desk.wait_for_url("**/search/*-*/")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Nothing in the shop looks like this picture")


def test_a_photo_is_chosen_by_keyboard_alone(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    hands.tab_to(desk.get_by_label("Choose a photo"))
    with hands.choosing(desk) as choosing:
        desk.keyboard.press("Enter")
    choosing.value.set_files(shop.photo_of(shop.products[0]))
    shows_results(desk)


def test_a_photo_is_chosen_on_a_phone(phone: Page, shop: Shop) -> None:
    phone.goto("/")
    with hands.choosing(phone) as choosing:
        phone.get_by_text("Choose a photo").tap()
    choosing.value.set_files(shop.photo_of(shop.products[0]))
    shows_results(phone)


def test_a_photo_is_sent_without_scripts(no_script: Page, shop: Shop) -> None:
    no_script.goto("/")
    no_script.get_by_label("Choose a photo").set_input_files(shop.photo_of(shop.products[0]))
    no_script.get_by_role("button", name="Search", exact=True).click()
    shows_results(no_script)


@pytest.mark.parametrize("opened", ["desk", "no_script"])
def test_the_address_of_a_picture_is_searched_with(
    opened: str, request: pytest.FixtureRequest, shop: Shop, watch: Watch
) -> None:
    page: Page = request.getfixturevalue(opened)
    page.goto("/search/")
    photo = page.request.get("/api/v1/products/").json()["results"][0]["photos"][0]["url"]
    field = page.get_by_label("Or paste an image link")
    watch.expects(422)
    field.fill("http://10.0.0.1/dress.jpg")
    page.get_by_role("button", name="Search by link").click()
    expect(page.get_by_role("alert").filter(has_text="public web site")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("http://10.0.0.1/dress.jpg")
    field.fill(photo)
    field.press("Enter")
    shows_results(page)


def test_the_button_shows_that_an_image_link_is_being_fetched(desk: Page) -> None:
    desk.goto("/search/")
    desk.evaluate("addEventListener('submit', event => event.preventDefault())")  # an answer that does not come
    field = desk.get_by_label("Or paste an image link")
    field.fill("https://pictures.example/dress.jpg")
    desk.get_by_role("button", name="Search by link").click()
    expect(desk.get_by_role("button", name="Fetching the picture…")).to_be_disabled()
    expect(desk.get_by_role("status").filter(has_text="Fetching the picture…")).to_have_count(1)
    desk.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(desk.get_by_role("button", name="Search by link")).to_be_enabled()
    expect(desk.get_by_role("status").filter(has_text="Fetching the picture…")).to_have_count(0)
    desk.get_by_role("button", name="Search by link").click()
    field.press_sequentially("?large")
    expect(desk.get_by_role("button", name="Search by link")).to_be_enabled()


@pytest.mark.parametrize("opened", ["desk", "no_script"])
def test_a_file_that_is_no_picture_is_answered_with_a_sentence(
    opened: str, request: pytest.FixtureRequest, shop: Shop, watch: Watch
) -> None:
    page: Page = request.getfixturevalue(opened)
    watch.expects(415)
    page.goto("/")
    page.get_by_label("Choose a photo").set_input_files(shop.no_picture())
    if opened == "no_script":
        page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("not a picture")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(desk: Page, shop: Shop) -> None:
    desk.goto("/search/")
    asked = []
    desk.on("request", lambda request: asked.append(request.method))
    desk.get_by_label("Choose a photo").set_input_files(shop.heavy_file())
    expect(desk.get_by_role("alert")).to_contain_text("larger than 10 MB")
    expect(desk.get_by_label("Choose a photo")).to_be_focused()
    assert "POST" not in asked


def test_a_file_that_is_too_large_is_answered_without_scripts(no_script: Page, shop: Shop, watch: Watch) -> None:
    watch.expects(413)
    no_script.goto("/search/")
    no_script.get_by_label("Choose a photo").set_input_files(shop.heavy_file())
    no_script.get_by_role("button", name="Search", exact=True).click()
    expect(no_script.get_by_role("alert")).to_contain_text("at most 10 MB fit")


def test_a_picture_like_nothing_gets_a_plain_answer_first(desk: Page, shop: Shop) -> None:
    desk.goto("/")
    desk.get_by_label("Choose a photo").set_input_files(shop.noise())
    expect(desk.get_by_role("heading", level=1)).to_have_text("Nothing in the shop looks like this picture")
    expect(cards(desk).first).to_be_hidden()
    accessibility.check(desk)
    desk.get_by_text("Show the closest matches anyway").click()
    expect(cards(desk).first).to_be_visible()
    accessibility.check(desk)


def test_a_deleted_picture_is_gone_for_good(desk: Page, ask: Callable[..., None], watch: Watch) -> None:
    ask(desk, own=True)
    address = desk.url
    desk.get_by_role("button", name="Delete my picture").click()
    expect(desk.get_by_role("status").filter(has_text="Your picture was deleted.")).to_be_visible()
    accessibility.check(desk)
    watch.expects(410)
    answer = desk.goto(address)
    assert answer is not None
    assert answer.status == 410
    accessibility.check(desk)


def test_a_picture_is_deleted_without_scripts(no_script: Page, ask: Callable[..., None]) -> None:
    ask(no_script, own=True)
    no_script.get_by_role("button", name="Delete my picture").click()
    expect(no_script.get_by_text("Your picture was deleted.")).to_be_visible()
