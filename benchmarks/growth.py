"""How long two indexes take to answer as they grow, as an SVG; both scales are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 60
INK, PALE = "#1f2328", "#d0d7de"
COLOURS = ("#0b57d0", "#b3261e", "#137333")

APART = 16
"""Between two lines' names."""

Line = Sequence[tuple[int, float]]
"""Documents and milliseconds, ascending."""


def draw(lines: Mapping[str, Line]) -> str:
    """A line for each index, by its name; milliseconds of a search over the number of documents."""
    points = [point for line in lines.values() for point in line]
    across = _decades(count for count, _time in points)
    upward = _decades(time for _count, time in points)

    def at(count: float, time: float) -> tuple[float, float]:
        x = (math.log10(count) - across[0]) / (across[1] - across[0])
        y = (math.log10(time) - upward[0]) / (upward[1] - upward[0])
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)

    said = "; ".join(
        f"{name}: " + ", ".join(f"{time:.1f} ms at {count:,}" for count, time in line) for name, line in lines.items()
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13" fill="{INK}">',
        '<title id="title">How long a search takes as the index grows</title>',
        f'<desc id="desc">Median time of a search. {escape(said)}.</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for exponent in range(across[0], across[1] + 1):
        x, y = at(10**exponent, 10.0 ** upward[0])
        parts.append(f'<path d="M{x:.1f} {TOP}V{y:.1f}" stroke="{PALE}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{10**exponent:,}</text>')
    for exponent in range(upward[0], upward[1] + 1):
        x, y = at(10.0 ** across[0], 10.0**exponent)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="{PALE}"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    below = float(TOP - APART)
    # From the top down, so that names of lines that end close together do not cover each other.
    for colour, (name, line) in sorted(zip(COLOURS, lines.items(), strict=False), key=lambda one: -one[1][1][-1][1]):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        x, y = at(*line[-1])
        below = max(y + 4, below + APART)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="{x + 8:.1f}" y="{below:.1f}" fill="{colour}">{escape(name)}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">documents</text>'
        f'<text x="{LEFT}" y="{TOP - 18}" text-anchor="middle">ms, median</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: object) -> tuple[int, int]:
    """The powers of ten that values lie between, at least one apart."""
    found = [float(value) for value in values]  # type: ignore[attr-defined]
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    return low, max(high, low + 1)
