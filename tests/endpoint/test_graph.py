"""The package's graph against Keras itself, for each architecture; and what it decodes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from endpoint.architectures import ARCHITECTURES
from modelarchive import archive
from modelarchive.pooling import centre_weight
from tests import drawing
from tests.endpoint.exported import Exported, exported, on_openvino
from tests.endpoint.serving import cosines

AGREE = 0.9999

SIZES = {"inceptionv3": 75}
"""Sides in pixels where 64 are too few."""


def pngs(squares: NDArray[np.uint8]) -> list[bytes]:
    return [drawing.encoded(Image.fromarray(square), "PNG") for square in squares]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def made(request: pytest.FixtureRequest) -> Exported:
    """Each architecture; its weights do not depend on the size, and small pictures are quick."""
    return exported(request.param, SIZES.get(request.param, 64))


def test_rows_are_those_that_keras_predicts(made: Exported) -> None:
    # Else anything would agree: two pictures have to be further apart than that.
    assert cosines(made.rows[:1], made.rows[1:]) < AGREE - 0.001
    for rows in (
        made.signature("serving_default")(pngs(made.squares)),
        made.signature("pixels")(made.squares),
        on_openvino(made.folder, made.squares),
    ):
        assert rows.dtype == np.float32
        assert cosines(rows, made.rows).min() > AGREE
        np.testing.assert_allclose(rows, made.rows, rtol=1e-3, atol=1e-4 * np.abs(made.rows).max())


def test_each_architecture_is_described_as_it_is(made: Exported) -> None:
    manifest = archive.read_manifest(made.folder)
    known = ARCHITECTURES[manifest.architecture]
    assert manifest.dimensions == made.rows.shape[1] == known.dimensions
    last = known.last_block(made.network)
    weights = sum(layer.count_params() for layer in last)
    assert 0.2 < weights / made.network.count_params() < 0.8
    assert last[-1] is made.network.layers[-1]


def test_gem_is_a_centre_weighted_root_of_mean_squares(tiny: str) -> None:
    made = exported(tiny, 64, "gem")
    features = made.features.astype(np.float64)
    weight = centre_weight(*features.shape[1:3]).astype(np.float64)
    expected = np.sqrt(np.einsum("hw,nhwd->nd", weight, features**2))
    assert cosines(made.rows, expected).max() < 0.999, "the mean would pass as well"
    for rows in (made.signature("pixels")(made.squares), on_openvino(made.folder, made.squares)):
        np.testing.assert_allclose(rows, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_gem_has_a_slope_where_nothing_excites_a_channel() -> None:
    import tensorflow as tf

    from endpoint.graph import pooled

    features = tf.constant(np.array([0.0, 3.0], np.float32).repeat(4).reshape(2, 2, 2, 1))
    with tf.GradientTape() as tape:
        tape.watch(features)
        rows = pooled(features, "gem")
    np.testing.assert_allclose(rows.numpy().ravel(), [0, 3], rtol=1e-6)
    assert np.isfinite(tape.gradient(rows, features).numpy()).all()


@pytest.fixture(scope="module")
def embed(tiny: str) -> Any:
    return exported(tiny, 64).signature("serving_default")


def decoded(image: Image.Image) -> NDArray[np.uint8]:
    """What the graph sees of a picture whose pixels these are, resized by Pillow."""
    return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))


PICTURE = drawing.picture("dress", "#207040", size=(300, 400))
GREY = PICTURE.convert("L")
SIXTEEN = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)


def animated() -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, "GIF", save_all=True, append_images=[drawing.picture("hat", size=(300, 400))])
    return file.getvalue()


def transparent() -> Image.Image:
    image = PICTURE.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


FORMATS = {
    "JPEG": (drawing.encoded(PICTURE, "JPEG", quality=100, subsampling=0), PICTURE),
    "progressive JPEG": (drawing.encoded(PICTURE, "JPEG", quality=100, subsampling=0, progressive=True), PICTURE),
    "grey JPEG": (drawing.encoded(GREY, "JPEG", quality=100), GREY.convert("RGB")),
    "CMYK JPEG": (drawing.encoded(PICTURE.convert("CMYK"), "JPEG", quality=100, subsampling=0), PICTURE),
    "PNG": (drawing.encoded(PICTURE, "PNG"), PICTURE),
    "grey PNG": (drawing.encoded(GREY, "PNG"), GREY.convert("RGB")),
    "16-bit PNG": (drawing.encoded(SIXTEEN, "PNG"), GREY.convert("RGB")),
    "palette PNG": (drawing.encoded(PICTURE.quantize(64), "PNG"), PICTURE.quantize(64).convert("RGB")),
    # Dropped, not laid on white: the colours beneath are seen.
    "transparent PNG": (drawing.encoded(transparent(), "PNG"), PICTURE),
    "GIF": (drawing.encoded(PICTURE.quantize(64), "GIF"), PICTURE.quantize(64).convert("RGB")),
    "animated GIF": (animated(), PICTURE),
    "BMP": (drawing.encoded(PICTURE, "BMP"), PICTURE),
    "WebP": (drawing.encoded(PICTURE, "WEBP", lossless=True), PICTURE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_decoded_and_resized(name: str) -> None:
    import tensorflow as tf

    from endpoint.graph import _square

    data, image = FORMATS[name]
    square = _square(tf.constant(data), 224).numpy()
    assert square.shape == (224, 224, 3)
    difference = np.abs(square.astype(int) - decoded(image))
    assert difference.mean() < (5 if "animated" in name else 1), difference.mean()


def test_resizing_is_antialiased() -> None:
    import tensorflow as tf

    from endpoint.graph import _square

    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 255
    square = _square(tf.constant(drawing.encoded(Image.fromarray(stripes), "PNG")), 64).numpy()
    # One sample for each pixel would be black or white; the edges see half a window.
    assert np.abs(square[:, 4:-4].astype(int) - 127).max() <= 3


def test_rows_do_not_depend_on_the_batch(embed: Any) -> None:
    small, large = FORMATS["PNG"][0], drawing.encoded(drawing.picture(size=(500, 500)), "PNG")
    together = embed([small, large])
    for alone, row in zip((embed([small]), embed([large])), together, strict=True):
        assert cosines(alone, row[None]) > 0.99999


@pytest.mark.parametrize("bad", [b"", b"no picture", FORMATS["PNG"][0][:2000], FORMATS["JPEG"][0][:2000]])
def test_one_undecodable_image_fails_the_whole_call(embed: Any, bad: bytes) -> None:
    import tensorflow as tf

    good = FORMATS["PNG"][0]
    with pytest.raises(tf.errors.InvalidArgumentError):
        embed([good, bad])
    assert embed([good]).shape == (1, 128)
