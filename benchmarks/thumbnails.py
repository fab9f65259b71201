"""What a photo's renditions cost, in bytes and time, and how true they are: by format, and by the way to make them.

`python -m benchmarks.thumbnails FOLDER [--photos N] [--json]` takes some photos as they are and as a large upload
would be: enlarged to a width of 1,600 pixels, with grain added, saved at quality 92.
PSNR and SSIM are those of the luminance: by format against what went into the encoder, by way against full decoding
and a full Lanczos filter. Times are medians of the processor's time, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.machine import processor
from catalogue import images

UPLOAD_WIDTH = 1_600
GRAIN = 4.0
"""Standard deviation of the noise, of 255. It stands in for the detail that an enlarged picture lacks."""

IDENTICAL = 99.0
"""What stands for the infinite PSNR of two pictures that do not differ."""

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG q75": ("JPEG", {"quality": 75}),
    "JPEG q75, optimised": ("JPEG", {"quality": 75, "optimize": True}),
    "JPEG q82": ("JPEG", {"quality": 82}),
    "JPEG q82, optimised": ("JPEG", {"quality": 82, "optimize": True}),
    "JPEG q82, progressive": ("JPEG", {"quality": 82, "progressive": True}),
    "WebP q75, method 0": ("WEBP", {"quality": 75, "method": 0}),
    "WebP q80, method 0": ("WEBP", {"quality": 80, "method": 0}),
    "WebP q80, method 2": ("WEBP", {"quality": 80, "method": 2}),
    "WebP q80, method 4": ("WEBP", {"quality": 80, "method": 4}),
    "AVIF q60, speed 10": ("AVIF", {"quality": 60, "speed": 10, "max_threads": 1}),
    "AVIF q60, speed 8": ("AVIF", {"quality": 60, "speed": 8, "max_threads": 1}),
}

_LIMITS = images.Limits()

Row = dict[str, float | str]


def by_format(pictures: Iterable[Image.Image]) -> list[Row]:
    """Each format's bytes, milliseconds and truth, means over pictures that have their final size."""
    pictures = list(pictures)
    rows: list[Row] = []
    for name, (kind, options) in FORMATS.items():
        figures = []
        for picture in pictures:
            buffer = io.BytesIO()
            start = time.process_time()
            picture.save(buffer, kind, **options)
            seconds = time.process_time() - start
            with Image.open(buffer) as decoded:
                figures.append((len(buffer.getvalue()), 1_000 * seconds, *_truth(picture, decoded)))
        sizes, milliseconds, psnr, ssim = zip(*figures, strict=True)
        cost = {"KB": fmean(sizes) / 1_000, "ms": median(milliseconds)}
        rows.append({"": name} | cost | {"PSNR": fmean(psnr), "SSIM": fmean(ssim)})
    return rows


def by_way(uploads: Iterable[bytes]) -> list[Row]:
    """Ways from an upload to both renditions, not encoded: milliseconds, and how true the two are."""
    thumbnail, large = images.THUMBNAIL_WIDTH, images.LARGE_WIDTH
    rows: list[Row] = []
    uploads = list(uploads)
    whole = [_full(data) for data in uploads]
    truths = [(_scaled(picture, large, None), _scaled(picture, thumbnail, None)) for picture in whole]
    for name, decode, cascade in _WAYS:
        figures = []
        for data, (true_large, true_small) in zip(uploads, truths, strict=True):
            start = time.process_time()
            picture = decode(data)
            larger = _scaled(picture, large, 2.0)
            smaller = _scaled(larger if cascade else picture, thumbnail, 2.0)
            seconds = time.process_time() - start
            figures.append((1_000 * seconds, *_truth(true_large, larger), *_truth(true_small, smaller)))
        milliseconds, *truth = zip(*figures, strict=True)
        names = [f"PSNR {large}", f"SSIM {large}", f"PSNR {thumbnail}", f"SSIM {thumbnail}"]
        means = dict(zip(names, map(fmean, truth), strict=True))
        rows.append({"": name, "ms": median(milliseconds)} | means)
    return rows


def _full(data: bytes) -> Image.Image:
    return images.read(data, limits=_LIMITS).image


def _draft(data: bytes) -> Image.Image:
    return images.read(data, short_side=images.LARGE_WIDTH // 2, limits=_LIMITS).image


def _generous_draft(data: bytes) -> Image.Image:
    return images.read(data, short_side=images.LARGE_WIDTH, limits=_LIMITS).image


_WAYS: tuple[tuple[str, Callable[[bytes], Image.Image], bool], ...] = (
    ("whole picture, each from it", _full, False),
    ("whole picture, the smaller from the larger", _full, True),
    ("draft of twice the larger, the smaller from the larger", _generous_draft, True),
    ("draft of the larger, each from it", _draft, False),
    ("draft of the larger, the smaller from the larger", _draft, True),
)


def _scaled(picture: Image.Image, width: int, gap: float | None) -> Image.Image:
    size = images.rendition_size(*picture.size, width)
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=gap)


def _truth(wanted: Image.Image, got: Image.Image) -> tuple[float, float]:
    a, b = _luminance(wanted), _luminance(got)
    if np.array_equal(a, b):
        return IDENTICAL, 1.0
    return peak_signal_noise_ratio(a, b, data_range=255), structural_similarity(a, b, data_range=255)


def _luminance(picture: Image.Image) -> npt.NDArray[np.float32]:
    return np.asarray(picture.convert("L"), dtype=np.float32)


def upload(picture: Image.Image, width: int, rng: np.random.Generator) -> bytes:
    """A picture as a camera would have sent it: larger, and with grain that did not come out of an encoder."""
    size = (width, round(picture.height * width / picture.width))
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.normal(0, GRAIN, pixels.shape[:2]).astype(np.float32)[..., None]
    buffer = io.BytesIO()
    Image.fromarray((pixels + grain).round().clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def measure(folder: Path, photos: int) -> dict[str, Any]:
    found = sorted(folder.rglob("*.jpg"))
    paths = found[:: max(1, len(found) // photos)][:photos]
    if not paths:
        raise SystemExit(f"There are no .jpg files in {folder}.")
    rng = np.random.default_rng(0)
    originals = [_full(path.read_bytes()) for path in paths]
    uploads = [upload(picture, UPLOAD_WIDTH, rng) for picture in originals]
    cameras = [upload(picture, 2 * UPLOAD_WIDTH, rng) for picture in originals]
    whole = [_full(data) for data in uploads]
    return {
        "processor": processor(),
        "photos": len(paths),
        "as they are": by_format(originals),
        f"{images.THUMBNAIL_WIDTH} px": by_format(_scaled(picture, images.THUMBNAIL_WIDTH, 2.0) for picture in whole),
        f"{images.LARGE_WIDTH} px": by_format(_scaled(picture, images.LARGE_WIDTH, 2.0) for picture in whole),
        f"both, from {UPLOAD_WIDTH:,} px": by_way(uploads),
        f"both, from {2 * UPLOAD_WIDTH:,} px": by_way(cameras),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=20, help="How many to take (default: %(default)s).")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.folder, options.photos)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['processor']}; {result['photos']} photos")
    for title, rows in result.items():
        if not isinstance(rows, list):
            continue
        print(f"\n| {title} | " + " | ".join(list(rows[0])[1:]) + " |\n|" + "---|" * len(rows[0]))
        for row in rows:
            name, *figures = row.values()
            print(f"| {name} | " + " | ".join(map(_figure, figures)) + " |")


def _figure(value: float | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) and value <= 1 else f"{value:.1f}"


if __name__ == "__main__":
    main()
