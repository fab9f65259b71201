"""The pages that one test opens, what is watched in them, and what is kept of them if it fails."""

from __future__ import annotations

import contextlib
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
    def __init__(self, chrome: Browser, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.watch = Watch()
        self._chrome = chrome
        self._name = name
        self._folders = tmp_path_factory
        self._contexts: list[BrowserContext] = []
        self._shops: dict[str, Shop] = {}

    def open(self, shop: Shop, **options: Any) -> Page:
        context = self._chrome.new_context(base_url=shop.url, **{"locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE)
        context.tracing.start(snapshots=THOROUGH, sources=False, screenshots=False)
        self._contexts.append(context)
        self._shops[shop.url] = shop
        self.watch.over(context)
        return context.new_page()

    def keep(self) -> Path:
        folder = self._folders.mktemp(self._name)
        for number, context in enumerate(self._contexts, 1):
            for at, page in enumerate(context.pages, 1):
                page.screenshot(path=folder / f"page-{number}-{at}.png", full_page=True)
            context.tracing.stop(path=folder / f"trace-{number}.zip")
        return folder

    def shop_logs(self) -> str:
        return "\n".join(f"{url}\n{shop.server.log()}" for url, shop in self._shops.items())

    def close(self) -> None:
        for context in self._contexts:
            with contextlib.suppress(Error):  # the browser itself may be gone, on Ctrl-C
                context.close()
