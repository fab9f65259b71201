"""Chromium, as Debian packages it, for whatever looks at the pages: tests, figures, screenshots."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
USUAL = Path("/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Letters keep their widths at every scale, as on dense screens.
    "--font-render-hinting=none",
)

DESK: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
    "user_agent": (
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/130.0.0.0 Mobile Safari/537.36"
    ),
}
"""How a context is made that looks like a desk's screen, and like a phone."""


class BrowserMissing(Exception):
    """There is no Chromium on this machine; the message says how to get one."""


def chromium() -> Path:
    """Where Chromium is: what `CHROMIUM` names, else Debian's, else one on the PATH. Raises `BrowserMissing`."""
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return Path(found)
        raise BrowserMissing(f"CHROMIUM names “{named}”, and there is no such program.")
    for name in (str(USUAL), *NAMES):
        if found := shutil.which(name):
            return Path(found)
    raise BrowserMissing("There is no Chromium on this machine: “make browser” installs it.")


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without a window. Raises `BrowserMissing`."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*SWITCHES])
        try:
            yield started
        finally:
            with contextlib.suppress(Error):  # it may be gone, on Ctrl-C
                started.close()
