"""What happens to a picture between a shop's page and a shopper's search: copies to measure search with.

Each distortion takes an upright RGB picture and gives the bytes of a file, so that a copy comes into search
the way a shopper's picture does. Except where the compression is the point, the file is a JPEG of quality 90.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageEnhance

Distortion: TypeAlias = Callable[[Image.Image], bytes]

QUALITY = 90
LOW_QUALITY = 30
CROP, CLOSE_CROP = 0.7, 0.5  # of the area, so .84 and .71 of each side
SMALL = 160  # pixels of the shorter side
LIGHT = 0.3
ANGLE = 10  # degrees, counter-clockwise

#: The screen of a phone: 9 to 19.5, nearly black about a picture that is looked at.
SCREEN = 19.5 / 9
GROUND, INK = "#101010", "#f0f0f0"


def encoded(image: Image.Image, quality: int = QUALITY) -> bytes:
    """The picture as it is, as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def recompressed(image: Image.Image) -> bytes:
    """Saved once more, at JPEG quality 30."""
    return encoded(image, LOW_QUALITY)


def cropped(image: Image.Image, share: float = CROP) -> bytes:
    """The middle of the picture, `share` of its area, with its own proportions."""
    margin = (1 - math.sqrt(share)) / 2
    x, y = image.width * margin, image.height * margin
    return encoded(image.crop((round(x), round(y), round(image.width - x), round(image.height - y))))


def mirrored(image: Image.Image) -> bytes:
    """Left and right exchanged."""
    return encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def shrunk(image: Image.Image) -> bytes:
    """A thumbnail whose shorter side has 160 pixels; a picture that is smaller stays as it is."""
    scale = min(1.0, SMALL / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    return encoded(image.resize(size, Image.Resampling.LANCZOS))


def brighter(image: Image.Image) -> bytes:
    """Every value raised by 30 %; what would be above white is white."""
    return encoded(ImageEnhance.Brightness(image).enhance(1 + LIGHT))


def darker(image: Image.Image) -> bytes:
    """Every value lowered by 30 %."""
    return encoded(ImageEnhance.Brightness(image).enhance(1 - LIGHT))


def on_canvas(image: Image.Image) -> bytes:
    """In the middle of a white canvas of the same proportions, of which it fills half the area."""
    canvas = Image.new("RGB", (round(image.width * math.sqrt(2)), round(image.height * math.sqrt(2))), "white")
    canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
    return encoded(canvas)


def screenshot(image: Image.Image) -> bytes:
    """On a phone's screen: a status bar above, buttons below, one colour about the picture.

    The picture has the screen's width but for a narrow margin, or as much as its height leaves room for.
    """
    width = image.width * 25 // 23
    height = round(width * SCREEN)
    screen = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(screen)
    unit = width / 50
    # The time, the signal and the battery.
    draw.rectangle((2 * unit, unit, 6 * unit, 2.5 * unit), fill=INK)
    for bar in range(4):
        draw.rectangle(((38 + bar) * unit, (2.5 - 0.4 * (bar + 1)) * unit, (38.6 + bar) * unit, 2.5 * unit), fill=INK)
    draw.rectangle((44 * unit, unit, 48 * unit, 2.5 * unit), outline=INK, width=max(1, round(unit / 4)))
    for button in (9, 25, 41):
        x, y = button * unit, height - 6 * unit
        draw.ellipse((x - 1.5 * unit, y - 1.5 * unit, x + 1.5 * unit, y + 1.5 * unit), fill=INK)
    room = height - 24 * unit
    scale = min(1.0, room / image.height)
    shown = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    screen.paste(shown, ((width - shown.width) // 2, (height - shown.height) // 2))
    return encoded(screen)


def rotated(image: Image.Image) -> bytes:
    """Turned by 10 degrees, whole, with white where there is no picture."""
    return encoded(image.rotate(ANGLE, Image.Resampling.BICUBIC, expand=True, fillcolor="white"))


DISTORTIONS: dict[str, Distortion] = {
    "JPEG quality 30": recompressed,
    "crop to 70 % of the area": cropped,
    "crop to half the area": partial(cropped, share=CLOSE_CROP),
    "mirrored": mirrored,
    "160 pixels": shrunk,
    "30 % brighter": brighter,
    "30 % darker": darker,
    "on white, half the area": on_canvas,
    "phone screenshot": screenshot,
    "rotated by 10 degrees": rotated,
}
