"""Lists of products: filters, order, pages; by mouse, keyboard and finger; without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser import accessibility, hands, lists
from tests.browser.watch import Watch

IN_STOCK = re.compile("^In stock")


def test_a_filter_leaves_as_many_products_as_it_says(desk: Page) -> None:
    desk.goto("/products/")
    brand = desk.locator("[data-facet=brand]").get_by_role("checkbox").first
    announced = lists.filter_count(brand)
    brand.check()
    desk.wait_for_url(re.compile(r"\?brand="))
    assert lists.number(desk) == announced
    expect(lists.cards(desk)).to_have_count(announced)
    expect(lists.chosen(desk)).to_have_count(1)
    expect(brand).to_be_focused()


def test_choices_are_taken_away_one_by_one_or_together(desk: Page) -> None:
    desk.goto("/products/")
    count = lists.number(desk)
    desk.goto("/products/?in_stock=true&price_max=100&category=tops")
    expect(lists.chosen(desk)).to_have_count(3)
    lists.chosen(desk).first.click()
    expect(lists.chosen(desk)).to_have_count(2)
    desk.get_by_role("link", name="Clear all").click()
    expect(lists.chosen(desk)).to_have_count(0)
    assert lists.number(desk) == count


def test_back_and_forward_pass_through_the_choices(desk: Page) -> None:
    desk.goto("/products/")
    count = lists.number(desk)
    desk.get_by_role("checkbox", name=IN_STOCK).check()
    desk.wait_for_url(re.compile("in_stock=true"))
    fewer = lists.number(desk)
    assert fewer < count
    desk.go_back()
    expect(desk.locator("[data-count]")).to_have_text(f"{count} products")
    expect(desk.get_by_role("checkbox", name=IN_STOCK)).not_to_be_checked()
    desk.go_forward()
    expect(desk.locator("[data-count]")).to_have_text(f"{fewer} products")
    expect(desk.get_by_role("checkbox", name=IN_STOCK)).to_be_checked()


def test_back_from_a_product_finds_the_list_as_it_was(desk: Page) -> None:
    desk.goto("/products/")
    desk.get_by_role("checkbox", name=IN_STOCK).check()
    desk.wait_for_url(re.compile("in_stock=true"))
    titles = lists.titles(desk)
    lists.cards(desk).nth(2).get_by_role("link").click()
    desk.wait_for_url("**/products/*-*/")
    desk.go_back()
    desk.wait_for_url(re.compile("in_stock=true"))
    assert lists.titles(desk) == titles


def test_a_list_is_put_in_order_of_price(desk: Page) -> None:
    desk.goto("/products/")
    desk.get_by_label("Sort by").select_option(label="Price, low to high")
    desk.wait_for_url(re.compile("sort="))
    lists.settle(desk)
    prices = lists.prices(desk)
    assert len(prices) > 10
    assert prices == sorted(prices)


def test_a_list_is_narrowed_by_keyboard_alone(desk: Page) -> None:
    desk.goto("/products/")
    stock = desk.get_by_role("checkbox", name=IN_STOCK)
    hands.press(stock, "Space")
    desk.wait_for_url(re.compile("in_stock=true"))
    expect(stock).to_be_focused()
    most = desk.get_by_role("textbox", name="To", exact=True)
    hands.tab_to(most, key="Shift+Tab")
    desk.keyboard.type("70")
    desk.keyboard.press("Enter")
    desk.wait_for_url(re.compile("price_max=70"))
    lists.settle(desk)
    assert max(lists.prices(desk)) <= 70
    expect(most).to_be_focused()


def test_a_list_is_narrowed_on_a_phone(phone: Page) -> None:
    phone.goto("/products/")
    stock = phone.locator("label", has_text="In stock")
    expect(stock).to_be_hidden()
    phone.locator("summary", has_text="Filters").tap()
    count = lists.number(phone)
    stock.tap()
    phone.wait_for_url(re.compile("in_stock=true"))
    lists.settle(phone)
    expect(stock).to_be_visible()
    accessibility.check(phone)
    assert lists.number(phone) < count
    expect(phone.locator("summary", has_text="Filters")).to_contain_text("1")


def test_a_list_is_narrowed_and_ordered_without_scripts(no_script: Page) -> None:
    no_script.goto("/categories/tops/")
    no_script.get_by_role("checkbox", name=IN_STOCK).check()
    no_script.get_by_label("Sort by").select_option(label="Price, low to high")
    no_script.get_by_role("button", name="Apply").click()
    no_script.wait_for_url(re.compile("in_stock=true"))
    prices = lists.prices(no_script)
    assert prices
    assert prices == sorted(prices)
    lists.chosen(no_script).first.click()
    expect(lists.chosen(no_script)).to_have_count(0)


def test_pages_lead_on_and_back_and_keep_the_choices(desk: Page) -> None:
    desk.goto("/products/?sort=price_up")
    first = lists.titles(desk)
    pages = desk.get_by_role("navigation", name="Pages")
    pages.get_by_role("link", name="Next").click()
    desk.wait_for_url(re.compile("sort=price_up.*page=2|page=2.*sort=price_up"))
    expect(pages.locator("[aria-current=page]")).to_have_text(re.compile("2$"))
    assert not set(first) & set(lists.titles(desk))
    pages.get_by_role("link", name="Previous").press("Enter")
    desk.wait_for_url(lambda url: "page=2" not in url)
    assert lists.titles(desk) == first


def test_choices_that_leave_nothing_offer_the_way_out(desk: Page) -> None:
    desk.goto("/products/")
    most = desk.get_by_role("textbox", name="To", exact=True)
    most.fill("0.01")
    most.press("Enter")
    expect(desk.get_by_role("heading", name="Nothing matches all your choices")).to_be_visible()
    desk.locator("main .nothing").get_by_role("link", name="Clear all").click()
    expect(lists.cards(desk)).not_to_have_count(0)


def test_an_invalid_price_is_explained_beside_the_field(desk: Page, watch: Watch) -> None:
    watch.expects(400)
    desk.goto("/products/?price_min=cheap")
    expect(desk.get_by_role("alert")).to_contain_text("cannot be used")
    least = desk.get_by_role("textbox", name="From", exact=True)
    expect(least).to_have_attribute("aria-invalid", "true")
    expect(least).to_have_value("cheap")


def test_a_list_is_narrowed_in_japanese(desk: Page) -> None:
    desk.goto("/ja/products/")
    desk.locator("[data-facet=in_stock]").get_by_role("checkbox").check()
    desk.wait_for_url(re.compile("/ja/products/.*in_stock=true"))
    lists.settle(desk)
    expect(desk.locator("html")).to_have_attribute("lang", "ja")
    expect(desk.locator(".chip--chosen")).to_have_count(1)
