"""What every embedder has to do: a backend's test file inherits the suite and says how to build it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from search.vision.embedders import Embedder
from tests.search.vision.embedders.squares import photographs


class EmbedderContract:
    # Largest difference of a number in a unit vector between two ways to compute it.
    tolerance = 2e-3
    # Of the darker copies. A net with random weights has not learnt to look past brightness: at .8 its rows are
    # nearer to those of another picture, in full precision as well.
    darkness = 0.8

    @classmethod
    def build(cls) -> Embedder:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Embedder:
        return cls.build()

    @pytest.fixture(scope="class")
    @classmethod
    def squares(cls, embedder: Embedder) -> NDArray[np.uint8]:
        return photographs(embedder.size)

    def test_embeddings_are_unit_rows_of_float32(self, embedder, squares):
        vectors = embedder.embed(squares)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(squares), embedder.dimensions)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

    def test_no_squares_give_no_rows(self, embedder, squares):
        vectors = embedder.embed(squares[:0])
        assert vectors.dtype == np.float32
        assert vectors.shape == (0, embedder.dimensions)

    @pytest.mark.parametrize("wrong", ["one square", "too small", "grey", "float", "channels first"])
    def test_squares_of_another_shape_or_dtype_are_refused(self, embedder, squares, wrong):
        refused = {
            "one square": squares[0],
            "too small": squares[:, :-1, :-1],
            "grey": squares[..., :1],
            "float": squares.astype(np.float32),
            "channels first": squares.transpose(0, 3, 1, 2),
        }[wrong]
        with pytest.raises(ValueError, match=f"uint8 \\(n, {embedder.size}, {embedder.size}, 3\\)"):
            embedder.embed(refused)

    def test_an_embedding_does_not_depend_on_the_batch(self, embedder, squares):
        together = embedder.embed(squares)
        alone = np.concatenate([embedder.embed(squares[i : i + 1]) for i in range(len(squares))])
        backwards = embedder.embed(squares[::-1])[::-1]
        np.testing.assert_allclose(alone, together, atol=self.tolerance)
        np.testing.assert_allclose(backwards, together, atol=self.tolerance)

    def test_more_squares_than_a_batch_come_back_in_their_order(self, embedder, squares):
        order = np.arange(embedder.batch_size + 3) % len(squares)
        vectors = embedder.embed(squares[order])
        np.testing.assert_allclose(vectors, embedder.embed(squares)[order], atol=self.tolerance)

    def test_a_darker_copy_is_closer_than_any_other_picture(self, embedder, squares):
        darker = (squares * self.darkness).astype(np.uint8)
        cosines = embedder.embed(darker) @ embedder.embed(squares).T
        np.testing.assert_array_equal(cosines.argmax(axis=1), np.arange(len(squares)))

    def test_threads_get_what_one_thread_gets(self, embedder, squares):
        one_by_one = [squares[i : i + 1] for i in range(len(squares))] * 2
        with ThreadPoolExecutor(4) as threads:
            concurrent = list(threads.map(embedder.embed, one_by_one))
        serial = [embedder.embed(square) for square in one_by_one]
        np.testing.assert_allclose(concurrent, serial, atol=self.tolerance)

    def test_two_instances_share_the_fingerprint_and_the_space(self, embedder, squares):
        twin = self.build()
        assert twin is not embedder
        assert twin.fingerprint == embedder.fingerprint
        assert (twin.size, twin.dimensions) == (embedder.size, embedder.dimensions)
        np.testing.assert_allclose(twin.embed(squares[:2]), embedder.embed(squares[:2]), atol=self.tolerance)

    def test_the_fingerprint_fits_a_column_and_an_address(self, embedder):
        assert 0 < len(embedder.fingerprint) <= 100
        assert embedder.fingerprint.replace("-", "").replace(".", "").replace("_", "").isalnum()

    def test_a_configured_backend_passes_its_check(self, embedder):
        assert embedder.check() == []

    def test_warm_needs_no_other_call(self):
        self.build().warm()
