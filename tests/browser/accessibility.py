"""axe-core on a page as it is now, in both colour schemes, at WCAG 2.2 AA."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURED = ["color-contrast", "link-in-text-block"]
"""The rules that another colour scheme can break; the others are asked once."""

_axe = Axe()


def check(page: Page, *, leave_out: tuple[str, ...] = (), within: str = "") -> None:
    """Raises AssertionError with a list of what axe finds wrong: the rule, where it is explained, the elements.

    The page must run scripts: axe is one. `leave_out` are rules that the page cannot keep, with a comment that says
    why; `within` is a selector.
    """
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        asked = {"type": "tag", "values": TAGS} if scheme == "light" else {"type": "rule", "values": COLOURED}
        options: dict[str, Any] = {
            "runOnly": asked,
            "rules": {rule: {"enabled": False} for rule in leave_out},
            "resultTypes": ["violations"],
            "preload": False,
        }
        results = _axe.run(page, within or None, options)
        found += [f"{scheme}: {_told(violation)}" for violation in results.response["violations"]]
    page.emulate_media(color_scheme=None, reduced_motion=None)
    assert not found, f"axe finds {len(found)} faults in {page.url}:\n" + "\n".join(found)


def _told(violation: dict[str, Any]) -> str:
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}", f"    {violation['helpUrl']}"]
    for node in violation["nodes"]:
        markup = " ".join(node["html"].split())
        why = "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
        lines.append(f"    {' '.join(map(str, node['target']))}: {markup[:160]}\n      {why}")
    return "\n".join(lines)
