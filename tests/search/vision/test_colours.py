"""Colours: the block puts like beside like, and the names are those a shopper would say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from search.vision import colours

Colour = tuple[int, int, int]
Square = npt.NDArray[np.uint8]

WHITE: Colour = (252, 252, 252)
RED: Colour = (190, 30, 45)
NAVY: Colour = (30, 38, 75)
BLUE: Colour = (45, 105, 200)
BLACK: Colour = (18, 18, 20)
BROWN: Colour = (105, 66, 40)
ORANGE: Colour = (240, 130, 35)


def shirt(colour: Colour, background: Colour = WHITE, size: int = 224) -> Square:
    """A T-shirt laid out in the middle of a plain background."""
    image = Image.new("RGB", (size, size), background)
    half = [(0.16, 0.18), (0.38, 0.34), (0.28, 0.46), (0.19, 0.4), (0.19, 0.86)]
    outline = [(0.5 + x, y) for x, y in half] + [(0.5 - x, y) for x, y in reversed(half)]
    ImageDraw.Draw(image).polygon([(x * size, y * size) for x, y in outline], fill=colour)
    return np.asarray(image)


def plain(colour: Colour, size: int = 64) -> Square:
    return np.full((size, size, 3), colour, dtype=np.uint8)


def likeness(one: Square, other: Square, *, boxed: bool = False) -> float:
    return float(colours.block(one, boxed=boxed) @ colours.block(other, boxed=boxed))


squares = hnp.arrays(np.uint8, st.integers(1, 40).map(lambda side: (side, side, 3)))


# CIELAB


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        # From the definitions of sRGB and CIELAB, D65; given to two places in many tables.
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_lab_agrees_with_published_values(rgb: Colour, expected: tuple[float, float, float]) -> None:
    assert colours.lab(np.array(rgb, dtype=np.uint8)) == pytest.approx(expected, abs=0.05)


# The block


@given(square=squares, boxed=st.booleans())
def test_a_block_is_finite_not_negative_and_of_unit_length(square: Square, boxed: bool) -> None:
    block = colours.block(square, boxed=boxed)

    assert block.shape == (colours.WIDTH,) == (125,)
    assert block.dtype == np.float32
    assert (block >= 0).all()
    assert np.linalg.norm(block) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 255), (128, 128, 128)])
@pytest.mark.parametrize("boxed", [False, True])
def test_a_square_of_one_colour_is_like_itself_only(colour: Colour, boxed: bool) -> None:
    assert likeness(plain(colour), plain(colour), boxed=boxed) == pytest.approx(1, abs=1e-5)
    assert likeness(plain(colour), plain((0, 160, 60)), boxed=boxed) < 0.7


@given(patches=hnp.arrays(np.uint8, (4, 4, 3)), turns=st.integers(0, 3), mirrored=st.booleans())
def test_turning_and_mirroring_do_not_change_a_block(patches: Square, turns: int, mirrored: bool) -> None:
    square = patches.repeat(28, axis=0).repeat(28, axis=1)
    turned = np.rot90(square, turns)
    turned = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    assert colours.block(turned) == pytest.approx(colours.block(square), abs=1e-3)


def test_blocks_are_the_block_of_each() -> None:
    stack = np.stack([shirt(RED), shirt(NAVY), plain(BLACK, 224)])

    for boxed in (False, True):
        together = colours.blocks(stack, boxed=boxed)
        assert together.shape == (3, 125)
        assert np.array_equal(together, [colours.block(square, boxed=boxed) for square in stack])


def test_no_squares_give_no_blocks() -> None:
    assert colours.blocks(np.empty((0, 224, 224, 3), dtype=np.uint8)).shape == (0, 125)


@pytest.mark.parametrize(
    ("colour", "near", "far"),
    [
        (RED, (205, 50, 60), BLUE),
        (NAVY, (40, 50, 95), RED),
        (BLUE, (70, 125, 215), BROWN),
        (BROWN, (120, 80, 55), BLUE),
        (BLACK, (45, 45, 48), WHITE),
        (ORANGE, RED, BLUE),
    ],
)
def test_a_similar_colour_is_nearer_than_a_different_one(colour: Colour, near: Colour, far: Colour) -> None:
    assert likeness(shirt(colour), shirt(near)) > likeness(shirt(colour), shirt(far)) + 0.1


@given(st.integers(0, 60))
def test_likeness_does_not_grow_with_the_difference(step: int) -> None:
    start = shirt((100, 100, 100))

    nearer, farther = shirt((100 + step, 100, 100)), shirt((100 + 2 * step, 100, 100))

    assert likeness(start, nearer) >= likeness(start, farther) - 0.02


def test_the_garment_counts_for_more_than_its_background() -> None:
    same_garment = likeness(shirt(RED, background=WHITE), shirt(RED, background=(60, 120, 60)))
    same_background = likeness(shirt(RED, background=WHITE), shirt(BLUE, background=WHITE))

    assert same_garment > same_background + 0.2


def test_in_a_box_the_border_is_not_background() -> None:
    framed = shirt(RED, background=BLUE)

    assert likeness(framed, plain(BLUE), boxed=True) > likeness(framed, plain(BLUE)) + 0.1


def test_a_block_does_not_depend_on_the_models_size() -> None:
    assert colours.block(shirt(RED, size=448)) @ colours.block(shirt(RED, size=224)) > 0.99


# The names


def first(square: Square, *, boxed: bool = False) -> str:
    return colours.named(square, boxed=boxed)[0].name


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        (RED, "red"),
        (NAVY, "navy"),
        (BLUE, "blue"),
        (BLACK, "black"),
        (BROWN, "brown"),
        (ORANGE, "orange"),
        (WHITE, "white"),
        ((130, 132, 134), "grey"),
        ((205, 185, 150), "beige"),
        ((240, 205, 60), "yellow"),
        ((50, 120, 60), "green"),
        ((95, 105, 55), "green"),
        ((45, 175, 170), "turquoise"),
        ((165, 195, 230), "blue"),
        ((110, 60, 150), "purple"),
        ((240, 150, 180), "pink"),
        ((110, 20, 35), "red"),
    ],
)
@pytest.mark.parametrize("background", [WHITE, (120, 160, 90), (60, 60, 62)])
def test_a_garment_is_named_by_its_own_colour_first(colour: Colour, name: str, background: Colour) -> None:
    assert first(shirt(colour, background)) == name


def test_a_white_studio_is_not_named() -> None:
    assert [each.name for each in colours.named(shirt(RED))] == ["red"]


def test_white_on_white_is_white() -> None:
    assert [each.name for each in colours.named(shirt((245, 245, 245)))] == ["white"]


def test_each_swatch_has_its_own_name() -> None:
    for name, code in colours.SWATCHES.items():
        red, green, blue = bytes.fromhex(code[1:])
        assert first(plain((red, green, blue))) == name


def test_a_garment_of_two_colours_has_both_names_the_larger_first() -> None:
    square = shirt(RED).copy()
    garment = (square == RED).all(axis=2)
    garment[: int(0.6 * len(square))] = False
    square[garment] = NAVY

    red, navy = colours.named(square)

    assert (red.name, navy.name) == ("red", "navy")
    assert red.share > navy.share >= 0.15


def test_in_a_box_everything_is_named() -> None:
    assert {each.name for each in colours.named(shirt(RED, BLUE), boxed=True)} == {"red", "blue"}
    assert [each.name for each in colours.named(shirt(RED, BLUE))] == ["red"]


@given(square=squares, boxed=st.booleans())
def test_there_are_one_to_three_names_in_order_of_their_shares(square: Square, boxed: bool) -> None:
    found = colours.named(square, boxed=boxed)

    assert 1 <= len(found) <= 3
    assert len({each.name for each in found}) == len(found)
    assert all(each.name in colours.NAMES for each in found)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)
    assert all(each.share >= 0.15 for each in found[1:])
    assert 0 < sum(each.share for each in found) <= 1 + 1e-6


def test_every_name_has_a_swatch_and_a_label() -> None:
    assert len(colours.NAMES) == 14
    assert set(colours.SWATCHES) == set(colours.NAMES)
    with translation.override("en"):
        assert [colours.label(name) for name in colours.NAMES] == [name.capitalize() for name in colours.NAMES]


def test_an_unknown_name_has_no_label() -> None:
    with pytest.raises(KeyError):
        colours.label("octarine")
