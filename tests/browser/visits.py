"""The pages that one test opens, what is watched in them, and what is kept of them if it fails."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.browser.shop import Shop
from tests.browser.watch import Watch

PATIENCE = 10_000
"""Milliseconds that a page may take for anything."""

THOROUGH = bool(os.environ.get("TRACE"))
"""Whether traces hold the pages as they were at each step, which doubles the time that the keyboard takes."""

Opener = Callable[..., Page]


class Visits:
    """The pages of one test. A context that a test has left behind clean serves the next test that asks for the same
    options: its cache and its process are warm, which saves most of the time that a short test takes.
    """

    def __init__(
        self, chrome: Browser, idle: dict[str, BrowserContext], name: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        self.watch = Watch()
        self._chrome = chrome
        self._idle = idle
        self._name = name
        self._folders = tmp_path_factory
        self._opened: list[tuple[dict[str, Any], BrowserContext]] = []
        self._shops: dict[str, Shop] = {}
        self._failed = False

    def open(self, shop: Shop, **options: Any) -> Page:
        options = {"base_url": shop.url, "locale": "en-GB", **options}
        context = self._idle.pop(_key(options), None) or self._new_context(options)
        context.tracing.start_chunk()
        self._opened.append((options, context))
        self._shops[shop.url] = shop
        self.watch.over(context)
        return context.pages[0]

    def keep(self) -> Path:
        self._failed = True
        folder = self._folders.mktemp(self._name)
        for number, (_options, context) in enumerate(self._opened, 1):
            for at, page in enumerate(context.pages, 1):
                page.screenshot(path=folder / f"page-{number}-{at}.png", full_page=True)
            context.tracing.stop_chunk(path=folder / f"trace-{number}.zip")
        return folder

    def shop_logs(self) -> str:
        return "\n".join(f"{url}\n{shop.server.log()}" for url, shop in self._shops.items())

    def close(self) -> None:
        self.watch.end()
        for options, context in self._opened:
            with contextlib.suppress(Error):  # the browser itself may be gone, on Ctrl-C
                if self._failed or _key(options) in self._idle:
                    context.close()
                else:
                    _clean(context, options)
                    self._idle[_key(options)] = context

    def _new_context(self, options: dict[str, Any]) -> BrowserContext:
        context = self._chrome.new_context(**options)
        context.set_default_timeout(PATIENCE)
        context.tracing.start(snapshots=THOROUGH, sources=False, screenshots=False)
        context.new_page()
        return context


def _key(options: dict[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def _clean(context: BrowserContext, options: dict[str, Any]) -> None:
    """Leave one page that shows nothing of the shop, and only the cookies that the context began with."""
    page, *others = context.pages
    for other in others:
        other.close()
    page.unroute_all(behavior="ignoreErrors")
    page.mouse.move(0, 0)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    page.goto("/healthz")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    context.clear_permissions()
    context.clear_cookies()
    context.add_cookies(options.get("storage_state", {}).get("cookies", []))
    context.tracing.stop_chunk()
