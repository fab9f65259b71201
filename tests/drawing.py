"""Pictures for tests: simple garments, drawn, each seed a little different."""

from __future__ import annotations

import io
import random
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

KINDS = ("shirt", "trousers", "dress", "hat")
COLOURS = {"red": "#b03030", "blue": "#2050b0", "green": "#308040"}


def picture(
    kind: str = "shirt", colour: str = "#b03030", *, seed: int = 0, size: tuple[int, int] = (240, 320)
) -> Image.Image:
    """A garment of a kind and a colour on a pale ground; the seed moves its lines and adds a print."""
    rng = random.Random(f"{kind}{colour}{seed}")
    width, height = size
    image = Image.new("RGB", size, (236, 234, 230))
    draw = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        return (x + rng.uniform(-0.02, 0.02)) * width, (y + rng.uniform(-0.02, 0.02)) * height

    outlines = {
        "shirt": [
            (0.3, 0.2),
            (0.7, 0.2),
            (0.95, 0.4),
            (0.82, 0.5),
            (0.72, 0.42),
            (0.72, 0.85),
            (0.28, 0.85),
            (0.28, 0.42),
            (0.18, 0.5),
            (0.05, 0.4),
        ],
        "trousers": [(0.3, 0.1), (0.7, 0.1), (0.8, 0.92), (0.58, 0.92), (0.5, 0.35), (0.42, 0.92), (0.2, 0.92)],
        "dress": [(0.38, 0.08), (0.62, 0.08), (0.6, 0.4), (0.9, 0.92), (0.1, 0.92), (0.4, 0.4)],
        "hat": [
            (0.35, 0.4),
            (0.42, 0.3),
            (0.58, 0.3),
            (0.65, 0.4),
            (0.66, 0.58),
            (0.92, 0.62),
            (0.92, 0.68),
            (0.08, 0.68),
            (0.08, 0.62),
            (0.34, 0.58),
        ],
    }
    draw.polygon([at(x, y) for x, y in outlines[kind]], fill=colour)
    for _ in range(6):
        x, y = at(rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.8))
        radius = rng.uniform(0.01, 0.05) * width
        draw.ellipse(
            [x - radius, y - radius, x + radius, y + radius], fill=rng.choice(["white", "black", "gold", colour])
        )
    return image.filter(ImageFilter.GaussianBlur(1))


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002 - Pillow's own word
    """The bytes of a picture."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo(kind: str = "shirt", colour: str = "#b03030", *, seed: int = 0) -> bytes:
    """The JPEG of a drawn garment."""
    return encoded(picture(kind, colour, seed=seed), quality=90)
