"""An upright picture, or a box of it -> the square that a model sees.

The only place that resizes for a model: the same `square` prepares catalogue photos and queries, so that the
two can be compared. Each choice was measured; see the documentation of the architecture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _
from PIL import Image

PREPROCESSING_VERSION = 1
"""Part of every embedder's fingerprint: raise it with any change here that changes the pixels of a square."""

MIN_EXTENT = 0.02
"""The least width and height of a box, as a fraction of the picture's: less shows nothing to recognise."""

_Region = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

_TOLERANCE = 12
"""How far, of 255 in any channel, a border's pixel may be from its corner: noise of JPEG, not texture."""

_LEAST_REMAINDER = 0.2
"""Nothing is trimmed when less than this fraction of a side would remain: a speck on a plain picture."""

_SLIMMEST = 3 / 4
"""What remains is made no slimmer than this, the shape of most photos: the centre square of a dress cut out
on white would otherwise show only its middle."""

_TRIM_LINES = 96
"""Borders are looked for on a copy with at least this many lines each way, and less than twice as many."""


@dataclass(frozen=True)
class Box:
    """A part of a picture: edges as fractions, from its left and top, of the upright, untrimmed picture.

    Raises ValueError, with a sentence for a person, when it is not inside the picture or too small.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        edges = (self.left, self.top, self.right, self.bottom)
        if not all(math.isfinite(edge) and 0 <= edge <= 1 for edge in edges):
            raise ValueError(_("A box must lie inside the picture: give its edges as numbers from 0 to 1."))
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError(
                _("The left edge of a box must be less than the right one, and the top less than the bottom.")
            )
        if self.width < MIN_EXTENT or self.height < MIN_EXTENT:
            raise ValueError(
                _("This box is too small: draw it over at least %(percent)d %% of each side.")
                % {"percent": round(100 * MIN_EXTENT)}
            )

    @classmethod
    def from_sequence(cls, edges: Sequence[float | str]) -> Self:
        """Left, top, right, bottom -> a box; rounded to four decimals, so that equal boxes are equal keys."""
        try:
            left, top, right, bottom = (round(float(edge), 4) for edge in edges)
        except (TypeError, ValueError) as error:
            raise ValueError(_("A box is four numbers: left, top, right, bottom.")) from error
        return cls(left, top, right, bottom)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def short_side(size: int, box: Box | None = None) -> int:
    """The shorter side, in pixels, at which a picture must be decoded for `square(image, size, box)`.

    To be given to `catalogue.images.read`, so that a small box of a large photo is not cut from a small copy.
    """
    return size if box is None else math.ceil(size / max(box.width, box.height))


def square(image: Image.Image, size: int, box: Box | None = None) -> npt.NDArray[np.uint8]:
    """An upright RGB image -> uint8 (size, size, 3).

    Without a box, borders of one colour are trimmed (screenshots, white canvas) and the centre square of the
    rest is taken. A box is widened to a square as far as the picture goes, centred on it where that fits; of
    a box longer than the picture's shorter side the middle is taken. Nothing is trimmed in a box.
    """
    region = _centre_square(*_trimmed(image)) if box is None else _around(box, image.width, image.height)
    resized = image.resize((size, size), Image.Resampling.BICUBIC, box=region, reducing_gap=2.0)
    return np.asarray(resized)


def _centre_square(left: float, top: float, right: float, bottom: float) -> _Region:
    side = min(right - left, bottom - top)
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    return x, y, x + side, y + side


def _around(box: Box, width: int, height: int) -> _Region:
    """A square of the box's longer side: at least a pixel, at most the picture's shorter side."""
    side = min(max(box.width * width, box.height * height, 1), width, height)
    x = _inside((box.left + box.right) / 2 * width - side / 2, width - side)
    y = _inside((box.top + box.bottom) / 2 * height - side / 2, height - side)
    return x, y, x + side, y + side


def _inside(start: float, room: float) -> float:
    return min(max(start, 0), room)


def _trimmed(image: Image.Image) -> _Region:
    """What is left of the image, in pixels, without borders of one colour."""
    width, height = image.size
    left, top, right, bottom = _content(image)
    if right - left < _LEAST_REMAINDER * width or bottom - top < _LEAST_REMAINDER * height:
        return 0, 0, width, height
    x1, x2 = _widened(left, right, width, _SLIMMEST * (bottom - top))
    y1, y2 = _widened(top, bottom, height, _SLIMMEST * (right - left))
    return x1, y1, x2, y2


def _content(image: Image.Image) -> tuple[int, int, int, int]:
    """What borders of one colour surround: left, top, right, bottom in pixels."""
    width, height = image.size
    dx, dy = max(1, width // _TRIM_LINES), max(1, height // _TRIM_LINES)
    left, top, right, bottom = _bounds(np.asarray(image.reduce((dx, dy))))
    left, top, right, bottom = left * dx, top * dy, min(right * dx, width), min(bottom * dy, height)
    if (left, top, right, bottom) == (0, 0, width, height):
        return left, top, right, bottom
    # Found to within a line of the copy; to the pixel on the picture itself, from a line of border inwards.
    left, top = max(left - dx, 0), max(top - dy, 0)
    around = image.crop((left, top, min(right + dx, width), min(bottom + dy, height)))
    x1, y1, x2, y2 = _bounds(np.asarray(around))
    return left + x1, top + y1, left + x2, top + y2


def _bounds(pixels: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs from the borders of (h, w, 3); all 0 where nothing does.

    In a gentle gradient the borders of two opposite sides meet, and between them nothing is left either.
    """
    top, bottom = _border(pixels), len(pixels) - _border(pixels[::-1])
    if bottom <= top:
        return 0, 0, 0, 0
    columns = pixels[top:bottom].swapaxes(0, 1)
    left, right = _border(columns), len(columns) - _border(columns[::-1])
    if right <= left:
        return 0, 0, 0, 0
    return left, top, right, bottom


def _border(lines: npt.NDArray[np.uint8]) -> int:
    """How many of the first lines are of one colour, that of the first pixel."""
    corner = lines[0, 0].astype(np.int16)
    for count, line in enumerate(lines):  # most photos have no border: one look at their first line is enough
        if (np.abs(line - corner) > _TOLERANCE).any():
            return count
    return len(lines)


def _widened(start: float, end: float, limit: float, least: float) -> tuple[float, float]:
    """The stretch widened to `least` about its middle, as far as it goes between 0 and `limit`."""
    if end - start >= least:
        return start, end
    length = min(least, limit)
    start = _inside((start + end - length) / 2, limit - length)
    return start, start + length
