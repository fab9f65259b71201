"""The drawn photographs of the demo products."""

import hashlib
import io
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demo.palette import SHADES
from demo.photos import photos, shade
from demo.products import DemoProduct, products
from tests.interpreter import python

SAMPLE = list(products(12))


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[bytes]]:
    return {p.sku: photos(p) for p in SAMPLE}


def lab(rgb: object) -> NDArray[np.float64]:
    """CIELAB of sRGB values, D65, shape (n, 3)."""
    linear = np.asarray(rgb, dtype=np.float64).reshape(-1, 3) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def foreground(photo: bytes) -> NDArray[np.float64]:
    """Lab of the pixels near the middle that differ from the picture's border."""
    image = np.asarray(Image.open(io.BytesIO(photo)).resize((60, 80), Image.Resampling.BOX))
    border = lab(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])).mean(axis=0)
    pixels = lab(image[14:66, 10:50])
    return pixels[np.linalg.norm(pixels - border, axis=1) > 14]


def test_there_are_two_different_jpegs_of_600_by_800(drawn: dict[str, list[bytes]]) -> None:
    for front, other in drawn.values():
        assert front != other
        for photo in (front, other):
            image = Image.open(io.BytesIO(photo))
            image.load()
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (600, 800))


def test_no_two_products_look_the_same(drawn: dict[str, list[bytes]]) -> None:
    assert len({photo for pair in drawn.values() for photo in pair}) == 2 * len(drawn)


def test_another_process_draws_the_same_bytes(drawn: dict[str, list[bytes]]) -> None:
    script = (
        "import hashlib\n"
        "from demo.photos import photos\n"
        "from demo.products import products\n"
        "for p in list(products(12))[::4]:\n"
        "    print(p.sku, *(hashlib.sha256(photo).hexdigest() for photo in photos(p)))\n"
    )
    done = python("-c", script, environment={"PYTHONHASHSEED": "7"})
    expected = [
        " ".join([p.sku, *(hashlib.sha256(photo).hexdigest() for photo in drawn[p.sku])]) for p in SAMPLE[::4]
    ]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.parametrize("product", SAMPLE, ids=lambda p: p.title.replace(" ", "-"))
def test_the_garment_has_the_colour_that_the_attributes_name(
    product: DemoProduct, drawn: dict[str, list[bytes]]
) -> None:
    wanted = lab([shade(product)])[0]
    for photo in drawn[product.sku]:
        pixels = foreground(photo)
        assert len(pixels) > 150
        # Folds and shadows move lightness; the hue should stay where it is.
        weights = np.array([0.5, 1.0, 1.0])
        near = np.linalg.norm((pixels - wanted) * weights, axis=1) < 24
        assert near.mean() > 0.25


def test_the_two_photos_share_their_colours_more_than_two_products_do(drawn: dict[str, list[bytes]]) -> None:
    means = {sku: [foreground(photo).mean(axis=0) for photo in pair] for sku, pair in drawn.items()}
    same = [np.linalg.norm(front - other) for front, other in means.values()]
    fronts = [pair[0] for pair in means.values()]
    different = [np.linalg.norm(a - b) for i, a in enumerate(fronts) for b in fronts[:i]]
    assert np.median(same) < 0.3 * np.median(different)


def test_a_product_keeps_its_shade() -> None:
    for product in islice(products(), 40):
        assert shade(product) == shade(product)
        if product.attributes["texture"] != "denim":
            assert shade(product) in SHADES[product.attributes["colour"]]


def test_every_shape_of_hat_bag_and_skirt_can_be_drawn() -> None:
    shapes: dict[tuple[str, str], DemoProduct] = {}
    for product in products():
        if product.attributes["kind"] in {"hat", "bag", "skirt"}:
            shapes.setdefault((product.attributes["kind"], product.attributes["shape"]), product)
    assert len(shapes) == 12
    for product in shapes.values():
        assert len(foreground(photos(product)[0])) > 150
