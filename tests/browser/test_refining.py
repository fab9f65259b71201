"""Shaping a search: the slider, filters, wishes, more of the same; each state at its own address."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import PHONE
from tests.browser import accessibility, hands, lists, results
from tests.browser.visits import Opener

Ask = Callable[..., None]


def test_the_slider_moves_by_keyboard_and_the_results_follow(desk: Page, ask: Ask) -> None:
    ask(desk)
    before = results.titles(desk)
    hands.tab_to(results.weight(desk))
    desk.keyboard.press("End")
    desk.wait_for_url(re.compile(r"colour_weight=0\.5"))
    expect(desk.locator("[aria-busy=true]")).to_have_count(0)
    assert results.titles(desk) != before


def test_a_filter_is_ticked_and_the_results_follow(desk: Page, ask: Ask) -> None:
    ask(desk)
    brand = desk.locator("[data-facet=brand]").get_by_role("checkbox").first
    announced = lists.filter_count(brand)
    brand.check()
    desk.wait_for_url(re.compile("brand="))
    expect(results.cards(desk)).to_have_count(announced)
    expect(brand).to_be_focused()


def test_filters_are_reached_by_keyboard(desk: Page, ask: Ask) -> None:
    ask(desk)
    hands.press(desk.get_by_role("checkbox", name=re.compile("^In stock")), "Space")
    desk.wait_for_url(re.compile("in_stock=true"))
    expect(desk.get_by_text("Sold out")).to_have_count(0)


def test_filters_are_tapped_on_a_phone(phone: Page, ask: Ask) -> None:
    ask(phone)
    sheet = phone.get_by_role("heading", name="Filters")
    expect(sheet).to_be_hidden()
    phone.get_by_role("button", name="Filters").tap()
    accessibility.check(phone)
    phone.locator("label", has_text="In stock").tap()
    phone.wait_for_url(re.compile("in_stock=true"))
    phone.get_by_role("button", name="Show the products").tap()
    expect(sheet).to_be_hidden()
    expect(results.cards(phone).first).to_be_visible()


def test_a_search_is_shaped_without_scripts(no_script: Page, ask: Ask) -> None:
    ask(no_script)
    no_script.get_by_role("checkbox", name=re.compile("^In stock")).check()
    results.weight(no_script).press("End")
    results.apply(no_script).click()
    no_script.wait_for_url(re.compile(r"colour_weight=0\.5.*in_stock=true"))
    expect(results.choices(no_script)).to_have_count(1)
    assert results.cards(no_script).count() > 0


def test_filters_that_leave_nothing_offer_the_way_out(desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.goto(f"{desk.url}?price_max=1")
    expect(results.heading(desk)).to_have_text("No product matches these choices")
    results.choices(desk).get_by_role("link", name="Take away: Up to 1").click()
    expect(results.cards(desk)).not_to_have_count(0)


@pytest.mark.parametrize(("word", "wish"), [("More like this", "like"), ("Less like this", "dislike")])
def test_a_wish_is_kept_in_the_address_and_taken_back(word: str, wish: str, desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.get_by_role("link", name=word).nth(2).click()
    desk.wait_for_url(re.compile(rf"[?&]{wish}=DEMO-"))
    expect(results.choices(desk)).to_have_count(1)
    results.choices(desk).get_by_role("link", name="Take away").click()
    expect(results.choices(desk)).to_have_count(0)
    desk.go_back()
    expect(results.choices(desk)).to_have_count(1)


def test_a_liked_product_says_so_and_is_taken_back_where_it_stands(desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.get_by_role("link", name="More like this").nth(1).click()
    liked = desk.get_by_role("link", name="Liked")
    expect(liked).to_have_count(1)
    liked.click()
    desk.wait_for_url(re.compile("/search/[^?]*$"))
    expect(liked).to_have_count(0)


def test_wishes_work_by_keyboard_and_without_scripts(no_script: Page, ask: Ask) -> None:
    ask(no_script)
    hands.press(no_script.get_by_role("link", name="More like this").first)
    no_script.wait_for_url(re.compile(r"[?&]like=DEMO-"))


def test_showing_more_adds_products_that_were_not_there(desk: Page, ask: Ask) -> None:
    ask(desk)
    first = results.titles(desk)
    desk.get_by_role("link", name="Show more").click()
    expect(results.cards(desk)).not_to_have_count(len(first))
    assert results.titles(desk)[: len(first)] == first
    links = results.cards(desk).locator("a.card__link").evaluate_all("links => links.map(link => link.href)")
    assert len(set(links)) == len(links)
    expect(results.cards(desk).nth(len(first)).get_by_role("link").first).to_be_focused()
    desk.reload()
    expect(results.cards(desk)).to_have_count(len(links))


def test_back_from_a_product_finds_as_many_results_as_were_shown(desk: Page, ask: Ask) -> None:
    ask(desk)
    desk.get_by_role("link", name="Show more").click()
    desk.wait_for_url(re.compile("shown=48"))
    results.cards(desk).nth(40).get_by_role("link").first.click()
    desk.wait_for_url("**/products/**")
    desk.go_back()
    expect(results.cards(desk)).to_have_count(48)


def test_showing_more_without_scripts_leads_on_to_the_rest(no_script: Page, ask: Ask) -> None:
    ask(no_script)
    first = results.titles(no_script)
    no_script.get_by_role("link", name="Show more").click()
    no_script.wait_for_url(re.compile("shown=48.*#p25$"))
    assert len(results.titles(no_script)) == 48
    assert results.titles(no_script)[:24] == first


def test_back_and_reload_bring_each_state_again(desk: Page, ask: Ask) -> None:
    ask(desk)
    plain, found = desk.url, results.titles(desk)
    results.weight(desk).focus()
    desk.keyboard.press("End")
    desk.wait_for_url(re.compile(r"colour_weight=0\.5"))
    refined = desk.url
    desk.reload()
    expect(results.weight(desk)).to_have_value("0.5")
    desk.go_back()
    desk.wait_for_url(plain)
    expect(results.weight(desk)).to_have_value("0.2")
    expect(results.cards(desk).first).to_contain_text(found[0])
    desk.go_forward()
    desk.wait_for_url(refined)
    expect(results.weight(desk)).to_have_value("0.5")


def test_a_shared_address_shows_the_same_to_somebody_else(desk: Page, open_page: Opener, ask: Ask) -> None:
    ask(desk)
    desk.get_by_role("link", name="More like this").nth(3).click()
    desk.wait_for_url(re.compile("like="))
    desk.get_by_role("checkbox", name=re.compile("^In stock")).check()
    desk.wait_for_url(re.compile("in_stock=true"))
    expect(desk.locator("[aria-busy=true]")).to_have_count(0)
    friend = open_page(**PHONE)
    friend.goto(desk.url)
    assert results.titles(friend) == results.titles(desk)
    assert results.choices(friend).count() == results.choices(desk).count()


def test_choices_are_taken_back_one_by_one_or_together(desk: Page, ask: Ask) -> None:
    ask(desk)
    plain = desk.url
    desk.goto(f"{plain}?in_stock=true&price_max=80&dislike=DEMO-0003")
    chips = results.choices(desk).get_by_role("link", name="Take away")
    expect(chips).to_have_count(3)
    chips.first.click()
    expect(chips).to_have_count(2)
    expect(results.heading(desk)).to_be_focused()
    desk.get_by_role("link", name="Start over").click()
    desk.wait_for_url(plain)
    expect(results.choices(desk)).to_have_count(0)
    expect(desk.get_by_role("checkbox", name=re.compile("^In stock"))).not_to_be_checked()


def test_prices_are_typed_and_bound_the_results(desk: Page, ask: Ask) -> None:
    ask(desk)
    most = desk.get_by_role("textbox", name="To", exact=True)
    most.fill("60")
    most.press("Enter")
    desk.wait_for_url(re.compile("price_max=60"))
    expect(desk.locator("[aria-busy=true]")).to_have_count(0)
    prices = [float(text.strip("€").replace(",", "")) for text in desk.locator(".card__price").all_inner_texts()]
    assert prices
    assert max(prices) <= 60


def test_a_colour_is_chosen_by_its_swatch(desk: Page, ask: Ask) -> None:
    ask(desk)
    swatch = desk.locator("[data-facet=colour]").get_by_role("checkbox").first
    swatch.check()
    desk.wait_for_url(re.compile("colour="))
    expect(results.choices(desk)).to_have_count(1)
    expect(swatch).to_be_focused()


def test_the_slider_is_moved_by_finger_and_the_results_follow(phone: Page, ask: Ask) -> None:
    ask(phone)
    hands.swipe(results.weight(phone), (0.4, 0.5), (0.98, 0.5))
    phone.wait_for_url(re.compile("colour_weight="))
    expect(results.cards(phone).first).to_be_visible()


def test_wishes_are_tapped_on_a_phone(phone: Page, ask: Ask) -> None:
    ask(phone)
    phone.get_by_role("link", name="Less like this").nth(1).tap()
    phone.wait_for_url(re.compile("dislike="))
    expect(results.choices(phone)).to_have_count(1)


def test_a_sheet_of_filters_is_left_by_escape_and_gives_the_focus_back(open_page: Opener, ask: Ask) -> None:
    narrow = open_page(viewport={"width": 390, "height": 844})
    ask(narrow)
    opener = narrow.get_by_role("button", name="Filters")
    hands.press(opener)
    expect(narrow.get_by_role("heading", name="Filters")).to_be_visible()
    hands.press(narrow.get_by_role("checkbox", name=re.compile("^In stock")), "Space")
    narrow.wait_for_url(re.compile("in_stock=true"))
    narrow.keyboard.press("Escape")
    expect(narrow.get_by_role("heading", name="Filters")).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_search_is_shaped_in_japanese(desk: Page, ask: Ask) -> None:
    ask(desk, language="/ja")
    desk.locator("#colour_weight").press("End")
    desk.wait_for_url(re.compile(r"/ja/.*colour_weight=0\.5"))
    desk.locator("[data-facet=in_stock]").get_by_role("checkbox").check()
    desk.wait_for_url(re.compile("/ja/.*in_stock=true"))
    expect(desk.locator(".taken__chip")).to_have_count(1)
    desk.locator(".card__actions a").first.click()
    desk.wait_for_url(re.compile("/ja/.*like=DEMO-"))
    expect(desk.locator(".taken__chip")).to_have_count(2)
