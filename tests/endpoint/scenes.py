"""Drawn photos that a random network mixes up: garments of any colour and place on a noisy ground of any colour."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image

from tests import drawing

SIDE = 96


def scene(kind: str, seed: int) -> Image.Image:
    rng = random.Random(f"{kind}{seed}")

    def colour() -> tuple[int, int, int]:
        return rng.randrange(0, 256, 60), rng.randrange(0, 256, 60), rng.randrange(0, 256, 60)

    side = rng.randrange(64, 90)
    garment = drawing.picture(kind, "#000000", seed=seed, size=(side, side)).convert("L")
    ground = Image.new("RGB", (SIDE, SIDE), colour())
    place = (rng.randrange(SIDE - side), rng.randrange(SIDE - side))
    ground.paste(colour(), place, garment.point(lambda value: 255 if value < 120 else 0))
    noise = np.random.default_rng(seed).integers(-60, 61, (SIDE, SIDE, 3))
    return Image.fromarray((np.asarray(ground) + noise).clip(0, 255).astype(np.uint8))


def folder(path: Path, count: int, kinds: tuple[str, ...] = drawing.KINDS) -> Path:
    """A folder of scenes, one folder for each kind."""
    for kind in kinds:
        (path / kind).mkdir(parents=True)
        for seed in range(count):
            scene(kind, seed).save(path / kind / f"{seed}.png")
    return path
