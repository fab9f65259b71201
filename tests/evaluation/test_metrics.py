from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import metrics

# From table 1 of Sharma, Wu and Dalal (2005), chosen by those authors to catch wrong implementations: hues on
# both sides of zero, mean hues half a turn away, greys, and large differences.
SHARMA = [
    ((50.0000, 2.6772, -79.7751), (50.0000, 0.0000, -82.7485), 2.0425),
    ((50.0000, -1.3802, -84.2814), (50.0000, 0.0000, -82.7485), 1.0000),
    ((50.0000, 0.0000, 0.0000), (50.0000, -1.0000, 2.0000), 2.3669),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0009), 7.1792),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0011), 7.2195),
    ((50.0000, -0.0010, 2.4900), (50.0000, 0.0009, -2.4900), 4.8045),
    ((50.0000, 2.5000, 0.0000), (50.0000, 0.0000, -2.5000), 4.3065),
    ((50.0000, 2.5000, 0.0000), (73.0000, 25.0000, -18.0000), 27.1492),
    ((50.0000, 2.5000, 0.0000), (56.0000, -27.0000, -3.0000), 31.9030),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_ciede2000_agrees_with_the_published_pairs_both_ways_round(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert metrics.ciede2000(first, second) == pytest.approx(expected, abs=5e-5)
    assert metrics.ciede2000(second, first) == pytest.approx(expected, abs=5e-5)


def test_ciede2000_broadcasts() -> None:
    first, second, expected = (np.array(column) for column in zip(*SHARMA, strict=True))
    assert metrics.ciede2000(first, second) == pytest.approx(expected, abs=5e-5)
    assert metrics.ciede2000(first[:, None], second).shape == (len(SHARMA), len(SHARMA))


def test_colour_difference_is_the_mean_over_the_results() -> None:
    first, second, expected = SHARMA[7]
    assert metrics.colour_difference([first], [[second, first]]) == pytest.approx(expected / 2, abs=5e-5)


def test_measures_of_a_ranking_counted_by_hand() -> None:
    relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    assert metrics.precision_at(1, relevant).tolist() == [1, 0, 0]
    assert metrics.precision_at(2, relevant).tolist() == [0.5, 0, 0]
    assert metrics.average_precision(relevant)[:2] == pytest.approx([(1 + 2 / 3) / 2, 1 / 4])
    assert np.isnan(metrics.average_precision(relevant)[2])


def test_a_short_ranking_counts_as_filled_up_with_irrelevant_items() -> None:
    assert metrics.precision_at(10, np.ones((1, 3), bool)).tolist() == [0.3]


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_a_shallow_ranking_is_the_head_of_the_whole_one(width: int, depth: int, seed: int) -> None:
    scores = np.random.default_rng(seed).permuted(np.arange(3 * width)).reshape(3, width).astype(float)
    assert (metrics.rank(scores, depth) == metrics.rank(scores)[:, :depth]).all()
    assert (np.take_along_axis(scores, metrics.rank(scores), axis=1) == -np.sort(-scores, axis=1)).all()


def test_what_is_left_out_is_ranked_last() -> None:
    scores = np.array([[3.0, 2.0, 1.0]])
    assert metrics.rank(scores, leave_out=np.array([[True, False, False]])).tolist() == [[1, 2, 0]]


def test_retrieval_counts_only_queries_that_the_gallery_can_answer() -> None:
    # On a line, nearest first: a shoe, a shoe, the only hat, a shoe. Each photo finds itself first.
    photos = np.array([[1, 0], [0.99, 0.1], [0.9, 0.3], [0, 1]], np.float32)
    found = metrics.retrieval(metrics.similarities(photos, photos), ["shoe", "shoe", "hat", "shoe"], ["shoe"] * 4)
    assert found.unanswerable == 1
    assert found.precision_at_1.tolist() == [1] * 3


def test_retrieval_is_the_same_in_blocks_of_any_size() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(30, 8)), rng.normal(size=(50, 8))
    labels, wanted = rng.integers(0, 3, 50), rng.integers(0, 3, 30)
    whole = metrics.retrieval(metrics.similarities(queries, gallery, block=30), wanted, labels)
    parts = metrics.retrieval(metrics.similarities(queries, gallery, block=7), wanted, labels)
    assert whole.summary() == parts.summary()
    mean, low, high = whole.summary()["mAP"]
    assert 0 < low < mean < high < 1


def test_retrieval_of_nothing_has_no_summary() -> None:
    assert metrics.retrieval([], [], []).summary() == {}


def test_a_confidence_interval_is_as_wide_as_theory_says() -> None:
    sample = np.random.default_rng(0).normal(5, 2, 2_000)
    low, high = metrics.confidence_interval(sample)
    # Half the width of the normal approximation: 1.96 standard errors.
    assert (high - low) / 2 == pytest.approx(1.96 * sample.std() / np.sqrt(2_000), rel=0.1)
    assert (low + high) / 2 == pytest.approx(sample.mean(), abs=0.01)
    assert (low, high) == metrics.confidence_interval(sample)


def test_a_confidence_interval_of_no_values_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        metrics.confidence_interval([])
