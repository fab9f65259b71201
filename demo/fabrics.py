"""Cloth: a pattern in two colours, printed or woven on a texture.

A swatch is a picture of `SIZE`, its origin in the middle, one pixel to a pixel of the garment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from demo.palette import RGB, luminance, mix

SIZE = (720, 960)
MID_LUMA = 120.0
Floats = NDArray[np.float32]

_U = (np.arange(SIZE[0], dtype=np.float32) - SIZE[0] / 2)[None, :]
_V = (np.arange(SIZE[1], dtype=np.float32) - SIZE[1] / 2)[:, None]


@dataclass(frozen=True)
class Cloth:
    """A swatch of `SIZE` to be laid on pieces: RGB, or for cloth of one colour its light alone (L)."""

    swatch: Image.Image
    colour: RGB | None = None

    def dye(self, laid: Image.Image) -> Image.Image:
        """The RGB picture of a swatch that has been laid on a piece."""
        if self.colour is None:
            return laid
        return Image.merge("RGB", [laid.point(_lit(value)) for value in self.colour])


def cloth(pattern: str, texture: str, first: RGB, second: RGB, rng: np.random.Generator) -> Cloth:
    """A cloth in the first colour; a pattern adds the second.

    Raises KeyError for a pattern that is neither "plain" nor in PATTERNS, or a texture not in TEXTURES.
    """
    grain = _grain(texture)
    if pattern == "plain":
        return Cloth(grain, first)
    base = PATTERNS[pattern](first, second, rng)
    return Cloth(ImageChops.hard_light(base, Image.merge("RGB", (grain, grain, grain))))


def _lit(value: int) -> list[int]:
    """What `hard_light` makes of the value under each of the 256 lights."""
    dark, bright = value, 255 - value
    return [dark * g // 127 for g in range(128)] + [255 - bright * (255 - g) // 127 for g in range(128, 256)]


# Patterns


def _blend(weight: Floats, first: RGB, second: RGB) -> Image.Image:
    """Second colour where the weight is 1."""
    full = np.broadcast_to(np.clip(weight, 0, 1) * 255, (SIZE[1], SIZE[0]))
    mask = Image.fromarray(full.astype(np.uint8))
    return Image.composite(Image.new("RGB", SIZE, second), Image.new("RGB", SIZE, first), mask)


def _lines(at: Floats, period: float, width: float) -> Floats:
    """1 on lines of `width` every `period`, with an edge one pixel soft."""
    distance = np.abs((at + period / 2) % period - period / 2)
    lines: Floats = np.clip(width / 2 - distance + 0.5, 0, 1)
    return lines


def _horizontal(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    period = float(rng.choice([24, 34, 46]))
    return _blend(_lines(_V, period, period * float(rng.choice([0.28, 0.4]))), first, second)


def _vertical(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    period, share = ((13, 0.24), (20, 0.4), (28, 0.2))[int(rng.integers(3))]
    return _blend(_lines(_U, period, period * share), first, second)


def _gingham(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    period = float(rng.choice([22, 30]))
    return _blend(0.37 * (_lines(_U, period, period * 0.44) + _lines(_V, period, period * 0.44)), first, second)


def _tartan(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    period = float(rng.choice([76, 96]))
    broad = 0.5 * (_lines(_U, period, period * 0.34) + _lines(_V, period, period * 0.34))
    fine = 0.6 * (_lines(_U + period / 2, period, 4) + _lines(_V + period / 2, period, 4))
    twill = 0.9 + 0.1 * _lines(_U + _V, 5, 2.5)
    ground = mix(first, (24, 24, 30), 0.12)
    return _blend(np.maximum(broad * 0.8, fine) * twill, ground, second)


def _dots(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    period = float(rng.choice([22, 30, 40]))
    radius = period * float(rng.choice([0.15, 0.21]))
    row = np.floor(_V / period * 2)
    u = (_U + (row % 2) * period / 2) % period - period / 2
    v = _V % (period / 2) - period / 4
    return _blend(radius - np.hypot(u, v) + 0.5, first, second)


def _floral(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    """Blossoms and leaves strewn over a repeat of 180 pixels."""
    repeat, fine = 180, 3
    side = repeat * fine
    leaf = mix(mix(first, (70, 110, 70), 0.55), second, 0.15)
    heart = (226, 176, 70) if luminance(second) > MID_LUMA else (236, 200, 120)
    tile = Image.new("RGB", (side, side), first)
    draw = ImageDraw.Draw(tile)
    spots = [
        (
            (i + 0.5 + rng.uniform(-0.3, 0.3)) * side / 4,
            (j + 0.5 * (i % 2) + rng.uniform(-0.2, 0.2)) * side / 4,
        )
        for i in range(4)
        for j in range(4)
    ]
    for number, (x, y) in enumerate(spots):
        size = (rng.uniform(11, 15) if number % 3 else rng.uniform(17, 22)) * fine / 2
        turn = rng.uniform(0, 2 * np.pi)
        tint = mix(second, (255, 255, 255), rng.uniform(0, 0.25))
        for dx in (-side, 0, side):
            for dy in (-side, 0, side):
                _blossom(draw, (x + dx, y + dy), size, turn, (tint, leaf, heart))
    tile = tile.resize((repeat, repeat), Image.Resampling.BOX)
    sheet = Image.new("RGB", SIZE)
    for left in range(0, SIZE[0], repeat):
        for top in range(0, SIZE[1], repeat):
            sheet.paste(tile, (left, top))
    return sheet


def _blossom(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    size: float,
    turn: float,
    colours: tuple[RGB, RGB, RGB],
) -> None:
    petal, leaf, heart = colours
    shade = mix(petal, leaf, 0.3)
    t = np.linspace(0, 2 * np.pi, 20)

    def almond(angle: float, reach: float, length: float, width: float) -> list[float]:
        along, across = length * np.cos(t), width * np.sin(t)
        x = at[0] + np.cos(angle) * (reach + along) - np.sin(angle) * across
        y = at[1] + np.sin(angle) * (reach + along) + np.cos(angle) * across
        return [float(v) for v in np.stack([x, y], axis=1).ravel()]

    for side in (0.5, 2.4):
        draw.polygon(almond(turn + side, size * 1.35, size * 0.62, size * 0.24), fill=leaf)
    for k in range(5):
        angle = turn + k * 2 * np.pi / 5
        draw.polygon(almond(angle, size * 0.55, size * 0.52, size * 0.36), fill=petal)
        draw.polygon(almond(angle, size * 0.4, size * 0.22, size * 0.08), fill=shade)
    r = size * 0.24
    draw.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), fill=heart)


def _colour_block(first: RGB, second: RGB, rng: np.random.Generator) -> Image.Image:
    edge = float(rng.choice([70, 100]))
    return _blend(np.clip(_V - edge + 0.5, 0, 1) + 0 * _U, first, second)


PATTERNS: dict[str, Callable[[RGB, RGB, np.random.Generator], Image.Image]] = {
    "striped": _horizontal,
    "pinstriped": _vertical,
    "gingham": _gingham,
    "tartan": _tartan,
    "polka dot": _dots,
    "floral": _floral,
    "colour block": _colour_block,
}


# Textures: light around a mean of zero, in shares of full light


def _noise(blur: float, stretch: tuple[int, int] = (1, 1), seed: int = 0) -> Floats:
    """Noise of unit deviation, blurred, and stretched by whole factors across and along."""
    shape = (SIZE[1] // stretch[1], SIZE[0] // stretch[0])
    raw = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(raw).resize(SIZE, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(blur))
    noise = np.asarray(image, dtype=np.float32)
    unit: Floats = (noise - noise.mean()) / noise.std()
    return unit


def _jersey() -> Floats:
    light: Floats = 0.014 * _noise(0.7, (1, 3)) + 0.010 * np.sin(2 * np.pi * _U / 3) + 0.012 * _noise(6, seed=1)
    return light


def _knit() -> Floats:
    """Columns of V-shaped stitches, 9 x 7 pixels, each loop lit from above."""
    across, up = 9.0, 7.0
    u = (_U / across) % 1.0 - 0.5
    v = ((_V - np.abs(u) * up * 1.5) / up) % 1.0
    loop = np.maximum(np.sin(np.pi * v), 0.0) * np.maximum(np.cos(np.pi * u), 0.0) ** 0.25
    light = 0.17 * loop - 0.05 * np.exp(-((u / 0.08) ** 2)) + 0.025 * _noise(0.8)
    centred: Floats = light - light.mean()
    return centred


def _rib() -> Floats:
    wave = np.sin(2 * np.pi * _U / 8.0)
    light: Floats = 0.10 * wave * np.abs(wave) ** 0.3 + 0.02 * np.sin(2 * np.pi * _V / 4) + 0.02 * _noise(0.7)
    return light


def _denim() -> Floats:
    twill = np.sin(2 * np.pi * (_U + 1.5 * _V) / 5.0)
    light: Floats = (
        0.045 * twill * (1 + 0.4 * _noise(1.2, seed=3)) + 0.028 * _noise(0.6, (1, 4)) + 0.02 * _noise(14, seed=2)
    )
    return light


def _twill() -> Floats:
    light: Floats = 0.026 * np.sin(2 * np.pi * (_U + _V) / 4.0) + 0.016 * _noise(0.8)
    return light


def _linen() -> Floats:
    """Slubs: threads of uneven thickness both ways."""
    weave = np.sin(2 * np.pi * _U / 3.0) * np.sin(2 * np.pi * _V / 3.0)
    light: Floats = (
        0.018 * _noise(0.4, (1, 24)) + 0.018 * _noise(0.4, (28, 1), seed=4) + 0.02 * weave + 0.015 * _noise(0.6)
    )
    return light


def _wool() -> Floats:
    light: Floats = 0.028 * _noise(0.9) + 0.012 * _noise(2.0, seed=5) + 0.012 * _noise(8, seed=6)
    return light


def _leather() -> Floats:
    light: Floats = 0.026 * np.abs(_noise(1.6)) - 0.02 + 0.02 * _noise(10, seed=7)
    return light


def _canvas() -> Floats:
    weave = np.sin(2 * np.pi * _U / 4.0) * np.sin(2 * np.pi * _V / 4.0)
    light: Floats = 0.05 * weave + 0.022 * _noise(0.6, (3, 1)) + 0.022 * _noise(0.6, (1, 3), seed=8)
    return light


def _smooth() -> Floats:
    light: Floats = 0.010 * _noise(0.8) + 0.010 * _noise(10, seed=9)
    return light


TEXTURES: dict[str, Callable[[], Floats]] = {
    "jersey": _jersey,
    "knit": _knit,
    "rib": _rib,
    "denim": _denim,
    "twill": _twill,
    "linen": _linen,
    "wool": _wool,
    "leather": _leather,
    "canvas": _canvas,
    "smooth": _smooth,
}


@lru_cache(maxsize=len(TEXTURES))
def _grain(texture: str) -> Image.Image:
    light = TEXTURES[texture]()
    return Image.fromarray(np.clip(127.5 + 127.5 * light, 0, 255).astype(np.uint8))
