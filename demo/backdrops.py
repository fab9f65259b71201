"""What stands behind a product, and the shadow that the product throws on it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

TONES: dict[str, tuple[int, int, int]] = {
    "white": (246, 246, 245),
    "pearl": (232, 232, 231),
    "stone": (214, 212, 208),
    "sand": (229, 221, 209),
    "mist": (217, 223, 228),
    "blush": (236, 224, 219),
    "sage": (216, 221, 211),
}


@dataclass(frozen=True)
class Backdrop:
    """A plain sheet of paper, or a studio: a wall that runs into a floor under a pool of light."""

    tone: str
    studio: bool

    def photograph(self, silhouette: Image.Image, *, grounded: bool) -> Image.Image:
        """The backdrop, RGB, of the silhouette's size, darkened where the silhouette shades it."""
        size = silhouette.size
        empty = self._empty(size)
        shadow = _standing_shadow(silhouette) if grounded else _lying_shadow(silhouette, far=self.studio)
        dark = ImageChops.multiply(empty, Image.new("RGB", size, (70, 68, 74)))
        return Image.composite(dark, empty, shadow)

    @lru_cache(maxsize=2 * len(TONES))  # noqa: B019 - a backdrop is a small frozen value
    def _empty(self, size: tuple[int, int]) -> Image.Image:
        return Image.fromarray(self._light(size[0] // 4, size[1] // 4)).resize(size, Image.Resampling.BICUBIC)

    def _light(self, width: int, height: int) -> NDArray[np.uint8]:
        x: NDArray[np.floating] = np.linspace(-1.0, 1.0, width)[None, :]
        y: NDArray[np.floating] = np.linspace(-1.0, 1.0, height)[:, None]
        if self.studio:
            light = 1.035 - 0.10 * ((x + 0.25) ** 2 * 0.6 + (y + 0.2) ** 2 * 0.7)
            # The bend between wall and floor, and the floor a little brighter towards the camera.
            bend = y - 0.62
            light = light - 0.035 * np.exp(-((bend / 0.10) ** 2)) + 0.03 * np.clip(bend * 2.4, 0, 1)
        else:
            light = 1.012 - 0.022 * (x + y + 0.4)
        tone = np.array(TONES[self.tone], dtype=np.float32)
        picture: NDArray[np.uint8] = np.clip(light[..., None] * tone, 0, 255).astype(np.uint8)
        return picture


def _lying_shadow(silhouette: Image.Image, *, far: bool) -> Image.Image:
    """Soft shadows to the lower right: close and dark, wide and faint."""
    small = silhouette.reduce(4)
    close, wide = (9, 26) if far else (5, 16)
    layers = ((2, 3, 0.30), (close, close * 0.9, 0.28), (wide, wide * 1.1, 0.30))
    total = Image.new("L", small.size)
    for drop, blur, weight in layers:
        layer = Image.new("L", small.size)
        layer.paste(small.point([round(v * weight) for v in range(256)]), (drop // 8, drop // 4))
        total = ImageChops.add(total, layer.filter(ImageFilter.GaussianBlur(blur / 4)))
    return total.resize(silhouette.size, Image.Resampling.BICUBIC)


def _standing_shadow(silhouette: Image.Image) -> Image.Image:
    """A pool under what stands on the floor: the silhouette pressed flat at its own foot."""
    small = silhouette.reduce(2)
    box = small.getbbox() or (0, 0, *small.size)
    total = Image.new("L", small.size)
    for depth, drop, blur, weight in ((0.03, 1, 3, 0.6), (0.08, 5, 9, 0.5), (0.20, 10, 22, 0.4)):
        flat = small.crop(box).resize((box[2] - box[0], max(int((box[3] - box[1]) * depth), 3)))
        solid = flat.point([round(min(v * 3, 255) * weight) for v in range(256)])
        layer = Image.new("L", small.size)
        layer.paste(solid, (box[0] + drop // 2, box[3] - solid.height // 2 - 1))
        total = ImageChops.lighter(total, layer.filter(ImageFilter.GaussianBlur(blur)))
    return total.resize(silhouette.size, Image.Resampling.BILINEAR)
