from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modelarchive.inference import IMAGES
from search.vision.embedders.instances import SHARE, TooLarge, fitting, requests


def noise(n: int, size: int = 9) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), np.uint8)


def pictures(body: bytes) -> list[np.ndarray]:
    decoded = (base64.b64decode(instance["b64"], validate=True) for instance in json.loads(body)["instances"])
    return [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in decoded]


@settings(deadline=None)
@given(
    n=st.integers(0, 70),
    most_bytes=st.integers(600, 20_000),
    concurrency=st.integers(1, 8),
    encoding=st.sampled_from(["bmp", "png"]),
)
def test_squares_are_split_in_order_without_loss(n, most_bytes, concurrency, encoding):
    squares = noise(n)
    found = list(requests(squares, encoding, most_bytes=most_bytes, concurrency=concurrency))
    assert all(len(body) <= most_bytes for _part, body in found)
    assert [place for part, _body in found for place in range(n)[part]] == list(range(n))
    for part, body in found:
        np.testing.assert_array_equal(pictures(body), squares[part])


@pytest.mark.parametrize(
    ("n", "parts"), [(1, 1), (SHARE, 1), (2 * SHARE - 1, 1), (2 * SHARE, 2), (124, 4), (1000, 16)]
)
def test_many_squares_are_spread_over_concurrent_requests(n, parts):
    counts = [len(range(n)[part]) for part, _body in requests(noise(n), "bmp", most_bytes=10**9, concurrency=4)]
    assert len(counts) == parts
    assert max(counts) - min(counts) <= parts


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 224, 299])
def test_fitting_is_exact_for_bitmaps(size):
    squares = noise(3, size)
    [(_part, body)] = requests(squares, "bmp", most_bytes=10**9, concurrency=1)
    assert fitting(size, len(body)) == 3
    assert fitting(size, len(body) - 1) == 2
    assert [part for part, _body in requests(squares, "bmp", most_bytes=len(body), concurrency=1)] == [slice(0, 3)]
    assert len(list(requests(squares, "bmp", most_bytes=len(body) - 1, concurrency=1))) == 2


def test_how_many_squares_fit_into_a_request():
    assert (fitting(224, 6_291_456), fitting(224, 4_194_304)) == (31, 20)


def test_no_request_has_more_images_than_a_server_takes():
    assert fitting(32, 6_291_456) == IMAGES
    counts = [len(range(100)[part]) for part, _body in requests(noise(100), "bmp", most_bytes=10**9, concurrency=1)]
    assert counts == [50, 50]


def test_a_square_larger_than_a_request_is_refused():
    with pytest.raises(TooLarge, match="One picture alone takes"):
        list(requests(noise(2, 100), "bmp", most_bytes=10_000, concurrency=1))
