"""Staff look after search: the index at a glance, sync and rebuild while one watches, what shoppers asked."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser import desk as admin
from tests.browser import hands
from tests.browser.shop import Shop
from tests.browser.watch import Watch

A_WHILE = 60_000
"""Milliseconds that a rebuild of the demo may take on a busy machine."""


def at_rest(page: Page) -> Locator:
    """What the page says when nothing is under way (any more)."""
    return page.get_by_role("region", name="Jobs").get_by_text("No job is running.")


def test_the_index_says_how_much_can_be_found(operator: Page) -> None:
    operator.goto("/admin/")
    expect(operator.get_by_role("region", name="Search")).to_contain_text("of the photos are indexed")
    operator.get_by_role("link", name="The index", exact=True).click()
    operator.wait_for_url(f"**{admin.INDEX}")
    photos, indexed = admin.figure(operator, "photos"), admin.figure(operator, "indexed")
    assert photos >= 120
    assert admin.figure(operator, "failed") == 0
    assert indexed + admin.figure(operator, "waiting") >= photos
    expect(operator.get_by_role("meter", name="Indexed photos")).to_be_visible()


def test_a_sync_is_asked_for_and_done_while_one_watches(operator: Page) -> None:
    operator.goto(admin.INDEX)
    hands.press(operator.get_by_role("button", name="Sync now"))
    admin.says(operator, "A worker starts it in a moment.")
    expect(at_rest(operator)).to_be_visible(timeout=A_WHILE)
    expect(operator.get_by_text("requested.")).to_have_count(0)


def test_a_rebuild_is_asked_for_and_done_while_one_watches(
    operator: Page, desk: Page, ask: Callable[..., None]
) -> None:
    operator.goto(admin.INDEX)
    live = operator.get_by_role("region", name="Live version").locator("a[href$='/change/']")
    before = live.inner_text()
    operator.get_by_role("link", name="Rebuild…").click()
    admin.says(operator, "Search keeps using the live version")
    operator.get_by_role("button", name="Rebuild", exact=True).click()
    operator.wait_for_url(f"**{admin.INDEX}")
    expect(live).not_to_have_text(before, timeout=A_WHILE)
    expect(at_rest(operator)).to_be_visible(timeout=A_WHILE)
    expect(operator.locator("#index-status")).not_to_be_empty()
    ask(desk)
    expect(desk.locator("main .card").first).to_be_visible()
    # And back, which is asked about first.
    operator.get_by_role("link", name=f"Roll back to version {before}…").click()
    expect(operator.get_by_role("heading", name="Roll back to the previous version?")).to_be_visible()
    operator.get_by_role("button", name=f"Roll back to version {before}", exact=True).click()
    operator.wait_for_url(f"**{admin.INDEX}")
    expect(live).to_have_text(before, timeout=A_WHILE)
    expect(at_rest(operator)).to_be_visible(timeout=A_WHILE)


def test_queries_are_seen_with_their_pictures_until_they_are_deleted(
    operator: Page, desk: Page, ask: Callable[..., None], shop: Shop
) -> None:
    ask(desk, shop.drawn_photo("dress", "#a03070"), own=True)
    key = desk.url.rstrip("/").rpartition("/")[2]
    operator.goto("/admin/search/query/")
    row = operator.locator("#result_list tr").filter(has=operator.locator(f'a[href*="{key}"]'))
    picture = row.get_by_role("img", name="A shopper's picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0
    expect(row).to_contain_text(re.compile(r"\d\.\d{3}"))
    desk.get_by_role("button", name="Delete my picture").click()
    desk.get_by_role("status").filter(has_text="deleted").wait_for()
    operator.reload()
    expect(row).to_contain_text("deleted")
    expect(picture).to_have_count(0)


def test_staff_delete_a_shoppers_picture(
    operator: Page, desk: Page, ask: Callable[..., None], shop: Shop, watch: Watch
) -> None:
    ask(desk, shop.drawn_photo("dress", "#30a070"), own=True)
    key = desk.url.rstrip("/").rpartition("/")[2]
    operator.goto(f"/admin/search/query/{key}/delete/")
    operator.get_by_role("button", name="Delete", exact=True).click()
    operator.wait_for_url("**/admin/search/query/")
    watch.expects(410)
    answer = desk.reload()
    assert answer is not None
    assert answer.status == 410
