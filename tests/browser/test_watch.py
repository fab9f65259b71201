"""The watch over pages is itself watched: each kind of trouble fails a test."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route

from tests.browser.watch import Watch

POLICY = {"Content-Security-Policy": "default-src 'self'; script-src 'self' 'nonce-1'"}


def serve(page: Page, body: str, status: int = 200) -> None:
    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, content_type="text/html", headers=POLICY)

    page.route("**/trouble/", answer)
    page.goto("/trouble/")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<script nonce=1>console.error('alas')</script>", "console: alas"),
        ("<script nonce=1>missing()</script>", "script: .*missing is not defined"),
        ("<script>1</script>", "console: .*Content Security Policy"),
        ("<p style='color: red'>red", "console: .*Content Security Policy"),
        ("<img src=/nowhere.png alt=''>", "answer: 404 to GET .*/nowhere.png"),
        ("<img src='http://127.0.0.1:1/' alt=''>", "console: .*Content Security Policy"),
    ],
)
def test_trouble_in_a_page_fails_the_test(body: str, told: str, desk: Page, watch: Watch) -> None:
    serve(desk, body)
    with pytest.raises(AssertionError, match=told):
        watch.verify()
    watch.troubles.clear()


def test_a_request_without_an_answer_fails_the_test(desk: Page, watch: Watch) -> None:
    desk.route("**/gone.png", lambda route: route.abort("connectionfailed"))
    serve(desk, "<img src=/gone.png alt=''>")
    with pytest.raises(AssertionError, match=r"request: GET .*/gone\.png failed"):
        watch.verify()
    watch.troubles.clear()


def test_an_expected_answer_is_no_trouble(desk: Page, watch: Watch) -> None:
    watch.expects(404)
    desk.goto("/nowhere/")
    watch.verify()


def test_a_quiet_page_is_no_trouble(desk: Page, watch: Watch) -> None:
    serve(desk, "<p>Good day.")
    watch.verify()
