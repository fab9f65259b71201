"""What decoding a picture costs at the worst: pictures made to be costly, ordinary ones, and many at once.

`python -m benchmarks.decoding [--only WORD] [--json]` draws all of them, which takes some minutes. Each is read in a
process of its own, at the scale of a search. Targets: about a second of processor time for whatever 10 MB and 50
million pixels can ask for; ordinary photos are taken, and a look at their containers takes few milliseconds; of nine
large float TIFFs at once two are taken, within 700 MB.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.hostile import HOSTILE, encoded, heif_grid, jpeg_scans, tiff_flat
from benchmarks.machine import processor

SHORT_SIDE = 640
"""Pixels: at which a shopper's picture is decoded."""

PHONE = (8_064, 6_048)
"""A phone's picture of 49 million pixels."""


def photo() -> Image.Image:
    """Soft shapes with some noise, which compress as a photo does."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (PHONE[1] // 24, PHONE[0] // 24, 3), dtype=np.uint8))
    grain = Image.fromarray(rng.integers(0, 8, (512, 512, 3), dtype=np.uint8))
    image = small.resize(PHONE, Image.Resampling.BICUBIC)
    pixels = np.array(image)
    pixels[: PHONE[1] // 512 * 512, : PHONE[0] // 512 * 512] |= np.tile(
        np.asarray(grain), (PHONE[1] // 512, PHONE[0] // 512, 1)
    )
    return Image.fromarray(pixels)


def ordinary() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Photos in each format that holds one of this size in 10 MB, as an encoder writes them."""
    yield "HEIC, in tiles", lambda: heif_grid(noise=20, quality=30, shared=False)
    yield "AVIF, in tiles", lambda: heif_grid("AVIF", noise=20, quality=50, shared=False)
    image = photo()
    plain = image.quantize(64)
    yield "JPEG", lambda: encoded(image, "JPEG", quality=60)
    yield "JPEG, progressive", lambda: encoded(image, "JPEG", quality=60, progressive=True)
    yield "JPEG, progressive, 4:4:4", lambda: encoded(image, "JPEG", quality=40, progressive=True, subsampling=0)
    yield "PNG, palette", lambda: encoded(plain.resize(PHONE, Image.Resampling.NEAREST, (0, 0, 800, 600)), "PNG")
    yield "GIF", lambda: encoded(plain.resize(PHONE, Image.Resampling.NEAREST, (0, 0, 800, 600)), "GIF")
    yield "WebP", lambda: encoded(image, "WEBP", quality=40, method=0)
    yield "TIFF, JPEG", lambda: encoded(image, "TIFF", compression="jpeg", quality=40)
    yield "AVIF", lambda: encoded(image, "AVIF", quality=40, speed=10)


# In a process of its own ------------------------------------------------------------------------------------


def measure(path: Path) -> dict[str, Any]:
    """Read a picture; its processor time and memory, above what the process had before."""
    images = _images()
    data, before = path.read_bytes(), _peak()
    start = time.process_time()
    kind = images._sniff(data)
    try:
        if kind is not None:
            kind.check(data, images.Limits().max_pixels)
    except Exception:  # noqa: S110 - what it is, reading says below
        pass
    look = time.process_time() - start
    start = time.process_time()
    try:
        verdict = "taken: {0.width} x {0.height}".format(
            images.read(data, short_side=SHORT_SIDE, limits=images.Limits())
        )
    except images.ImageRefused as refusal:
        verdict = refusal.code
    return {
        "kilobytes": round(len(data) / 1000, 1),
        "seconds": round(time.process_time() - start, 2),
        "look_ms": round(1000 * look, 1),
        "megabytes": _peak() - before,
        "verdict": verdict,
    }


def together(path: Path, count: int) -> dict[str, Any]:
    """Read one picture in several threads at once, each as a request does."""
    images = _images()
    data, verdicts = path.read_bytes(), []
    ready = threading.Barrier(count)

    def request() -> None:
        ready.wait()
        try:
            with images.reading(data, short_side=SHORT_SIDE, limits=images.Limits(), wait=images.REQUEST_WAIT):
                verdicts.append("taken")
        except images.ImageRefused as refusal:
            verdicts.append(refusal.code)

    threads = [threading.Thread(target=request) for _ in range(count)]
    start, wall = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "seconds_each": round((time.process_time() - start) / count, 2),
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "megabytes": _peak(),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
    }


def _images() -> Any:
    from django.conf import settings

    settings.configure(USE_I18N=False)
    from catalogue import images

    images.read(encoded(Image.new("RGB", (64, 64)), "HEIF"), limits=images.Limits())  # loads what is loaded late
    return images


def _peak() -> int:
    """The most memory that this process has had, in megabytes. Linux alone says it of the process and not of what
    started it too."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


# The report -------------------------------------------------------------------------------------------------


def _elsewhere(data: bytes, folder: Path, *options: str) -> dict[str, Any]:
    path = folder / "picture"
    path.write_bytes(data)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.decoding", "--measure", str(path), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name has this word in it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        found = together(options.measure, options.threads) if options.threads else measure(options.measure)
        print(json.dumps(found))
        return
    groups: list[tuple[str, Iterator[tuple[str, Callable[[], bytes]]]]] = [
        ("costly", iter(HOSTILE.items())),
        ("ordinary", ordinary()),
    ]
    results: dict[str, Any] = {"processor": processor()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for group, drawn in groups:
            for name, draw in drawn:
                if options.only.lower() in f"{group} {name}".lower():
                    results[f"{group}: {name}"] = _elsewhere(draw(), folder)
                    _print(f"{group}: {name}", results[f"{group}: {name}"], quiet=options.json)
        for name, count, draw in (
            ("at once: 8 JPEGs of 200 scans", 8, jpeg_scans),
            ("at once: 9 float TIFFs", 9, tiff_flat),
            ("at once: 9 float TIFFs in strips", 9, lambda: tiff_flat(strips=70)),
            ("at once: 16 ordinary JPEGs", 16, lambda: encoded(photo(), "JPEG", quality=60)),
        ):
            if options.only.lower() in name.lower():
                results[name] = _elsewhere(draw(), folder, "--threads", str(count))
                _print(name, results[name], quiet=options.json)
    if options.json:
        print(json.dumps(results))


def _print(name: str, found: dict[str, Any], *, quiet: bool) -> None:
    if quiet:
        return
    if "verdicts" in found:
        print(f"{name:52} {found['seconds_each']:6.2f} s each, {found['megabytes']:5} MB in all, {found['verdicts']}")
        return
    print(
        f"{name:52} {found['kilobytes']:9,.1f} kB {found['seconds']:6.2f} s {found['megabytes']:5} MB "
        f"(container {found['look_ms']:5.1f} ms)  {found['verdict']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
