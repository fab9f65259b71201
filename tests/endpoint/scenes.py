"""Drawn photos that a random network mixes up: cloth of four weaves, of any two colours, with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("stripes", "bands", "checks", "dots")
SIDE = 64


def scene(kind: str, seed: int) -> Image.Image:
    rng = np.random.default_rng([KINDS.index(kind), seed])
    width = rng.integers(4, 9)
    x, y = (np.arange(SIDE) + rng.integers(SIDE)) // width % 2, (np.arange(SIDE) + rng.integers(SIDE)) // width % 2
    stripes, bands = np.broadcast_to(x, (SIDE, SIDE)), np.broadcast_to(y[:, None], (SIDE, SIDE))
    weave = {"stripes": stripes, "bands": bands, "checks": stripes ^ bands, "dots": stripes & bands}[kind]
    pixels = rng.integers(0, 256, (2, 3))[weave] + rng.integers(-60, 61, (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def folder(path: Path, count: int, kinds: tuple[str, ...] = KINDS) -> Path:
    """A folder of scenes, one folder for each kind."""
    for kind in kinds:
        (path / kind).mkdir(parents=True)
        for seed in range(count):
            scene(kind, seed).save(path / kind / f"{seed}.png")
    return path
