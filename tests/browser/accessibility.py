"""axe-core on a page as it is now, in both colour schemes, at WCAG 2.2 AA."""

from __future__ import annotations

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURED = ["color-contrast", "link-in-text-block"]
"""The rules that another colour scheme can break; the others are asked once."""
LIKE_OTHERS = "[data-part='found'] .card:nth-child(n+7), [data-grid] > .card:nth-child(n+7)"
"""Cards of a long list but the first six. Axe would look at each, and they are made like these six."""
MOST_NODES = 6
"""Elements named for each fault; a list of products would name each of them."""

Scheme = Literal["light", "dark"]

_axe = Axe()


def check(page: Page, *, reload: bool = False) -> None:
    """Raises AssertionError with a list of what axe finds wrong: the rule, where it is explained, the elements.

    The page must run scripts: axe is one. `reload` is for pages that look at the colour scheme only when they load.
    """
    found = [*_faults(page, "light")]
    page.emulate_media(color_scheme="dark")
    if reload:
        page.reload()
    found += _faults(page, "dark")
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert not found, f"axe finds {len(found)} faults in {page.url}:\n" + "\n".join(found)


def fits(page: Page) -> bool:
    """Whether the page is no wider than its window, so that nobody has to scroll sideways (WCAG 1.4.10)."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def _faults(page: Page, scheme: Scheme) -> list[str]:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    options: dict[str, Any] = {
        "runOnly": {"type": "tag", "values": TAGS} if scheme == "light" else {"type": "rule", "values": COLOURED},
        "resultTypes": ["violations"],
        "preload": False,
    }
    results = _axe.run(page, {"exclude": [[LIKE_OTHERS]]}, options)
    return [f"{scheme}: {_told(violation)}" for violation in results.response["violations"]]


def _told(violation: dict[str, Any]) -> str:
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}", f"    {violation['helpUrl']}"]
    for node in violation["nodes"][:MOST_NODES]:
        markup = " ".join(node["html"].split())
        why = "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
        lines.append(f"    {' '.join(map(str, node['target']))}: {markup[:160]}\n      {why}")
    if (more := len(violation["nodes"]) - MOST_NODES) > 0:
        lines.append(f"    and {more} more")
    return "\n".join(lines)
