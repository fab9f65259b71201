"""Times over sizes as a picture that can be read aloud, and the vectors that they are measured with."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from benchmarks import growth, neighbours

SVG = "{http://www.w3.org/2000/svg}"
LINES = {"embedded": [(1_000, 0.1), (100_000, 12.0)], "opensearch": [(1_000, 2.0), (100_000, 9.5)]}


def test_it_says_in_words_what_it_shows() -> None:
    root = ET.fromstring(growth.draw(LINES))  # noqa: S314 - made a moment ago
    assert root.get("role") == "img"
    described = root.findtext(f"{SVG}desc", "")
    assert "embedded: 0.1 ms at 1,000, 12.0 ms at 100,000; opensearch: 2.0 ms at 1,000" in described


def test_more_documents_are_to_the_right_and_longer_times_above() -> None:
    root = ET.fromstring(growth.draw(LINES))  # noqa: S314 - made a moment ago
    for line in root.iter(f"{SVG}polyline"):
        (x1, y1), (x2, y2) = (tuple(map(float, pair.split(","))) for pair in line.get("points", "").split())
        assert 0 < x1 < x2 < growth.WIDTH
        assert growth.HEIGHT > y1 > y2 > 0


def test_rows_are_nearer_to_others_of_their_group() -> None:
    rows = neighbours.made_up().noisy(400, seed=3)
    for block in (rows.style, rows.colour):
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1, atol=1e-5)
    cosines = rows.style @ rows.style.T
    alike = rows.group[:, None] == rows.group
    assert cosines[alike & (cosines < 0.999)].mean() > cosines[~alike].mean() + 0.2


def test_the_nearest_are_those_of_the_highest_product_that_match() -> None:
    rows = np.eye(4, dtype=np.float32)
    query = np.array([4, 3, 2, 1], np.float32)
    assert neighbours.best(rows, query, np.ones(4, np.bool_), 2) == {1, 2}
    assert neighbours.best(rows, query, np.array([False, True, False, True]), 3) == {2, 4}
