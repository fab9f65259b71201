"""Smooth outlines: what a pattern cutter draws, as arrays of points.

Points are float64 arrays of shape (n, 2), x to the right and y down, in pixels of a 600 x 800 picture
whose centre is the origin.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
Knots: TypeAlias = Sequence[tuple[float, float]] | Points


def spline(knots: Knots, steps: int = 10) -> Points:
    """The Catmull-Rom curve through the knots, `steps` points to a span, both ends included."""
    k = np.asarray(knots, dtype=np.float64)
    padded = np.concatenate([2 * k[:1] - k[1:2], k, 2 * k[-1:] - k[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(k) - 1 + i, None, :] for i in range(4))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), k[-1:]])


def line(*knots: tuple[float, float]) -> Points:
    return np.asarray(knots, dtype=np.float64)


def join(*curves: Points) -> Points:
    """The curves end to end; where two meet there may be a corner."""
    return np.concatenate(curves)


def mirror(points: Points) -> Points:
    """The same curve on the other side, walked backwards, so that `join(half, mirror(half))` closes."""
    mirrored: Points = points[::-1] * np.array([-1.0, 1.0])
    return mirrored


def symmetric(*halves: Points) -> Points:
    """A closed outline from its right half, given from top to bottom."""
    half = join(*halves)
    return join(half, mirror(half))


def normals(points: Points) -> Points:
    """Unit normals of an open curve, to the right of its direction on the picture."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def offset(points: Points, distance: float) -> Points:
    """The curve moved sideways by `distance` along its normals."""
    return points + distance * normals(points)


def band(points: Points, width: float) -> Points:
    """The closed outline of a ribbon of `width` along one side of the curve."""
    return join(points, offset(points, width)[::-1])


def limb(axis: Knots, widths: Sequence[float]) -> tuple[Points, Points]:
    """The two sides of a sleeve, leg or strap: a smooth axis with a width at each of its knots.

    Returns the side to the left and the side to the right of the axis's direction, equally many points.
    """
    centre = spline(axis)
    at = np.linspace(0.0, 1.0, len(widths))
    half = 0.5 * np.interp(np.linspace(0.0, 1.0, len(centre)), at, widths)[:, None]
    normal = normals(centre)
    return centre - half * normal, centre + half * normal


def ellipse(centre: tuple[float, float], radii: tuple[float, float], steps: int = 40) -> Points:
    angle = np.linspace(0.0, 2 * np.pi, steps, endpoint=False)
    points: Points = np.array(centre) + np.array(radii) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points


def disc(centre: tuple[float, float], radius: float) -> Points:
    return ellipse(centre, (radius, radius), 24)


def inset(outline: Points, by: float) -> Points:
    """The closed outline moved inwards (outlines run clockwise): where the stitches along an edge go."""
    return offset(np.concatenate([outline[-1:], outline, outline[:1]]), by)[1:]


def rungs(a: Points, b: Points, spacing: float) -> list[Points]:
    """Short lines across a ribbon, from side `a` to side `b`: how ribbing shows."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(a, axis=0), axis=1))])
    at = np.arange(spacing / 2, length[-1], spacing)

    def along(side: Points) -> Points:
        return np.stack([np.interp(at, length, side[:, axis]) for axis in (0, 1)], axis=1)

    return [np.stack(pair) for pair in zip(along(a), along(b), strict=True)]
