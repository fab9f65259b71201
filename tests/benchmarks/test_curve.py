"""The curve as a picture that can be read aloud."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.curve import SIDE, draw

SVG = "{http://www.w3.org/2000/svg}"


def panels(text: str) -> list[list[tuple[float, float]]]:
    lines = ET.fromstring(text).iter(f"{SVG}polyline")  # noqa: S314 - made a moment ago
    return [[tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()] for line in lines]  # type: ignore[misc]


def test_it_has_a_title_and_says_in_words_what_it_shows() -> None:
    root = ET.fromstring(draw([0, 0, 0.02, 1], [0, 0.97, 1, 1], (0.01, 0.975), 0.99876))  # noqa: S314
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    described = root.findtext(f"{SVG}desc", "")
    for words in ("0.9988", "97.5 % of held-out photos", "99.0 % of pictures of other things"):
        assert words in described


def test_the_whole_goes_from_corner_to_corner() -> None:
    whole, _corner = panels(draw([0, 0, 0.02, 1], [0, 0.97, 1, 1], (0.01, 0.975), 0.99))
    (x1, y1), (x2, y2) = whole[0], whole[-1]
    assert (x2 - x1, y1 - y2) == (SIDE, SIDE)


def test_the_corner_stays_within_its_frame() -> None:
    text = draw([0, 0, 0, 0.02, 0.4, 1], [0, 0.5, 0.97, 0.98, 0.99, 1], (0.01, 0.975), 0.99)
    whole, corner = panels(text)
    left, right = min(x for x, _y in corner), max(x for x, _y in corner)
    assert right - left <= SIDE
    assert left > max(x for x, _y in whole)
    assert max(y for _x, y in corner) - min(y for _x, y in corner) <= SIDE
