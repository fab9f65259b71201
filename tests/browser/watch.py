"""What goes wrong in a page without anyone seeing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

#: The browser's own word for an answer or a request that is watched here with more to say about it.
ECHO = "Failed to load resource"
#: The recorder of traces fetches the chosen file that a page shows, and the page's policy forbids it to.
RECORDER = "Connecting to 'blob:"
#: Of a request that the page or the reader gave up.
ABORTED = "net::ERR_ABORTED"


class Watch:
    """Notes what a test's pages complain of: errors of scripts and on the console (breaches of the content security
    policy among them), requests that failed, answers that are errors and were not expected.
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
        """Answers with these statuses are what this test is about."""
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
        """Raises AssertionError if anything went wrong so far."""
        for context in self._contexts:
            for page in context.pages:
                page.wait_for_timeout(0)  # what has happened by now is told by now
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
