"""How a feature map becomes a row.

"mean" is the plain mean, as the classifiers were trained and as the sample does; "gem" is a centre-weighted
generalised mean, `sqrt(sum(g * f**2))`, which finds better (docs/measurements.md).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pooling = Literal["mean", "gem"]

SIGMA = 0.35
"""Sigma of the weight's Gaussian, in sides of the feature map."""


def centre_weight(height: int, width: int) -> NDArray[np.float32]:
    """Return float32 (height, width): a Gaussian around the centre, sigma SIGMA of each side, with sum 1."""
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / SIGMA) ** 2) for n in (height, width))
    weight = np.outer(rows, columns)
    weight /= weight.sum()
    return weight.astype(np.float32)
