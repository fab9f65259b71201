"""Gestures that Playwright has no single call for: with the keyboard, a finger, the mouse, and files."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import FloatRect, Locator, Page

MARKED = """() => {
    // An outline or a ring around the element itself, around its label, or around what holds it.
    const element = document.activeElement;
    const name = element.outerHTML.slice(0, 120);
    const marks = [element, ...(element.labels || []), element.parentElement];
    const marked = marks.some((mark) => {
        if (!mark) return false;
        const style = getComputedStyle(mark);
        const frame = mark.getBoundingClientRect();
        const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        const shown = frame.width > 2 && frame.height > 2 && frame.bottom > 0 && frame.top < innerHeight;
        return shown && (outline || style.boxShadow !== "none");
    });
    return [name, marked || element === document.body];
}"""
STEPS = 8
"""Places that a dragging mouse or finger passes on its way."""


# By keyboard ------------------------------------------------------------------------------------------------


def tab_to(target: Locator, *, at_most: int = 60, key: str = "Tab") -> Locator:
    """Press Tab until the target has the focus. Fail after `at_most` presses.

    Name the target as a screen reader does: `page.get_by_role("button", name="Search")`.
    """
    page = target.page
    focused = target.and_(page.locator(":focus"))
    for _ in range(at_most):
        page.keyboard.press(key)
        if focused.count():
            return target
    where = page.evaluate("document.activeElement?.outerHTML.slice(0, 120)")
    raise AssertionError(f"{at_most} times {key} did not reach {target}. The focus is on {where}")


def press(target: Locator, key: str = "Enter", *, at_most: int = 60) -> None:
    """Tab to the target and press a key on it."""
    tab_to(target, at_most=at_most)
    target.page.keyboard.press(key)


class Stop(NamedTuple):
    """The element that has the focus after a Tab, and whether the focus is visible."""

    name: str
    visible: bool


def tab_through(page: Page, stops: int) -> list[Stop]:
    """Press Tab this many times, and describe the focus each time."""
    seen = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        name, visible = page.evaluate(MARKED)
        seen.append(Stop(name, visible))
    return seen


# By mouse and finger ----------------------------------------------------------------------------------------


def drag(area: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with the mouse from one place to another, in fractions of the area's width and height."""
    mouse = area.page.mouse
    frame = _frame(area)
    mouse.move(*_at(frame, start))
    mouse.down()
    mouse.move(*_at(frame, end), steps=STEPS)
    mouse.up()


def swipe(area: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """The same with one finger, in a page opened as on a phone."""
    frame = _frame(area)
    session = area.page.context.new_cdp_session(area.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", _at(frame, start))
    for step in range(1, STEPS + 1):
        part = step / STEPS
        place = (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part)
        touch("touchMove", _at(frame, place))
    touch("touchEnd")
    session.detach()


def carry(thing: Locator, onto: Locator) -> None:
    """Drag a thing by mouse onto another, slowly enough for a list that makes room on the way."""
    mouse = thing.page.mouse
    mouse.move(*_at(_frame(thing), (0.5, 0.5)))
    mouse.down()
    goal = _at(_frame(onto), (0.5, 0.9))
    mouse.move(*goal, steps=4 * STEPS)
    mouse.move(goal[0], goal[1] + 1)
    mouse.up()


def _frame(area: Locator) -> FloatRect:
    area.scroll_into_view_if_needed()
    frame = area.bounding_box()
    assert frame is not None, f"{area} is not shown."
    return frame


def _at(frame: FloatRect, place: Sequence[float]) -> tuple[float, float]:
    return frame["x"] + place[0] * frame["width"], frame["y"] + place[1] * frame["height"]


# With files -------------------------------------------------------------------------------------------------


@contextmanager
def choosing(page: Page) -> Iterator[Any]:
    """Like `page.expect_file_chooser()`, but the browser is ready for it before the block starts."""
    page.on("filechooser", lambda chooser: None)
    page.evaluate("new Promise((done) => requestAnimationFrame(done))")
    with page.expect_file_chooser() as chosen:
        yield chosen


def drop(page: Page, *files: Path, at: tuple[float, float] = (640, 500)) -> None:
    """Drag files from the desktop and drop them on the page."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": at[0], "y": at[1], "data": data})


def paste(page: Page, file: Path) -> None:
    """Copy a PNG elsewhere and press Ctrl+V in the page."""
    kind = mimetypes.guess_type(file.name)[0]
    assert kind == "image/png", "Clipboards hold pictures as PNG."
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async ([data, kind]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            await navigator.clipboard.write([new ClipboardItem({ [kind]: new Blob([bytes], { type: kind }) })]);
        }""",
        [base64.b64encode(file.read_bytes()).decode(), kind],
    )
    page.keyboard.press("Control+V")
