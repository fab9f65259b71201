"""The shop that the browser visits: its address, what it sells, and files to search it with."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.server import Server
from tests import drawing


@dataclass(frozen=True)
class Shop:
    """A running shop. The tests' process talks to it only over HTTP, as any client would."""

    server: Server
    #: Where files to upload are kept
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:  # noqa: S310 - the server's own address
            return bytes(response.read())

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    @cached_property
    def products(self) -> list[dict[str, Any]]:
        """The products that the demo has drawn, as the API lists them: those with a photo and in stock."""
        listed = self.json("/api/v1/products/?k=200")["results"]
        return [one for one in listed if one["sku"].startswith("DEMO-") and one["photos"] and one["in_stock"]]

    # Files to search with ---------------------------------------------------------------------------------------

    def photo_of(self, product: dict[str, Any]) -> Path:
        """A product's first photo, as a shopper would have saved it."""
        address = product["photos"][0]["url"].removeprefix(self.url)
        return self._file(Path(address).name, self.get(address))

    def drawn_photo(self, kind: str = "shirt", colour: str = "#b03030") -> Path:
        """A garment that the shop does not sell."""
        return self._file(
            f"{kind}-{colour[1:]}.jpg", drawing.encoded(drawing.picture(kind, colour, seed=7, size=(600, 800)))
        )

    def huge_photo(self) -> Path:
        """The first product's photo as a phone would take it: millions of pixels with grain, some megabytes."""
        large = Image.open(self.photo_of(self.products[0])).convert("RGB").resize((2400, 3200))
        grain = np.random.default_rng(0).integers(-8, 9, (3200, 2400, 1))
        grainy = (np.asarray(large).astype(np.int16) + grain).clip(0, 255).astype(np.uint8)
        return self._file("huge.jpg", drawing.encoded(Image.fromarray(grainy), quality=90))

    def noise(self) -> Path:
        """A picture that resembles no product."""
        cells = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        return self._file(
            "noise.png", drawing.encoded(Image.fromarray(cells).resize((640, 640), Image.Resampling.NEAREST), "PNG")
        )

    def heavy_file(self) -> Path:
        """A file over the upload limit that no browser can shrink."""
        return self._file("scan.tif", b"II*\0" + bytes(10_100_000))

    def no_picture(self) -> Path:
        """A file named like a picture that is not one."""
        return self._file("letter.jpg", b"Dear shop, here is my picture.")

    def _file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path
