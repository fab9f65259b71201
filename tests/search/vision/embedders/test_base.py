from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from search.exceptions import EmbedderError, PicturesRejected
from search.vision.embedders import Embedder


class Answering(Embedder):
    """An embedder whose model answers with whatever array it was given, cut to the batch."""

    fingerprint = "answering"
    dimensions = 2
    size = 4
    batch_size = 2

    def __init__(self, alias: str, *, answer: NDArray[np.float32]) -> None:
        super().__init__(alias)
        self.answer = answer
        self.batches: list[int] = []

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(squares))
        return self.answer[: len(squares)]


SQUARES = np.zeros((5, 4, 4, 3), np.uint8)


def test_the_model_sees_no_more_than_a_batch_at_a_time():
    embedder = Answering("default", answer=np.eye(2, dtype=np.float32))
    assert embedder.embed(SQUARES).shape == (5, 2)
    assert embedder.batches == [2, 2, 1]


@pytest.mark.parametrize(
    "answer",
    [[[np.nan, 1.0]], [[np.inf, 0.0]], [[0.0, 0.0]], [[0.6, 0.6]]],
    ids=["not a number", "infinite", "zero", "too short"],
)
def test_an_answer_that_is_not_of_unit_length_is_refused(answer):
    embedder = Answering("default", answer=np.array(answer, np.float32))
    with pytest.raises(EmbedderError, match="not of unit length"):
        embedder.embed(SQUARES[:1])


@pytest.mark.parametrize(
    "answer", [np.array([1.0, 0.0]), np.eye(3)[:1], np.eye(2)[:0]], ids=["flat", "too wide", "too few"]
)
def test_an_answer_of_another_shape_is_refused(answer):
    embedder = Answering("default", answer=answer.astype(np.float32))
    with pytest.raises(EmbedderError, match="answered with shape"):
        embedder.embed(SQUARES[:1])


class Choosy(Answering):
    """Refuses black squares; the rows of those say nothing."""

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = super()._embed(squares)
        black = np.flatnonzero(~squares.any(axis=(1, 2, 3)))
        if black.size:
            rows = rows.copy()
            rows[black] = np.nan
            raise PicturesRejected(rows, {int(place): f"Black, {place}." for place in black})
        return rows


def test_rejected_pictures_are_named_by_position_and_the_others_embedded():
    squares = np.ones((7, 4, 4, 3), np.uint8)
    squares[[1, 4, 5]] = 0
    embedder = Choosy("default", answer=np.eye(2, dtype=np.float32))
    with pytest.raises(PicturesRejected, match=r"^Black, 1\.$") as told:
        embedder.embed(squares)
    assert told.value.permanent
    assert told.value.reasons == {1: "Black, 1.", 4: "Black, 0.", 5: "Black, 1."}
    np.testing.assert_array_equal(told.value.vectors[[0, 2, 3, 6]], np.eye(2)[[0, 0, 1, 0]])


def test_the_other_rows_of_a_rejecting_batch_are_verified():
    squares = np.ones((2, 4, 4, 3), np.uint8)
    squares[1] = 0
    with pytest.raises(EmbedderError, match="not of unit length"):
        Choosy("default", answer=np.full((2, 2), 0.1, np.float32)).embed(squares)
