"""Do results have the colour of the query?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.held_out import HeldOut
from evaluation.metrics import Floats, Indices, colour_difference
from search.vision import colours

Squares: TypeAlias = NDArray[np.uint8]

_SIDE = 32
"""Pixels of the copy on which a dominant colour is looked for."""
_FRAME = 2
"""Pixels at its border that count as background."""
_MARGIN = 6
"""Pixels at its border that cannot be garment."""
_ALIKE = 12.0
"""Units of CIELAB within which two pixels resemble each other."""
_BACKGROUND = 0.05
"""A pixel that resembles more of the border than this share is background."""
_LEAST = 0.2
"""The share of the middle that is garment in any case."""
_CUBE = 20.0
"""Units of CIELAB."""


def colour_differences(
    found: Sequence[HeldOut], dominant: Callable[[Indices], Floats], sample: int | None = None, seed: int = 0
) -> list[Floats]:
    """The mean CIEDE2000 difference of each query's colour to its ten results', (q,) for each of `found`.

    `dominant` is asked once, for the CIELAB colours (m, 3) of the photos at m rows; NaN where a picture cannot
    be read, and queries that meet one are left out. `sample` draws so many of the queries.
    """
    drawn = np.random.default_rng(seed).permutation(len(found[0].queries))[:sample]
    asked = [np.concatenate([one.queries[drawn, None], one.nearest[drawn]], axis=1) for one in found]
    rows = np.unique(np.concatenate([block.ravel() for block in asked]))
    lab = dominant(rows)
    differences = []
    for block in asked:
        seen = lab[np.searchsorted(rows, block)]
        seen = seen[~np.isnan(seen).any(axis=(1, 2))]
        differences.append(colour_difference(seen[:, 0], seen[:, 1:]))
    return differences


def dominant_colour(square: Squares) -> NDArray[np.float32]:
    """The colour that most of the garment has, in CIELAB (3,), of a square (s, s, 3).

    Found otherwise than the colour block is, because it judges the block: of the picture's middle, what
    resembles its border is left out, and of what remains the fullest cube of Lab is averaged.
    """
    small = Image.fromarray(square).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    lab = colours.lab(np.asarray(small))
    framed = np.ones((_SIDE, _SIDE), bool)
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = False
    middle = lab[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].reshape(-1, 3)
    like_border = (np.linalg.norm(middle[:, None] - lab[framed], axis=2) < _ALIKE).mean(axis=1)
    # At least a fifth remains: a white shirt on white is white.
    garment = middle[like_border <= max(_BACKGROUND, float(np.quantile(like_border, _LEAST)))]
    _cells, cell, sizes = np.unique(np.floor(garment / _CUBE), axis=0, return_inverse=True, return_counts=True)
    centre = garment[cell.ravel() == sizes.argmax()].mean(axis=0)
    # Once more about its mean, so that it does not matter where the cubes' walls are.
    around = np.abs(garment - centre).max(axis=1) <= _CUBE / 2
    return np.asarray(garment[around].mean(axis=0) if around.any() else centre, np.float32)
