"""Two photographs of every demo product, drawn from its attributes."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL.Image import Image

from demo.accessories import hat, sneaker
from demo.backdrops import Backdrop
from demo.bags import bag
from demo.bottoms import dress, shorts, skirt, trousers
from demo.fabrics import Cloth, cloth
from demo.palette import RGB, SHADES, luminance, mix
from demo.pieces import Garment
from demo.products import DemoProduct
from demo.studio import View, shoot
from demo.tops import coat, hoodie, knitwear, shirt, t_shirt

QUALITY = 85
FRAME = (452.0, 610.0)  # pixels of the picture that a product may fill
SECOND_BACKDROPS = ("plain white", "plain pearl", "studio sand", "studio blush", "plain stone", "plain mist")
PALE = 190.0  # luma from which a colour needs a darker backdrop
DARK = 60.0  # luma below which buttons match the cloth

CUTS: dict[str, Callable[[Mapping[str, str], int], Garment]] = {
    "t-shirt": t_shirt,
    "knitwear": knitwear,
    "shirt": shirt,
    "hoodie": hoodie,
    "coat": coat,
    "dress": dress,
    "skirt": skirt,
    "trousers": trousers,
    "shorts": shorts,
    "hat": hat,
    "bag": bag,
    "sneaker": sneaker,
}


def photos(product: DemoProduct) -> list[bytes]:
    """Two JPEGs of 600 x 800 pixels: the product from the front, then again a little differently."""
    poses = [CUTS[product.attributes["kind"]](product.attributes, pose) for pose in (0, 1)]
    materials = {piece.material for garment in poses for piece in garment.pieces}
    cloths = _cloths(product, materials)
    return [
        _jpeg(shoot(garment, cloths, backdrop, _frame(garment, product, pose), product.rng(f"photo {pose}")))
        for pose, (garment, backdrop) in enumerate(zip(poses, _backdrops(product), strict=True))
    ]


def shade(product: DemoProduct, attribute: str = "colour") -> RGB:
    """The very shade of the product's colour, or of its second colour."""
    shades = SHADES[product.attributes[attribute]]
    chosen = shades[int(product.rng(attribute).integers(len(shades)))]
    if product.attributes["texture"] == "denim":
        chosen = mix(chosen, (96, 104, 118), 0.28)  # indigo fades towards grey
    return chosen


def _cloths(product: DemoProduct, materials: set[str]) -> dict[str, Cloth]:
    attributes, rng = product.attributes, product.rng("cloth")
    first, second = shade(product), shade(product, "second_colour")
    texture = attributes["texture"]
    contrast = attributes.get("trim") == "contrast"
    brass = bool(rng.integers(2))
    plain: dict[str, tuple[str, RGB]] = {
        "second": ("leather" if attributes["kind"] == "bag" else "smooth", second),
        "rib": ("jersey", second if contrast else first),
        "lining": ("smooth", mix(first, (128, 124, 120), 0.45)),
        "cord": ("smooth", (238, 235, 228) if luminance(first) < PALE else mix(first, (120, 112, 100), 0.25)),
        "button": (
            "smooth",
            mix((232, 226, 212), first, 0.12) if luminance(first) > DARK else mix(first, (90, 88, 88), 0.4),
        ),
        "metal": ("smooth", (198, 166, 98) if brass else (188, 188, 192)),
        "sole": ("smooth", (242, 240, 234)),
        "tread": ("smooth", (186, 146, 98) if brass else (214, 211, 204)),
    }
    cloths = {"main": cloth(attributes["pattern"], texture, first, second, rng)}
    for material in sorted(materials - {"main"}):
        weave, colour = plain[material]
        cloths[material] = cloth("plain", weave, colour, colour, rng)
    return cloths


def _backdrops(product: DemoProduct) -> tuple[Backdrop, Backdrop]:
    pale = luminance(shade(product)) > PALE
    choices = [name for name in SECOND_BACKDROPS if not pale or not name.endswith(("white", "pearl", "blush"))]
    choices = [name for name in choices if name != product.attributes["background"]]
    second = str(product.rng("second backdrop").choice(choices))
    front, back = (name.split() for name in (product.attributes["background"], second))
    return Backdrop(front[1], front[0] == "studio"), Backdrop(back[1], back[0] == "studio")


def _frame(garment: Garment, product: DemoProduct, pose: int) -> View:
    """Fills the frame with the garment: straight first; then turned a little, and closer now and then."""
    rng = product.rng(f"view {pose}")
    points = np.concatenate([outline for piece in garment.pieces for outline in piece.outlines])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = float(min(FRAME[0] / (high[0] - low[0]), FRAME[1] / (high[1] - low[1]), 1.45))
    centre = (low + high) / 2
    if garment.grounded:
        angle = 0.0
    else:
        angle = float(rng.uniform(-0.012, 0.012) if pose == 0 else rng.choice([-1, 1]) * rng.uniform(0.03, 0.08))
    if pose == 1:
        close = not rng.integers(4)
        scale *= 1.25 if close else float(rng.uniform(0.92, 1.0))
        if close:
            centre = centre - (0.0, 0.12 * float(high[1] - low[1]))
    view = View(scale, angle)
    x, y = (-(centre @ view.matrix.T)).tolist()
    return View(scale, angle, (x, y + (16.0 if garment.grounded else 0.0)))


def _jpeg(photo: Image) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
