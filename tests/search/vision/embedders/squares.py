"""Squares for the tests of embedders: photographs that scikit-image brings along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

NAMES = ("chelsea", "coffee", "rocket", "camera", "coins", "page", "astronaut", "clock")


def photograph(name: str, size: int) -> NDArray[np.uint8]:
    """Return the centre square of scikit-image's photograph, uint8 (size, size, 3)."""
    picture = Image.fromarray(getattr(data, name)()).convert("RGB")
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box))


def photographs(size: int) -> NDArray[np.uint8]:
    """Return eight photographs of different things, uint8 (8, size, size, 3)."""
    return np.stack([photograph(name, size) for name in NAMES])
