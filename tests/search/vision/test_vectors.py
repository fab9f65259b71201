from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.vision import vectors

seeds = st.integers(0, 2**32 - 1)
weights = st.floats(0, vectors.MAX_COLOUR_WEIGHT)


def blocks(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return vectors.unit(rng.normal(size=(count, 9))), vectors.unit(rng.random((count, 5)))


@given(seeds, weights)
def test_the_score_is_the_documented_mix_of_the_blocks_cosines(seed: int, weight: float) -> None:
    style, colour = blocks(np.random.default_rng(seed), 2)
    document = vectors.document(style, colour)[1]
    score = vectors.scale(vectors.query(style[0], colour[0], weight)) @ document
    alike = (1 - weight) * (style[0] @ style[1]) + weight * (colour[0] @ colour[1])
    assert score == pytest.approx(alike / np.sqrt(2 * ((1 - weight) ** 2 + weight**2)), abs=1e-5)


@given(seeds, weights)
def test_inner_product_cosine_and_distance_rank_alike(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    documents = vectors.document(*blocks(rng, 30)).astype(np.float64)
    style, colour = blocks(rng, 1)
    query = vectors.query(style[0], colour[0], weight).astype(np.float64)
    product = documents @ query
    cosine = product / np.linalg.norm(documents, axis=1) / np.linalg.norm(query)
    distance = np.linalg.norm(documents - query, axis=1)
    # In exact arithmetic the order is one; in float32 what differs by rounding alone may change places.
    for ranking in (np.argsort(-cosine), np.argsort(distance)):
        assert (np.diff(product[ranking]) < 1e-5).all()


@given(seeds)
def test_documents_have_one_length_and_survive_float16(seed: int) -> None:
    documents = vectors.document(*blocks(np.random.default_rng(seed), 10))
    assert documents.dtype == np.float32
    assert documents.shape == (10, 14)
    assert np.linalg.norm(documents, axis=1) == pytest.approx(np.sqrt(2), abs=1e-5)
    assert np.linalg.norm(documents.astype(np.float16), axis=1) == pytest.approx(np.sqrt(2), abs=1e-2)


def test_a_photo_scores_one_with_itself_where_both_blocks_weigh_the_same() -> None:
    style, colour = blocks(np.random.default_rng(0), 1)
    query = vectors.query(style[0], colour[0], 0.5)
    assert vectors.scale(query) @ vectors.document(style, colour)[0] == pytest.approx(1)


def test_without_weight_colour_does_not_count() -> None:
    style, colour = blocks(np.random.default_rng(0), 1)
    assert not vectors.query(style[0], colour[0], 0)[9:].any()


@pytest.mark.parametrize("weight", [-0.01, 0.51, float("nan"), float("inf")])
def test_a_weight_outside_the_slider_is_refused_with_a_sentence(weight: float) -> None:
    with pytest.raises(ValueError, match=r"colour weight must be between 0 and 0\.5"):
        vectors.query([1.0], [1.0], weight)


def test_unit_leaves_a_row_of_zeros_alone() -> None:
    assert vectors.unit([[0, 0], [3, 4]]) == pytest.approx(np.array([[0, 0], [0.6, 0.8]]))


def test_refining_moves_towards_the_liked_and_away_from_the_disliked() -> None:
    style, liked, disliked = vectors.unit(np.random.default_rng(0).normal(size=(3, 20)))
    refined = vectors.refine(style, [liked], [disliked])
    assert refined == pytest.approx(vectors.unit(style + 0.75 * liked - 0.35 * disliked))
    assert refined @ liked > style @ liked
    assert refined @ disliked < style @ disliked


def test_refining_takes_the_mean_of_several_likes() -> None:
    style, one, two = vectors.unit(np.random.default_rng(0).normal(size=(3, 20)))
    assert vectors.refine(style, [one, two]) == pytest.approx(vectors.unit(style + 0.75 * (one + two) / 2))


def test_refining_with_nothing_changes_nothing() -> None:
    style = vectors.unit(np.random.default_rng(0).normal(size=20))
    assert vectors.refine(style) == pytest.approx(style)
    assert vectors.refine(style, np.empty((0, 20)), np.empty((0, 20))) == pytest.approx(style)


def test_a_space_changes_with_each_of_its_parts() -> None:
    spaces = {
        vectors.space("model-a", None, 1),
        vectors.space("model-b", None, 1),
        vectors.space("model-a", "c0ffee", 1),
        vectors.space("model-a", None, 2),
    }
    assert len(spaces) == 4
    assert vectors.space("model-a", "c0ffee", 1) == vectors.space("model-a", "c0ffee", 1)
