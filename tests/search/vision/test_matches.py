from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.vision import matches
from search.vision.matches import DEFAULT, Calibration, Match, calibrate
from search.vision.vectors import unit

CALIBRATION = Calibration(same_item=0.9, very_similar=0.8, similar=0.7, loosely_similar=0.6, photos=100)


def pairs(cosines: NDArray[np.float64]) -> NDArray[np.float32]:
    """Photos whose nearest neighbours have the cosines given: pairs at right angles to all other pairs."""
    count = len(cosines)
    rows = np.zeros((2 * count, 2 * count), np.float32)
    for pair, cosine in enumerate(cosines):
        rows[2 * pair, 2 * pair] = 1
        rows[2 * pair + 1, 2 * pair : 2 * pair + 2] = cosine, np.sqrt(1 - cosine**2)
    return rows


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [
        (1.0, Match.SAME_ITEM),
        (0.9, Match.SAME_ITEM),
        (0.89, Match.VERY_SIMILAR),
        (0.79, Match.SIMILAR),
        (0.69, Match.LOOSELY_SIMILAR),
        (0.6, Match.LOOSELY_SIMILAR),
        (0.59, Match.NONE),
        (-1.0, Match.NONE),
    ],
)
def test_a_cosine_has_a_word(cosine: float, expected: Match) -> None:
    assert CALIBRATION.match(cosine) is expected


@given(st.floats(-1, 1))
def test_something_is_alike_exactly_where_the_best_match_has_a_word(cosine: float) -> None:
    assert CALIBRATION.alike(cosine) == (CALIBRATION.match(cosine) is not Match.NONE)


def test_words_are_for_people_and_values_for_programs() -> None:
    assert Match.SAME_ITEM.value == "same_item"
    assert str(Match.SAME_ITEM.label) == "same item"
    assert len({str(label) for label in Match.labels}) == len(Match)


def test_the_bounds_are_percentiles_of_the_nearest_neighbours_cosine() -> None:
    # 101 pairs at .50, .504 ... .90, each seen from both of its ends.
    cosines = np.linspace(0.5, 0.9, 101)
    calibration = calibrate(pairs(cosines), np.arange(202))
    seen = np.repeat(cosines, 2)
    assert calibration is not None
    assert calibration.loosely_similar == pytest.approx(np.percentile(seen, 3), abs=1e-5)
    assert calibration.similar == pytest.approx(np.percentile(seen, 25), abs=1e-5)
    assert calibration.very_similar == pytest.approx(np.percentile(seen, 70), abs=1e-5)
    assert calibration.same_item == pytest.approx(np.percentile(seen, 97), abs=1e-5)
    assert calibration.photos == 202


def test_photos_of_the_same_product_are_not_each_others_neighbours() -> None:
    # Each photo has a near copy of the same product, and in the next product a neighbour at a cosine of .6.
    photos = pairs(np.full(30, 0.6))
    copies = unit(photos + 1e-3)
    products = np.arange(60)
    calibration = calibrate(np.concatenate([photos, copies]), np.concatenate([products, products]))
    assert calibration is not None
    assert calibration.very_similar == pytest.approx(0.6, abs=0.02)


def test_a_floor_keeps_what_is_merely_nearest_from_being_the_same_item() -> None:
    calibration = calibrate(pairs(np.full(30, 0.6)), np.arange(60))
    assert calibration is not None
    assert calibration.same_item == matches.SAME_ITEM_FLOOR


def test_products_that_share_pictures_leave_room_for_a_compressed_copy() -> None:
    calibration = calibrate(pairs(np.where(np.arange(30) < 25, 1.0, 0.7)), np.arange(60))
    assert calibration is not None
    assert calibration.same_item == matches.SAME_ITEM_CEILING
    assert calibration.match(0.95) is Match.SAME_ITEM


def test_a_model_without_contrast_does_not_call_all_photos_the_same_item() -> None:
    calibration = calibrate(pairs(np.linspace(0.95, 0.99, 30)), np.arange(60))
    assert calibration is not None
    assert calibration.same_item > 0.985
    assert calibration.match(0.97) is not Match.SAME_ITEM
    assert calibration.very_similar > calibration.similar > calibration.loosely_similar > matches.SAME_ITEM_CEILING


@given(st.integers(0, 2**32 - 1), st.integers(25, 80), st.floats(0, 3))
def test_bounds_never_cross(seed: int, count: int, common: float) -> None:
    photos = unit(common + np.random.default_rng(seed).normal(size=(count, 8)))
    found = calibrate(photos, np.arange(count))
    assert found is not None
    assert found.same_item >= found.very_similar >= found.similar >= found.loosely_similar


def test_fewer_than_25_photos_or_one_product_alone_cannot_be_calibrated() -> None:
    photos = pairs(np.full(15, 0.6))
    assert calibrate(photos[:24], np.arange(24)) is None
    assert calibrate(photos[:25], np.arange(25)) is not None
    assert calibrate(photos, np.zeros(30, int)) is None
    assert calibrate(photos[:0], np.arange(0)) is None


def test_blocks_and_float16_change_nothing_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = unit(1 + np.random.default_rng(0).normal(size=(100, 16)))
    whole = calibrate(photos, np.arange(100) // 2)
    monkeypatch.setattr(matches, "BLOCK", 7)
    parts = calibrate(photos.astype(np.float16), np.arange(100) // 2)
    assert whole is not None
    assert parts is not None
    assert parts.similar == pytest.approx(whole.similar, abs=1e-3)
    assert parts.loosely_similar == pytest.approx(whole.loosely_similar, abs=1e-3)


def test_a_sample_asks_among_all_photos_and_is_the_same_each_time() -> None:
    photos = pairs(np.linspace(0.5, 0.9, 200))
    first = calibrate(photos, np.arange(400), sample=50)
    assert first == calibrate(photos, np.arange(400), sample=50)
    assert first is not None
    # Were the neighbours looked for in the sample only, most pairs would be torn apart and see a cosine of 0.
    assert first.loosely_similar >= 0.5


def test_a_calibration_survives_json() -> None:
    assert Calibration.from_json(CALIBRATION.to_json()) == CALIBRATION


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", json.dumps({"same_item": "high"})])
def test_invalid_json_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ValueError, match="rebuild_index"):
        Calibration.from_json(text)


def test_the_default_is_more_lenient_than_a_calibrated_catalogue() -> None:
    assert DEFAULT.same_item > DEFAULT.very_similar > DEFAULT.similar > DEFAULT.loosely_similar
    assert DEFAULT.alike(0.46)
    assert DEFAULT.photos == 0
