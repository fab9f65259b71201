"""A picture's colours: the block that is compared, and the names that staff and shoppers filter by.

Both look at a small copy of the model's square, in CIELAB, and both ask of each colour how much of it is the
garment: what is near the centre counts more, and a colour that fills the picture's border counts less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from PIL import Image

COLOURS_VERSION = 1
"""The colour code of new index versions: raise it with any change that changes a block or a name (`EXTRACTORS`)."""

WIDTH = 125
"""Dimensions of the colour block: five steps of each of L, a and b."""

_FloatArray = npt.NDArray[np.float32]

_SIDE = 56
"""Pixels of the side of the copy that is looked at."""

_KNOTS = np.array([[5, 27.5, 50, 72.5, 95], [-40, -14, 0, 14, 40], [-40, -14, 0, 14, 40]], dtype=np.float32)
"""Centres of the bins along L, a and b: denser near grey, where most clothes are."""

_SIGMA = 0.25
"""Of the Gaussian that weighs the centre, as a fraction of the side."""

_BORDER = 0.1
"""Width of the frame that is taken to show the background, as a fraction of the side."""

_BACKGROUND_WEIGHT = 3
"""How strongly a colour of the border is held back."""

_LEAST_SHARE = 0.15
"""A colour with a smaller share of the garment is not named."""

_MOST_NAMES = 3


class Named(NamedTuple):
    """A colour by name, and its share of the garment, 0 to 1."""

    name: str
    share: float


_LABELS: dict[str, Promise] = {
    "black": _("Black"),
    "white": _("White"),
    "grey": _("Grey"),
    "beige": _("Beige"),
    "brown": _("Brown"),
    "red": _("Red"),
    "orange": _("Orange"),
    "yellow": _("Yellow"),
    "green": _("Green"),
    "turquoise": _("Turquoise"),
    "blue": _("Blue"),
    "navy": _("Navy"),
    "purple": _("Purple"),
    "pink": _("Pink"),
}

_PROTOTYPES = {
    "black": ("#15151a", "#000000", "#26262a", "#201a18"),
    "white": ("#fafafa", "#ebebee", "#e2e3e6", "#f3f0e8", "#e6ebf0"),
    "grey": ("#8f9194", "#3f4145", "#5a5c60", "#737477", "#b0b2b5", "#c4c6c9", "#8a8a80", "#7b8088"),
    "beige": ("#d9c4a0", "#e8dcc0", "#c8b08c", "#efe2cc", "#d4c5b0", "#b8a68c", "#cbb9a4"),
    "brown": ("#7a4a2a", "#4a2c1a", "#3b2a20", "#5c4033", "#8b5e3c", "#a0764e", "#6b4a3a", "#8a6a50"),
    "red": ("#cc2229", "#ff0000", "#8b1a1a", "#a62c2b", "#e04040", "#6e1423", "#b03040"),
    "orange": ("#f28c28", "#ff6a00", "#e0701f", "#ffa347", "#d2601a", "#f58a5c", "#f8b88a"),
    "yellow": ("#f5d327", "#ffff00", "#e6c84a", "#fbec8a", "#d4a017", "#c9a227"),
    "green": (
        "#3a8d3f", "#00ff00", "#1f4d2b", "#556b2f", "#78a84b", "#9acd32",
        "#98d8a0", "#2e3d2a", "#6b7a4a", "#808000", "#0f7a4f", "#7a8a70",
    ),
    "turquoise": ("#2ab8b0", "#40e0d0", "#008080", "#8cc4c0", "#a8dcd8", "#00a5b5", "#2f6f73", "#00ffff"),
    "blue": (
        "#2f6fd0", "#0000ff", "#1e4fa3", "#6fa3dc", "#a9c9ea", "#4a6fa5",
        "#7089a8", "#3f5f8a", "#5d6c84", "#b8cfe0", "#00a0f0",
    ),
    "navy": ("#1f2a52", "#000080", "#141b33", "#232f4b", "#2a3a66", "#1c2436"),
    "purple": ("#7b3fa0", "#800080", "#4b2a6a", "#a678c8", "#c3a6dc", "#e2dcf4", "#8a2be2", "#5a2a55"),
    "pink": ("#f29ab8", "#ff69b4", "#f8c8d4", "#e0457b", "#d98a94", "#ff00ff", "#e8b4b0", "#f4dadd"),
}  # fmt: skip
"""What each name looks like: on screen (the first, its swatch) and in cloth, in light and in shade."""

NAMES: tuple[str, ...] = tuple(_PROTOTYPES)
"""In the order in which they are shown."""

SWATCHES: dict[str, str] = {name: prototypes[0] for name, prototypes in _PROTOTYPES.items()}
"""Name -> "#rrggbb" to show beside it."""


_PERCEIVED = np.array([0.8, 1, 1], dtype=np.float32)
"""Factors of L, a and b when looking for a name: shade changes a colour's lightness before its name."""

_DROPPED_BITS = 3
"""Of each channel, when looking up a name."""

_CURVE_STARTS = 0.04045
_CUBE_STARTS = (6 / 29) ** 3
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32
).T / np.array([0.9505, 1.0, 1.089], dtype=np.float32)
"""Linear sRGB -> XYZ relative to the white, which is the sum of each row."""


def _linear() -> _FloatArray:
    encoded = np.arange(256) / 255
    curve = ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= _CURVE_STARTS, encoded / 12.92, curve).astype(np.float32)


_LINEAR = _linear()
"""An 8-bit sRGB value -> linear light, 0 to 1."""


def label(name: str) -> str:
    """A colour's name in the reader's language. Raises KeyError for a name that is not of NAMES."""
    return str(_LABELS[name])


def lab(rgb: npt.NDArray[np.uint8]) -> _FloatArray:
    """sRGB (..., 3) -> CIELAB (..., 3) for the D65 white: L from 0 to 100.

    The transfer function and primaries are those of IEC 61966-2-1, CIELAB that of CIE 15:2004.
    """
    xyz = _LINEAR[rgb] @ _TO_XYZ
    f = np.where(xyz > _CUBE_STARTS, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def block(square: npt.NDArray[np.uint8], *, boxed: bool = False) -> _FloatArray:
    """The colours of a square (s, s, 3) -> float32 (125,), of unit length and without negative numbers.

    A soft histogram over five steps of each of L, a and b, weighted towards the centre. `boxed` says that the
    square is a box which somebody drew about the garment: its border is then not taken for background.
    The square root makes the inner product of two blocks the Bhattacharyya coefficient of their histograms.
    """
    return look(square, boxed=boxed)[0]


def blocks(squares: npt.NDArray[np.uint8], *, boxed: bool = False) -> _FloatArray:
    """Squares (n, s, s, 3) -> their colour blocks, float32 (n, 125)."""
    rows = np.empty((len(squares), WIDTH), dtype=np.float32)
    for row, square in zip(rows, squares, strict=True):
        row[:] = block(square, boxed=boxed)
    return rows


def named(square: npt.NDArray[np.uint8], *, boxed: bool = False) -> list[Named]:
    """The one to three colours of a square (s, s, 3) that make up much of the garment, the largest first.

    Shares are of the whole garment, so they add up to less than 1 where small rests are not named.
    """
    return look(square, boxed=boxed)[1]


def look(square: npt.NDArray[np.uint8], *, boxed: bool = False) -> tuple[_FloatArray, list[Named]]:
    """`block` and `named` of a square, for little more than the price of one."""
    copy = _copy(square)
    bins = _Bins.of(lab(copy))
    garment = _garment(bins, boxed=boxed)
    return _block(bins, garment), _named(copy, bins, garment)


def _block(bins: _Bins, garment: _FloatArray) -> _FloatArray:
    root = np.sqrt((bins.histogram(_CENTRE) * garment) @ _SMOOTHING)
    unit: _FloatArray = root / np.linalg.norm(root)
    return unit


def _named(copy: npt.NDArray[np.uint8], bins: _Bins, garment: _FloatArray) -> list[Named]:
    # Squared: a name is given or not, so the background must count for less than it may in a comparison.
    # Where garment and background are of one colour (white on white), all pixels still count the same.
    weights = _CENTRE * bins.spread(garment) ** 2
    red, green, blue = (copy >> _DROPPED_BITS).T
    totals = np.bincount(_name_table()[red, green, blue], weights, minlength=len(NAMES))
    shares = totals / totals.sum()
    largest = np.argsort(-shares, kind="stable")[:_MOST_NAMES]
    return [
        Named(NAMES[at], float(shares[at]))
        for rank, at in enumerate(largest)
        if rank == 0 or shares[at] >= _LEAST_SHARE
    ]


def _copy(square: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A square of any size -> the pixels (3136, 3) of a copy of 56 x 56."""
    copy = Image.fromarray(square).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(copy).reshape(-1, 3)


class _Bins(NamedTuple):
    """How much of each of n pixels falls into each bin: the product of its shares of L, a and b.

    Kept as two factors, L (n, 5) and ab (n, 25), since the whole (n, 125) is ten times slower to work with.
    """

    lightness: _FloatArray
    hue: _FloatArray

    @classmethod
    def of(cls, pixels: _FloatArray) -> Self:
        """From Lab values (n, 3): along each axis a pixel is shared by the two nearest knots.

        `passed` runs from 0 at a knot to 1 at the next, so its steps down are the shares.
        """
        passed = ((pixels[:, :, None] - _KNOTS[:, :-1]) / np.diff(_KNOTS)).clip(0, 1)
        shares = -np.diff(passed, axis=2, prepend=np.float32(1), append=np.float32(0))
        hue = shares[:, 1, :, None] * shares[:, 2, None, :]
        return cls(shares[:, 0], hue.reshape(len(pixels), -1))

    def histogram(self, weights: _FloatArray) -> _FloatArray:
        """Weights of the pixels (n,) -> weights of the bins (125,)."""
        counts = (self.lightness * weights[:, None]).T @ self.hue
        return counts.reshape(WIDTH).astype(np.float32, copy=False)

    def spread(self, values: _FloatArray) -> _FloatArray:
        """Values of the bins (125,) -> values of the pixels (n,), interpolated."""
        means: _FloatArray = np.einsum("ij,ij->i", self.lightness @ values.reshape(5, 25), self.hue)
        return means


def _garment(bins: _Bins, *, boxed: bool) -> _FloatArray:
    """Each bin's likelihood (125,) of being the garment's: 1 if the border has none of it."""
    if boxed:
        return np.ones(WIDTH, dtype=np.float32)
    centre, border = bins.histogram(_CENTRE), bins.histogram(_FRAME)
    return centre / (centre + _BACKGROUND_WEIGHT * border + _TINY)


@cache
def _name_table() -> npt.NDArray[np.intp]:
    """By the upper five bits of red, green and blue (32, 32, 32): which of NAMES is nearest."""
    names = np.repeat(np.arange(len(NAMES)), [len(hexes) for hexes in _PROTOTYPES.values()])
    hexes = [list(bytes.fromhex(code[1:])) for codes in _PROTOTYPES.values() for code in codes]
    prototypes = lab(np.array(hexes, dtype=np.uint8)) * _PERCEIVED
    steps = np.arange(0, 256, 2**_DROPPED_BITS, dtype=np.uint8) + np.uint8(2 ** (_DROPPED_BITS - 1))
    cells = lab(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)) * _PERCEIVED
    # The square of a distance, less what is the same for all prototypes.
    distances = (prototypes**2).sum(axis=1) - 2 * cells @ prototypes.T
    return np.asarray(names[distances.argmin(axis=-1)])


def _centre_weights() -> _FloatArray:
    offsets = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    profile = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights = np.outer(profile, profile).ravel()
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _frame_weights() -> _FloatArray:
    width = round(_BORDER * _SIDE)
    weights = np.ones((_SIDE, _SIDE))
    weights[width:-width, width:-width] = 0
    return np.asarray(weights.ravel() / weights.sum(), dtype=np.float32)


def _smoothing() -> _FloatArray:
    """A bin keeps a half, its neighbours along each axis get the rest: close colours compare as close."""
    axis = 0.5 * np.eye(5) + 0.25 * (np.eye(5, k=1) + np.eye(5, k=-1))
    axis[0, 0] = axis[-1, -1] = 0.75  # what would leave at an end stays
    return np.kron(np.kron(axis, axis), axis).astype(np.float32)


_TINY = np.float32(1e-12)
_CENTRE = _centre_weights()
_FRAME = _frame_weights()
_SMOOTHING = _smoothing()

Extractor: TypeAlias = Callable[..., tuple[_FloatArray, list[Named]]]
"""As `look`: a square uint8 (s, s, 3), and whether it was cut from a box -> the colour block, and the names."""

EXTRACTORS: dict[int, Extractor] = {COLOURS_VERSION: look}
"""The colour code by version. Code that is replaced stays here for one release: until the index is rebuilt, the live
version is searched, and added to, with the code that it was built with."""
