"""A receiver operating characteristic as an SVG: the whole of it, and the corner where the shop works, enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SIDE = 300  # of each panel, in units of the picture
GAP = 90
LEFT, TOP, BOTTOM = 70, 62, 64
CORNER = 0.1  # of both shares
TARGET = 0.05  # of photos refused, and of other things let through, at the most
INK, PALE, LINE, POINT, GOOD = "#1f2328", "#d0d7de", "#0b57d0", "#b3261e", "#e6f4ea"
WIDTH = LEFT + 2 * SIDE + GAP + 30
HEIGHT = TOP + SIDE + BOTTOM


def draw(wrong: Sequence[float], right: Sequence[float], point: tuple[float, float], area: float) -> str:
    """The curve of `right` over `wrong`, shares from 0 to 1, with the point where the shop works marked."""
    spoken = (
        f"Receiver operating characteristic. The area under the curve is {area:.4f}. Where the shop works, "
        f"{100 * point[1]:.1f} % of held-out photos of clothes are let through and "
        f"{100 * (1 - point[0]):.1f} % of pictures of other things are refused."
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13" '
            f'fill="{INK}">',
            '<title id="title">What search lets through: photos of clothes against other things</title>',
            f'<desc id="desc">{escape(spoken)}</desc>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            *_panel(
                wrong,
                right,
                point=point,
                origin=(LEFT, TOP),
                across=(0.0, 1.0),
                upward=(0.0, 1.0),
                heading=f"The whole: area {area:.4f}",
            ),
            *_panel(
                wrong,
                right,
                point=point,
                origin=(LEFT + SIDE + GAP, TOP),
                across=(0.0, CORNER),
                upward=(1 - CORNER, 1.0),
                heading="Its upper left corner, ten times enlarged",
            ),
            "</svg>",
            "",
        ]
    )


def _panel(
    wrong: Sequence[float],
    right: Sequence[float],
    *,
    point: tuple[float, float],
    origin: tuple[float, float],
    across: tuple[float, float],
    upward: tuple[float, float],
    heading: str,
) -> list[str]:
    x0, y0 = origin

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            x0 + SIDE * (x - across[0]) / (across[1] - across[0]),
            y0 + SIDE * (upward[1] - y) / (upward[1] - upward[0]),
        )

    # The part of the plane where both targets are met.
    left, top = at(0, 1)
    edge, floor = at(TARGET, 1 - TARGET)
    parts = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{edge - left:.1f}" height="{floor - top:.1f}" fill="{GOOD}"/>',
        f'<text x="{x0}" y="{y0 - 16}" font-weight="bold">{escape(heading)}</text>',
    ]
    for step in range(6):
        x, y = (low + (high - low) * step / 5 for low, high in (across, upward))
        px, py = at(x, y)
        parts += [
            f'<path d="M{px:.1f} {y0}V{y0 + SIDE}M{x0} {py:.1f}H{x0 + SIDE}" stroke="{PALE}"/>',
            f'<text x="{px:.1f}" y="{y0 + SIDE + 18}" text-anchor="middle">{100 * x:.0f}</text>',
            f'<text x="{x0 - 8}" y="{py + 4:.1f}" text-anchor="end">{100 * y:.0f}</text>',
        ]
    points = _within(list(zip(wrong, right, strict=True)), across[1], upward[0])
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _corners([at(*one) for one in points]))
    px, py = at(*point)
    middle = y0 + SIDE / 2
    parts += [
        f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2.5" stroke-linejoin="round"/>',
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5.5" fill="{POINT}" stroke="#ffffff" stroke-width="1.5"/>',
        f'<text x="{px + 12:.1f}" y="{py + 18:.1f}">the shop’s bound</text>',
        f'<text x="{x0 + SIDE / 2}" y="{y0 + SIDE + 42}" text-anchor="middle">other things let through, %</text>',
        f'<text x="{x0 - 42}" y="{middle}" text-anchor="middle" transform="rotate(-90 {x0 - 42} {middle})">'
        "photos of clothes let through, %</text>",
    ]
    return parts


def _corners(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points without those on a straight stretch between their neighbours, to a tenth of a unit."""
    kept: list[tuple[float, float]] = []
    for point in ((round(x, 1), round(y, 1)) for x, y in points):
        while len(kept) > 1 and any(kept[-2][axis] == kept[-1][axis] == point[axis] for axis in (0, 1)):
            kept.pop()
        kept.append(point)
    return kept


def _within(points: list[tuple[float, float]], most_wrong: float, least_right: float) -> list[tuple[float, float]]:
    """The steps of a rising curve that a panel shows, cut off at its edges."""
    shown: list[tuple[float, float]] = []
    before = points[0]
    for x, y in points:
        if y >= least_right and before[0] <= most_wrong:
            if not shown and before[1] < least_right:
                shown.append((before[0], least_right))
            shown.append((min(x, most_wrong), y))
        before = (x, y)
    return shown
