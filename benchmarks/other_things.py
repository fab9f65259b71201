"""Pictures that show no clothes, of many kinds: what a shopper's camera or clipboard may hold by mistake.

Photographs are those that scikit-image brings along (some of its others would be downloaded: they are left out).
Everything else is drawn, the same each time. Drawn pictures are easier to refuse than photographs, and objects on
a plain ground, as a shop shows its goods, are harder: figures are best read by kind.
"""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

PHOTOGRAPHS = [
    "astronaut",
    "brick",
    "camera",
    "cat",
    "cell",
    "checkerboard",
    "clock",
    "coffee",
    "coins",
    "colorwheel",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "immunohistochemistry",
    "logo",
    "microaneurysms",
    "moon",
    "page",
    "retina",
    "rocket",
    "shepp_logan_phantom",
    "stereo_motorcycle",
    "text",
]
#: Photographs that also show things when cut into pieces; those of people are left out, who wear clothes.
CUT = ["brick", "cat", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "stereo_motorcycle"]
FACES = 100  # of the labelled faces; what follows them is no face
TEXT = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all she there would their we him been has when who will more no if out so said what up its "
    "about into than them can only other new some could time these two may then do first any my now such like our"
)
WORDS = TEXT.split()


@dataclass(frozen=True)
class OtherThing:
    """A picture that shows no clothes."""

    kind: str
    name: str
    image: Image.Image


def other_things() -> Iterator[OtherThing]:
    """All pictures, kind by kind, the same each time."""
    for name in PHOTOGRAPHS:
        yield OtherThing("photographs", name, _photograph(name))
    for number in range(16):
        rng = random.Random(f"detail {number}")
        whole = _photograph(CUT[number % len(CUT)])
        side = int(min(whole.size) * rng.uniform(0.3, 0.6))
        x, y = rng.randrange(whole.width - side), rng.randrange(whole.height - side)
        yield OtherThing(
            "details of photographs", f"{CUT[number % len(CUT)]} {number}", whole.crop((x, y, x + side, y + side))
        )
    for number, row in enumerate(random.Random("faces").sample(range(FACES), 12)):
        yield OtherThing("faces, small", str(number), _face(row))
    for kind, (count, draw) in DRAWN.items():
        for number in range(count):
            yield OtherThing(kind, str(number), draw(random.Random(f"{kind} {number}"), number))


# Photographs ------------------------------------------------------------------------------------------------


def _photograph(name: str) -> Image.Image:
    from skimage import data

    values = getattr(data, name)()
    return Image.fromarray(_rgb(values[0] if isinstance(values, tuple) else values))


def _face(row: int) -> Image.Image:
    from skimage import data

    return Image.fromarray(_rgb(data.lfw_subset()[row])).resize((300, 300), Image.Resampling.BICUBIC)


def _rgb(values: Any) -> NDArray[np.uint8]:
    """Grey, RGBA, bool or float pixels -> uint8 RGB (h, w, 3)."""
    if values.dtype != np.uint8:
        values = (255 * values.astype(np.float64)).clip(0, 255).astype(np.uint8)
    return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else np.ascontiguousarray(values[..., :3])


# Drawn ------------------------------------------------------------------------------------------------------


def _chart(rng: random.Random, number: int) -> Image.Image:
    width, height = rng.choice([(640, 480), (560, 560), (480, 640)])
    dark = rng.random() < 0.2
    ground, ink = ((28, 30, 36), (220, 220, 220)) if dark else ((255, 255, 255), (60, 60, 60))
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    _write(draw, (60, 14), _words(rng, 4).title(), 22, ink)
    left, top, right, bottom = 60, 60, width - 30, height - 50
    palette = [_colour(rng, 0.45, 0.95) for _ in range(6)]
    if number % 4 == 2:
        _pie(draw, rng, (left, top, left + min(right - left, bottom - top), bottom), palette, ground)
        for row, colour in enumerate(palette):
            draw.rectangle((right - 70, top + 24 * row, right - 58, top + 24 * row + 12), fill=colour)
            _write(draw, (right - 52, top + 24 * row - 3), rng.choice(WORDS), 13, ink)
        return image
    for line in range(6):
        y = top + (bottom - top) * line / 5
        draw.line((left, y, right, y), fill=_mixed(ground, ink, 0.2))
        _write(draw, (20, y - 8), str(100 - 20 * line), 13, ink)
    draw.line((left, top, left, bottom, right, bottom), fill=ink, width=2)
    {0: _bars, 1: _lines, 3: _dots}[number % 4](draw, rng, (left, top, right, bottom), palette)
    return image


def _bars(draw: ImageDraw.ImageDraw, rng: random.Random, box: tuple[int, ...], palette: list[Colour]) -> None:
    left, top, right, bottom = box
    groups, series = rng.randint(4, 9), rng.randint(1, 3)
    step = (right - left) / groups
    for group in range(groups):
        for one in range(series):
            x = left + step * (group + 0.15 + 0.7 * one / series)
            y = bottom - (bottom - top) * rng.uniform(0.1, 0.95)
            draw.rectangle((x, y, x + 0.65 * step / series, bottom - 1), fill=palette[one])


def _lines(draw: ImageDraw.ImageDraw, rng: random.Random, box: tuple[int, ...], palette: list[Colour]) -> None:
    left, top, right, bottom = box
    for colour in palette[: rng.randint(1, 4)]:
        y = rng.uniform(top, bottom)
        points: list[Point] = []
        for step in range(31):
            points.append((left + (right - left) * step / 30, y))
            y = min(bottom, max(top, y + rng.gauss(0, (bottom - top) / 14)))
        draw.line(points, fill=colour, width=3)


def _dots(draw: ImageDraw.ImageDraw, rng: random.Random, box: tuple[int, ...], palette: list[Colour]) -> None:
    left, top, right, bottom = box
    for colour in palette[: rng.randint(1, 3)]:
        x0, y0 = rng.uniform(left + 80, right - 80), rng.uniform(top + 80, bottom - 80)
        spread, radius = rng.uniform(30, 90), rng.uniform(3, 6)
        for _ in range(80):
            x, y = rng.gauss(x0, spread), rng.gauss(y0, spread)
            if left < x < right and top < y < bottom:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _pie(
    draw: ImageDraw.ImageDraw, rng: random.Random, box: tuple[int, ...], palette: list[Colour], ground: Colour
) -> None:
    left, top, right, bottom = box
    side = 0.9 * min(right - left, bottom - top)
    shares = [rng.uniform(0.3, 2) for _ in palette]
    angle = rng.uniform(0, 360)
    for share, colour in zip(shares, palette, strict=True):
        turn = 360 * share / sum(shares)
        draw.pieslice((left, top, left + side, top + side), angle, angle + turn, fill=colour, outline=ground, width=2)
        angle += turn
    if rng.random() < 0.4:
        hole = side * 0.25
        draw.ellipse((left + hole, top + hole, left + side - hole, top + side - hole), fill=ground)


def _page(rng: random.Random, number: int) -> Image.Image:
    width, height = rng.choice([(595, 842), (612, 792), (420, 595), (800, 600)])
    paper, ink = rng.choice(
        [((255, 255, 255), (20, 20, 20)), ((250, 245, 230), (60, 40, 20)), ((235, 235, 235), (40, 40, 90))]
    )
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    columns, size = rng.choice([1, 1, 2, 3]), rng.choice([10, 12, 14, 18])
    margin = width // 12
    y0 = float(margin)
    if number % 3:
        _write(draw, (margin, margin), _words(rng, 5).capitalize(), 2 * size, ink)
        y0 += 3.5 * size
    column = (width - 2 * margin) / columns
    for one in range(columns):
        y = y0
        while y < height - margin - size:
            line = ""
            while draw.textlength(line, font=_font(size)) < column - 5 * size:
                line += rng.choice(WORDS) + " "
            if rng.random() < 0.1:
                y += size
                line = line[: len(line) // 2]
            _write(draw, (margin + one * column, y), line, size, ink)
            y += 1.45 * size
    if number % 4 == 3:
        image = image.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=(120, 110, 100))
    return image


def _screen(rng: random.Random, number: int) -> Image.Image:  # noqa: PLR0912 - a branch for each
    """A chat, a form, a table, a desktop, a list or a keypad."""
    phone = number % 6 in {0, 1, 4, 5}
    width, height = (390, 844) if phone else (960, 600)
    dark = rng.random() < 0.35
    ground, ink = ((24, 26, 32), (235, 235, 235)) if dark else ((246, 247, 249), (30, 32, 38))
    panel = _mixed(ground, (255, 255, 255), 0.12 if dark else 1)
    accent = _colour(rng, 0.5, 0.85)
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 56), fill=accent)
    _write(draw, (18, 16), _words(rng, 2).title(), 20, (255, 255, 255))
    y = 76.0
    if number % 6 == 0:
        while y < height - 90:
            length, mine = rng.uniform(90, 270), rng.random() < 0.5
            x, tall = (width - 16 - length if mine else 16), rng.choice([36, 58, 80])
            draw.rounded_rectangle((x, y, x + length, y + tall), 16, fill=accent if mine else panel)
            for line in range(tall // 24):
                _write(draw, (x + 12, y + 10 + 21 * line), _words(rng, int(length / 60)), 13, ink)
            y += tall + 12
    elif number % 6 == 1:
        while y < height - 130:
            _write(draw, (24, y), _words(rng, 2).capitalize(), 14, ink)
            draw.rounded_rectangle((24, y + 22, width - 24, y + 64), 6, fill=panel, outline=_mixed(ground, ink, 0.3))
            y += 86
        draw.rounded_rectangle((24, height - 90, width - 24, height - 40), 8, fill=accent)
    elif number % 6 == 2:
        rows, columns = rng.randint(10, 18), rng.randint(4, 8)
        for row in range(rows):
            top = 70 + row * 30
            draw.rectangle((0, top, width, top + 30), fill=panel if row % 2 else ground)
            for column in range(columns):
                _write(draw, (20 + column * width / columns, top + 6), str(rng.randint(0, 99_999)), 14, ink)
    elif number % 6 == 3:
        draw.rectangle((0, 56, 200, height), fill=panel)
        for row in range(12):
            _write(draw, (24, 80 + 34 * row), _words(rng, 2), 14, ink)
        for card in range(6):
            x, top = 224 + card % 3 * 240, 80 + card // 3 * 250
            draw.rounded_rectangle((x, top, x + 220, top + 230), 10, fill=panel)
            _write(draw, (x + 16, top + 16), str(rng.randint(1, 9_999)), 34, accent)
            _write(draw, (x + 16, top + 70), _words(rng, 3), 13, ink)
    elif number % 6 == 4:
        while y < height - 70:
            draw.ellipse((18, y, 62, y + 44), fill=_colour(rng, 0.3, 0.8))
            _write(draw, (80, y + 2), _words(rng, 2).title(), 16, ink)
            _write(draw, (80, y + 24), _words(rng, 5), 12, _mixed(ground, ink, 0.6))
            draw.line((80, y + 56, width, y + 56), fill=_mixed(ground, ink, 0.15))
            y += 68
    else:
        _write(draw, (width - 190, 150), str(rng.randint(1000, 99_999_999)), 38, ink)
        for key in range(16):
            x, top = 20 + key % 4 * 90, 280 + key // 4 * 130
            draw.rounded_rectangle((x, top, x + 78, top + 110), 14, fill=accent if key % 4 == 3 else panel)
            _write(draw, (x + 30, top + 36), "789/456*123-0.=+"[key], 30, ink)
    return image


def _noise(rng: random.Random, number: int) -> Image.Image:
    """White noise of six grains, in colour, in grey or smoothed; and clouds, the sum of several grains."""
    values = np.random.default_rng(rng.randrange(2**32))
    form = number % 4
    if form == 3:
        clouds = np.zeros((512, 512), np.float32)
        for power in range(2, 9):
            layer = Image.fromarray(values.random((2**power, 2**power), np.float32))
            clouds += np.asarray(layer.resize((512, 512), Image.Resampling.BICUBIC)) / 2 ** (0.8 * power)
        clouds = (clouds - clouds.min()) / np.ptp(clouds)
        ends = np.array([_colour(rng, 0.3, 0.9), _colour(rng, 0.3, 0.9)], np.float32)
        return Image.fromarray((ends[0] + clouds[..., None] * (ends[1] - ends[0])).astype(np.uint8))
    cells = 4 * 2 ** (number // 4 % 7)
    grains = values.integers(0, 256, (cells, cells, 1 if form == 1 else 3), np.uint8).repeat(3 if form == 1 else 1, 2)
    smooth = Image.Resampling.BICUBIC if form == 2 else Image.Resampling.NEAREST
    return Image.fromarray(grains).resize((512, 512), smooth)


def _gradient(rng: random.Random, number: int) -> Image.Image:
    """From one colour over others to a last one: along a line, from a centre, or about it."""
    y, x = np.mgrid[0:480, 0:480] / 480
    cx, cy, angle = rng.random(), rng.random(), rng.uniform(0, math.tau)
    along = [
        x * math.cos(angle) + y * math.sin(angle),
        np.hypot(x - cx, y - cy),
        np.arctan2(y - cy, x - cx),
    ][number % 3]
    along = (along - along.min()) / np.ptp(along)
    stops = np.array([_colour(rng, rng.random(), rng.random()) for _ in range(rng.randint(2, 4))], float)
    places = np.linspace(0, 1, len(stops))
    return Image.fromarray(
        np.stack([np.interp(along, places, stops[:, channel]) for channel in range(3)], axis=2).astype(np.uint8)
    )


def _map(rng: random.Random, number: int) -> Image.Image:
    """Streets at an angle, a river, parks, names."""
    side = 640
    land, street, water, park = rng.choice(
        [
            ((242, 239, 233), (255, 255, 255), (170, 211, 223), (200, 230, 180)),
            ((38, 44, 56), (70, 80, 100), (20, 40, 70), (40, 70, 56)),
            ((232, 224, 205), (250, 215, 130), (150, 190, 220), (190, 215, 160)),
        ]
    )
    image = Image.new("RGB", (2 * side, 2 * side), land)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 8)):
        x, y = rng.uniform(0, 2 * side), rng.uniform(0, 2 * side)
        draw.polygon(_blob(rng, (x, y), rng.uniform(40, 180)), fill=park)
    for across in (True, False):
        place = rng.uniform(0, 60)
        while place < 2 * side:
            points = [(step * side / 10, place + rng.gauss(0, 5)) for step in range(21)]
            draw.line(points if across else [(y, x) for x, y in points], fill=street, width=rng.choice([4, 6, 6, 12]))
            place += rng.uniform(40, 120)
    if number % 3:
        y = rng.uniform(0.5 * side, 1.5 * side)
        river: list[Point] = []
        for step in range(21):
            river.append((step * side / 10, y))
            y += rng.gauss(0, 30)
        draw.line(river, fill=water, width=rng.randint(30, 90), joint="curve")
    image = image.rotate(rng.uniform(0, 90), Image.Resampling.BICUBIC).crop(
        (side // 2, side // 2, side // 2 + side, side // 2 + side)
    )
    draw = ImageDraw.Draw(image)
    ink = (220, 220, 220) if land[0] < 100 else (70, 70, 80)
    for _ in range(rng.randint(8, 20)):
        _write(draw, (rng.uniform(0, side - 80), rng.uniform(0, side - 20)), rng.choice(WORDS).title(), 14, ink)
    return image


def _landscape(rng: random.Random, number: int) -> Image.Image:
    """Sky, a sun or a moon, ranges of hills one before the other, or the sea; trees or stars."""
    width, height = rng.choice([(720, 480), (640, 640), (480, 720)])
    night = number % 5 == 4
    above, below = (
        ((8, 10, 30), (40, 40, 80))
        if night
        else rng.choice(
            [((70, 130, 210), (200, 225, 245)), ((240, 120, 60), (250, 215, 150)), ((160, 170, 180), (225, 225, 225))]
        )
    )
    ramp = np.linspace(0, 1, height)[:, None, None]
    sky = np.array(above) + ramp * (np.array(below) - np.array(above))
    image = Image.fromarray(np.broadcast_to(sky, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, y, radius = rng.uniform(0, width), rng.uniform(0.05, 0.4) * height, rng.uniform(18, 50)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 240, 200))
    for _ in range(80 if night else 0):
        x, y = rng.uniform(0, width), rng.uniform(0, height / 2)
        draw.ellipse((x, y, x + 2, y + 2), fill=(255, 255, 255))
    horizon, near = rng.uniform(0.35, 0.55), _colour(rng, 0.4, 0.5, hue=rng.uniform(0.2, 0.45))
    if number % 3 == 2:
        draw.rectangle((0, horizon * height, width, height), fill=_mixed(above, (20, 60, 110), 0.6))
        for _ in range(60):
            y = rng.uniform(horizon * height, height)
            x, length = rng.uniform(0, width), (y - horizon * height) * 0.3 + 5
            draw.line((x, y, x + length, y), fill=_mixed(below, (255, 255, 255), 0.3), width=2)
    else:
        for depth in range(4):
            level, phase, waves = horizon + 0.13 * depth, rng.uniform(0, math.tau), rng.uniform(1, 4)
            ridge: list[Point] = [
                (
                    step * width / 60,
                    height * (level - 0.07 * math.sin(phase + waves * step / 10) + 0.012 * rng.gauss(0, 1)),
                )
                for step in range(61)
            ]
            shade = _mixed(below, (20, 22, 30) if night else near, 0.35 + 0.2 * depth)
            draw.polygon([*ridge, (width, height), (0, height)], fill=shade)
        for _ in range(rng.randint(0, 16)):
            x, y, size = rng.uniform(0, width), rng.uniform(0.75, 0.98) * height, rng.uniform(20, 70)
            draw.rectangle((x - size / 12, y - size / 3, x + size / 12, y), fill=(70, 50, 35))
            draw.polygon([(x - size / 3, y - size / 4), (x, y - 1.3 * size), (x + size / 3, y - size / 4)], fill=near)
    return image.filter(ImageFilter.GaussianBlur(1.2))


def _pattern(rng: random.Random, number: int) -> Image.Image:  # noqa: PLR0912 - a branch for each
    """Stripes, checks, dots, tiles, a barcode, or squares like those of a printed code."""
    image = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(image)
    one, other = _colour(rng, 0.5, 0.8), _colour(rng, 0.2, rng.random())
    step = rng.choice([16, 24, 32, 64])
    form = number % 6
    if form == 0:
        for x in range(-512, 1024, 2 * step):
            draw.polygon([(x, 0), (x + step, 0), (x + step + 512, 512), (x + 512, 512)], fill=one)
    elif form == 4:
        x = 60
        while x < 440:
            bar = rng.randint(2, 9)
            draw.rectangle((x, 110, x + bar, 380), fill="black")
            x += bar + rng.randint(2, 9)
        _write(draw, (120, 390), str(rng.randint(10**11, 10**12)), 32, (0, 0, 0))
    elif form == 5:
        for x in range(56, 456, 16):
            for y in range(56, 456, 16):
                if rng.random() < 0.5:
                    draw.rectangle((x, y, x + 15, y + 15), fill="black")
        for x, y in ((56, 56), (344, 56), (56, 344)):
            for inset, fill in ((0, "black"), (16, "white"), (32, "black")):
                draw.rectangle((x + inset, y + inset, x + 111 - inset, y + 111 - inset), fill=fill)
    else:
        draw.rectangle((0, 0, 512, 512), fill=other)
        for x in range(0, 512, step):
            for y in range(0, 512, step):
                odd = (x // step + y // step) % 2
                if form == 1 and odd:
                    draw.rectangle((x, y, x + step - 1, y + step - 1), fill=one)
                elif form == 2:
                    draw.ellipse((x + step / 4, y + step / 4, x + 3 * step / 4, y + 3 * step / 4), fill=one)
                elif form == 3:
                    draw.arc((x, y, x + step, y + step), 90 * odd, 90 * odd + 180, fill=one, width=4)
    return image


def _object(rng: random.Random, number: int) -> Image.Image:
    """A thing on a plain ground, as a shop shows what it sells: a cup, a house, a car, a fruit, a lamp, a chair."""
    image = Image.new("RGB", (480, 600), _mixed((255, 255, 255), _colour(rng, 0.3, 0.9), rng.choice([0, 0, 0.15])))
    draw = ImageDraw.Draw(image)
    body, trim = _colour(rng, 0.4, 0.85), _colour(rng, 0.3, 0.5)
    form = number % 6
    if form == 0:
        draw.ellipse((290, 240, 410, 390), outline=body, width=24)
        draw.rounded_rectangle((120, 190, 340, 440), 40, fill=body)
        draw.ellipse((120, 170, 340, 220), fill=trim)
    elif form == 1:
        draw.rectangle((100, 280, 380, 480), fill=body)
        draw.polygon([(70, 290), (240, 130), (410, 290)], fill=trim)
        draw.rectangle((210, 370, 270, 480), fill=trim)
        for x in (125, 300):
            draw.rectangle((x, 320, x + 55, 370), fill=(200, 225, 240))
    elif form == 2:
        draw.rounded_rectangle((50, 300, 430, 390), 30, fill=body)
        draw.polygon([(120, 305), (170, 230), (310, 230), (370, 305)], fill=body)
        draw.polygon([(140, 300), (180, 242), (300, 242), (345, 300)], fill=(190, 215, 235))
        for x in (110, 310):
            draw.ellipse((x, 350, x + 75, 425), fill=(30, 30, 30), outline=(150, 150, 150), width=12)
    elif form == 3:
        draw.ellipse((110, 190, 370, 460), fill=body)
        draw.line((240, 200, 260, 130), fill=(90, 60, 30), width=12)
        draw.ellipse((255, 130, 340, 175), fill=(60, 140, 60))
        draw.ellipse((160, 240, 210, 300), fill=_mixed(body, (255, 255, 255), 0.5))
    elif form == 4:
        draw.polygon([(180, 130), (300, 130), (370, 280), (110, 280)], fill=body)
        draw.rectangle((232, 280, 248, 470), fill=trim)
        draw.ellipse((160, 455, 320, 495), fill=trim)
    else:
        draw.rounded_rectangle((150, 120, 330, 320), 20, fill=body)
        draw.polygon([(130, 330), (350, 330), (380, 370), (100, 370)], fill=trim)
        for x in (115, 350):
            draw.rectangle((x, 370, x + 16, 520), fill=(90, 60, 40))
    turned = image.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC, fillcolor=image.getpixel((0, 0)))
    return turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))


#: How many of each kind, and what draws them.
DRAWN: dict[str, tuple[int, Callable[[random.Random, int], Image.Image]]] = {
    "charts": (24, _chart),
    "pages of text": (14, _page),
    "screens": (18, _screen),
    "noise": (28, _noise),
    "gradients": (12, _gradient),
    "maps": (12, _map),
    "landscapes": (15, _landscape),
    "patterns": (18, _pattern),
    "objects on a plain ground": (18, _object),
}


def _colour(rng: random.Random, saturation: float, value: float, hue: float | None = None) -> Colour:
    """A colour of any hue, of about this saturation and value."""
    parts = colorsys.hsv_to_rgb(
        rng.random() if hue is None else hue,
        min(1.0, max(0.0, rng.gauss(saturation, 0.15))),
        min(1.0, max(0.0, rng.gauss(value, 0.1))),
    )
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _blob(rng: random.Random, centre: Point, radius: float) -> list[Point]:
    angles = [math.tau * step / 12 for step in range(12)]
    lengths = [radius * rng.uniform(0.6, 1.2) for _ in angles]
    return [
        (centre[0] + length * math.cos(angle), centre[1] + length * math.sin(angle))
        for angle, length in zip(angles, lengths, strict=True)
    ]


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(max(1, count)))


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _write(draw: ImageDraw.ImageDraw, place: Point, text: str, size: int, colour: Colour) -> None:
    draw.text(place, text, fill=colour, font=_font(size))
