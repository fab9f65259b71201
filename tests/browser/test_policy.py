"""Pages run scripts of the site's own files, and nothing made of text, in the admin and the API's pages too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import PRODUCTS
from tests.browser.furnishing import PASSWORD, VIEWER
from tests.browser.watch import Watch


@pytest.mark.parametrize("address", ["/admin/login/", "/ja/admin/login/", "/api/docs/"])
def test_a_stranger_sees_these_without_a_breach(desk: Page, address: str) -> None:
    answer = desk.goto(address)
    assert answer
    assert "unsafe-eval" not in answer.headers["content-security-policy"]
    expect(desk.locator("h1, h2").first).to_be_visible()


def test_the_themes_own_controls_work(staff: Page) -> None:
    staff.goto(PRODUCTS)
    root = staff.locator("html")
    staff.locator("[x-on\\:click*='openUserLinks']").first.click()
    expect(staff.get_by_role("link", name="Change password")).to_be_visible()
    staff.get_by_text("Dark", exact=True).first.click()
    expect(root).to_have_class("dark")
    staff.get_by_text("Light", exact=True).first.click()
    expect(root).to_have_class("light")
    staff.keyboard.press("Escape")
    staff.locator("#result_list input.action-select").first.check()
    staff.get_by_label("Select action to run").select_option(index=1)
    expect(staff.get_by_role("button", name="Run")).to_be_visible()


def test_a_conditional_before_a_fraction_is_parsed(staff: Page) -> None:
    staff.goto("/admin/")
    staff.evaluate(
        """() => {
            const line = document.createElement("p");
            line.id = "answer";
            line.setAttribute("x-data", "{ yes: true }");
            line.setAttribute("x-text", "yes?.5:1");
            document.querySelector("#content").append(line);
        }"""
    )
    expect(staff.locator("#answer")).to_have_text("0.5")


def test_injected_attributes_cannot_reach_the_page_or_eval(staff: Page, watch: Watch) -> None:
    """Who gets an attribute into a page of the admin gets no script into it."""
    staff.goto("/admin/")
    for expression in (
        "window.alert(1)",
        "$event.view.eval('1')",
        "[].constructor.constructor('return 1')()",
        "$el.ownerDocument.title = 'taken'",
        "fetch('/admin/')",
        "document.title = 'taken'",
    ):
        staff.evaluate(
            """expression => {
                const button = document.createElement("button");
                button.setAttribute("x-on:click", expression);
                document.querySelector("#content").append(button);
                setTimeout(() => button.click(), 50);
            }""",
            expression,
        )
    staff.wait_for_timeout(500)
    assert staff.title() != "taken"
    assert len(watch.troubles) == 6, watch.troubles
    assert all(trouble.startswith("script:") for trouble in watch.troubles)
    watch.troubles.clear()


def test_the_documentation_of_the_api_shows_its_operations(desk: Page) -> None:
    desk.goto("/api/docs/")
    expect(desk.get_by_text("/api/v1/search/").first).to_be_visible()


def test_staff_sign_in_without_scripts(no_script: Page) -> None:
    no_script.goto("/admin/login/")
    no_script.get_by_label("Username").fill(VIEWER)
    no_script.get_by_label("Password").fill(PASSWORD)
    no_script.get_by_role("button", name="Log in").click()
    expect(no_script).to_have_url(re.compile(r"/admin/$"))
