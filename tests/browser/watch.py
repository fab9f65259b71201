"""Errors in a page that a reader would not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

#: The browser's message for failed responses and requests, which are reported here in more detail.
ECHO = "Failed to load resource"
#: The trace recorder fetches the chosen file that a page shows, and the page's policy forbids this.
RECORDER = "Connecting to 'blob:"
#: A request that the page or the reader canceled.
ABORTED = "net::ERR_ABORTED"


class Watch:
    """Collects errors of a test's pages: errors in scripts and on the console (including violations of the content
    security policy), failed requests, and unexpected error responses.
    """

    def __init__(self) -> None:
        self.troubles: list[str] = []
        self._expected: set[int] = set()
        self._contexts: list[BrowserContext] = []
        self._notes: dict[Any, Callable[[Any], None]] = {
            "console": self._console,
            "weberror": self._error,
            "requestfailed": self._failed,
            "response": self._response,
        }

    def expects(self, *statuses: int) -> None:
        """Accept responses with these statuses."""
        self._expected.update(statuses)

    def over(self, context: BrowserContext) -> None:
        self._contexts.append(context)
        for event, note in self._notes.items():
            context.on(event, note)

    def end(self) -> None:
        """Note nothing more."""
        for context in self._contexts:
            for event, note in self._notes.items():
                context.remove_listener(event, note)

    def verify(self) -> None:
        """Raise AssertionError if there were errors so far."""
        for context in self._contexts:
            for page in context.pages:
                page.wait_for_timeout(0)  # lets pending events arrive
        told = [
            f"- {trouble}" + f" ({times} times)" * (times > 1) for trouble, times in Counter(self.troubles).items()
        ]
        assert not told, "The page had trouble:\n" + "\n".join(told)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith((ECHO, RECORDER)):
            place = message.location
            self.troubles.append(f"console: {message.text} ({place['url']}:{place['lineNumber']})")

    def _error(self, error: WebError) -> None:
        self.troubles.append(f"script: {error.error}")

    def _failed(self, request: Request) -> None:
        if request.failure != ABORTED:
            self.troubles.append(f"request: {request.method} {request.url} failed: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST and response.status not in self._expected:
            self.troubles.append(f"answer: {response.status} to {response.request.method} {response.url}")
