from __future__ import annotations

import numpy as np

from modelarchive.pooling import SIGMA, centre_weight


def test_the_weight_is_a_mean() -> None:
    for height, width in ((7, 7), (8, 8), (3, 5), (1, 1)):
        weight = centre_weight(height, width)
        assert weight.shape == (height, width)
        assert weight.dtype == np.float32
        assert abs(weight.sum() - 1) < 1e-6


def test_the_centre_weighs_most_and_the_sides_alike() -> None:
    weight = centre_weight(7, 7)
    assert np.unravel_index(weight.argmax(), weight.shape) == (3, 3)
    np.testing.assert_array_equal(weight, weight[::-1])
    np.testing.assert_array_equal(weight, weight[:, ::-1])
    np.testing.assert_array_equal(weight, weight.T)


def test_the_weight_falls_as_a_gaussian_of_the_side() -> None:
    weight = centre_weight(7, 7).astype(np.float64)
    one_step = np.exp(-0.5 * (1 / 7 / SIGMA) ** 2)
    assert abs(weight[3, 4] / weight[3, 3] - one_step) < 1e-5
