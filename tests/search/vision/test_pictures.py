"""The square that a model sees: borders trimmed, the middle taken, or a box made square."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from search.vision import pictures
from search.vision.pictures import MIN_EXTENT, Box, square


def scene(width: int, height: int, seed: int = 3) -> Image.Image:
    """Coloured clouds from edge to edge: a photo without a border."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 40 + 2, width // 40 + 2, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def ramp(width: int, height: int) -> Image.Image:
    """Red tells the column (0 to 255), green the row: a square's pixels say where they come from."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


def seen(pixels: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Which part of a ramp a square shows: left, top, right, bottom as fractions."""
    red, green = pixels[..., 0] / 255, pixels[..., 1] / 255
    return float(red[:, 0].mean()), float(green[0].mean()), float(red[:, -1].mean()), float(green[-1].mean())


def distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


@pytest.mark.parametrize("size", [(400, 533), (533, 400), (300, 300), (60, 50), (2000, 40), (32, 100_000)])
def test_a_square_has_the_models_size_and_type(size: tuple[int, int]) -> None:
    pixels = square(scene(*size), 224)

    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8


def test_the_centre_square_is_taken() -> None:
    assert seen(square(ramp(400, 600), 200)) == pytest.approx((0, 1 / 6, 1, 5 / 6), abs=0.02)
    assert seen(square(ramp(600, 400), 200)) == pytest.approx((1 / 6, 0, 5 / 6, 1), abs=0.02)


def test_a_picture_of_the_models_size_is_passed_on_as_it_is() -> None:
    image = scene(224, 224)

    assert np.array_equal(square(image, 224), np.asarray(image))


@pytest.mark.parametrize("colour", ["white", "black", (240, 235, 230)])
@pytest.mark.parametrize("corner", [(0, 0), (120, 160), (240, 0)])
def test_a_photo_on_a_plain_canvas_gives_the_square_of_the_photo(
    colour: str | tuple[int, int, int], corner: tuple[int, int]
) -> None:
    photo = scene(400, 533)
    canvas = Image.new("RGB", (640, 760), colour)
    canvas.paste(photo, corner)

    assert distance(square(canvas, 224), square(photo, 224)) < 3
    assert distance(np.asarray(canvas.resize((224, 224))), square(photo, 224)) > 20


def test_bands_above_and_below_may_have_different_colours() -> None:
    photo = scene(400, 533)
    screen = Image.new("RGB", (400, 800), "white")
    screen.paste("black", (0, 600, 400, 800))
    screen.paste(photo, (0, 67))

    assert distance(square(screen, 224), square(photo, 224)) < 3


def test_a_border_with_the_noise_of_jpeg_is_trimmed() -> None:
    photo = scene(300, 400)
    canvas = Image.new("RGB", (500, 500), (250, 250, 250))
    noisy = np.asarray(canvas).astype(int) + np.random.default_rng(1).integers(-4, 5, (500, 500, 3))
    canvas = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    canvas.paste(photo, (100, 50))

    assert distance(square(canvas, 224), square(photo, 224)) < 3


@given(st.integers(0, 1000))
def test_a_photo_without_a_border_is_not_trimmed(seed: int) -> None:
    image = scene(200, 300, seed)
    middle = image.crop((0, 50, 200, 250))

    assert distance(square(image, 100), np.asarray(middle.resize((100, 100), Image.Resampling.BICUBIC))) < 1


def test_a_picture_of_one_colour_stays_whole() -> None:
    assert np.array_equal(square(Image.new("RGB", (300, 400), "teal"), 32), np.full((32, 32, 3), (0, 128, 128)))


@pytest.mark.parametrize("step", [5, 10, 20, 30])
@pytest.mark.parametrize("upright", [True, False], ids=["down", "across"])
def test_a_gentle_gradient_is_neither_trimmed_nor_an_error(step: int, upright: bool) -> None:
    # Seen from either end most of it is one colour, so that what would be trimmed from both sides overlaps.
    shades = np.linspace(120, 120 + step, 300).round().astype(np.uint8)
    values = np.repeat(np.repeat(shades[:, None, None], 300, axis=1), 3, axis=2)
    values = values if upright else values.swapaxes(0, 1)
    found = pictures.square(Image.fromarray(np.ascontiguousarray(values)), 224).astype(int)
    assert abs(int(np.ptp(found)) - step) <= 1


def test_trimming_a_picture_of_a_million_lines_is_quick() -> None:
    stripe = Image.new("RGB", (32, 1_000_000), "white")
    started = time.process_time()

    square(stripe, 224)

    assert time.process_time() - started < 2  # seconds; looking at each line would take several times that


def test_a_speck_is_not_blown_up() -> None:
    image = Image.new("RGB", (400, 400), "white")
    image.paste("black", (195, 195, 205, 205))

    assert (square(image, 100) == 255).mean() > 0.99


def test_a_plain_garment_is_trimmed_to_its_outline_and_no_further() -> None:
    image = Image.new("RGB", (600, 600), "white")
    image.paste("black", (150, 100, 450, 200))  # a waistband as wide as the trousers
    image.paste("black", (150, 200, 280, 500))
    image.paste("black", (320, 200, 450, 500))

    pixels = square(image, 224)

    assert (pixels[:20, 50:170] < 5).all()
    assert (pixels[-20:, 110:114] > 250).all()


def test_a_slim_garment_cut_out_on_white_is_seen_in_most_of_its_length() -> None:
    image = Image.new("RGB", (600, 800), "white")
    image.paste(ramp(160, 700), (220, 50))

    _, top, _, bottom = seen(square(image, 200)[:, 95:105])

    assert top < 0.15
    assert bottom > 0.85


def test_nothing_is_trimmed_in_a_box() -> None:
    image = Image.new("RGB", (400, 400), "white")
    image.paste("black", (100, 100, 300, 300))

    pixels = square(image, 100, Box(0, 0, 1, 1))

    assert (pixels[:20] > 250).all()
    assert (pixels[30:70, 30:70] < 5).all()


def test_a_square_box_is_seen_as_drawn() -> None:
    assert seen(square(ramp(500, 500), 200, Box(0.2, 0.4, 0.6, 0.8))) == pytest.approx((0.2, 0.4, 0.6, 0.8), abs=0.02)


def test_a_box_is_widened_to_a_square_about_its_middle() -> None:
    assert seen(square(ramp(400, 800), 200, Box(0.4, 0.5, 0.6, 0.7))) == pytest.approx((0.3, 0.5, 0.7, 0.7), abs=0.02)


def test_a_box_at_the_edge_is_widened_into_the_picture() -> None:
    assert seen(square(ramp(400, 400), 200, Box(0, 0.2, 0.1, 0.8))) == pytest.approx((0, 0.2, 0.6, 0.8), abs=0.02)


def test_of_a_box_longer_than_the_short_side_the_middle_is_seen() -> None:
    assert seen(square(ramp(200, 800), 200, Box(0, 0.1, 1, 0.7))) == pytest.approx((0, 0.275, 1, 0.525), abs=0.02)


fraction = st.floats(0, 1)


@given(
    edges=st.tuples(fraction, fraction, fraction, fraction),
    width=st.integers(32, 300),
    height=st.integers(32, 300),
)
def test_every_valid_box_gives_a_square_that_covers_its_middle(
    edges: tuple[float, float, float, float], width: int, height: int
) -> None:
    x1, y1, x2, y2 = edges
    try:
        box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    except ValueError:
        assert min(abs(x1 - x2), abs(y1 - y2)) < MIN_EXTENT
        return

    left, top, right, bottom = seen(square(ramp(width, height), 16, box))

    assert left - 0.1 <= (box.left + box.right) / 2 <= right + 0.1
    assert top - 0.1 <= (box.top + box.bottom) / 2 <= bottom + 0.1


@pytest.mark.parametrize(
    "edges",
    [
        (0, 0, 1.01, 1),
        (-0.01, 0, 1, 1),
        (math.nan, 0, 1, 1),
        (0, 0, math.inf, 1),
        (0.6, 0, 0.4, 1),
        (0, 0.5, 1, 0.5),
        (0.5, 0.5, 0.51, 0.9),
        (0.1, 0.5, 0.9, 0.51),
    ],
)
def test_an_invalid_box_is_refused(
    edges: tuple[float, ...],
) -> None:
    with pytest.raises(ValueError, match=r"box .*\.$"):
        Box(*edges)


@pytest.mark.parametrize("edges", [[], [0, 0, 1], [0, 0, 1, 1, 1], ["a", 0, 1, 1], [None, 0, 1, 1], "0011!"])
def test_anything_but_four_numbers_is_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="four numbers"):
        Box.from_sequence(edges)


def test_a_box_is_read_from_the_text_of_an_address() -> None:
    assert Box.from_sequence(["0.25", "0", "1", "0.5"]) == Box(0.25, 0, 1, 0.5)


def test_boxes_that_differ_by_rounding_are_one_box() -> None:
    assert Box.from_sequence([0.1 + 0.2, 0, 1.0000001, 1]) == Box(0.3, 0, 1, 1)


@pytest.mark.parametrize("box", [None, Box(0, 0, 1, 1), Box(0.4, 0.4, 0.65, 0.5), Box(0.1, 0.2, 0.13, 0.9)])
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (1, 1), (1, 3)])
def test_a_picture_decoded_at_the_advised_scale_is_never_enlarged(box: Box | None, shape: tuple[int, int]) -> None:
    short = pictures.short_side(224, box)
    width, height = (short * side // min(shape) for side in shape)

    longer = short if box is None else max(box.width * width, box.height * height)

    assert min(longer, width, height) >= 224 - 1e-6
