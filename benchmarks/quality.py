"""How well search does on a folder of photos, one folder a class, without a database.

    python -m benchmarks.quality FOLDER [--json]

FOLDER may also come from the environment variable CLOTHES. Embeddings are kept in DATA_DIR/benchmarks, by
model and by what the folder holds. Each photo stands for a product of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import numpy as np
from tqdm import tqdm

from benchmarks.machine import processor

if TYPE_CHECKING:
    from PIL import Image

    from search.embedders import Embedder
    from search.evaluation import Photos
    from search.metrics import Floats, Indices

SAMPLE = 200
BATCH = 64
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
#: Pictures of scikit-image that show no clothes to speak of.
OTHER_THINGS = [
    "astronaut",
    "brick",
    "camera",
    "cat",
    "cell",
    "checkerboard",
    "clock",
    "coffee",
    "coins",
    "colorwheel",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "immunohistochemistry",
    "logo",
    "microaneurysms",
    "moon",
    "page",
    "retina",
    "rocket",
    "shepp_logan_phantom",
    "text",
]
NOISE = 20


def measure(folder: Path) -> dict[str, Any]:
    """All figures of the folder's photos, with the processor they were measured on."""
    from django.conf import settings

    from search import evaluation
    from search.embedders import embedders

    embedder = embedders["default"]
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    photos, lab = _photos(files, embedder, Path(settings.DATA_DIR) / "benchmarks")
    with _bar(len(photos), "Learning") as bar:
        parts = evaluation.split(photos, progress=bar.update)
    found = evaluation.held_out(photos, parts)

    def dominant(rows: Indices) -> Floats:
        return lab[rows]

    everything = np.arange(len(photos))
    learnt, calibration = photos.fit(everything), photos.calibrate(everything)
    sample = np.random.default_rng(0).permutation(len(photos))[:SAMPLE]
    with _bar(len(sample), "Finding originals") as bar:
        originals = evaluation.find_originals(
            photos, _originals(files, sample), embedder, learnt, calibration, progress=bar.update
        )
    others = evaluation.see(list(_other_things().values()), embedder)[0]
    accepted = evaluation.alike(photos, everything, learnt, others)
    return {
        "processor": processor(),
        "model": embedder.fingerprint,
        **evaluation.report(photos, found, evaluation.colour_differences(found, dominant), originals),
        "let_through": float(evaluation.let_through(photos, parts).mean()),
        "other_things": {
            "pictures": len(accepted),
            "refused": int((~accepted).sum()),
            "accepted": [name for name, taken in zip(_other_things(), accepted, strict=True) if taken],
        },
    }


def _photos(files: list[Path], embedder: Embedder, cache: Path) -> tuple[Photos, Floats]:
    """The folder's photos and their dominant colours, CIELAB (n, 3)."""
    from catalogue import images
    from search import evaluation, pictures
    from search.blocks import blocks
    from search.colours import COLOURS_VERSION

    listing = [f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in files]
    key = "\n".join([embedder.fingerprint, str(COLOURS_VERSION), *listing])
    kept = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if not kept.exists():
        embeddings, colour, lab = [], [], []
        with _bar(len(files), "Embedding") as bar:
            for start in range(0, len(files), BATCH):
                seen = [
                    blocks(
                        images.read(path.read_bytes(), short_side=pictures.short_side(embedder.size)).image,
                        embedder.size,
                    )
                    for path in files[start : start + BATCH]
                ]
                # In half precision, as the database keeps them.
                embeddings.append(embedder.embed(np.stack([one.square for one in seen])).astype(np.float16))
                colour += [one.colour.astype(np.float16) for one in seen]
                lab += [evaluation.dominant_colour(one.square) for one in seen]
                bar.update(len(seen))
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, embeddings=np.concatenate(embeddings), colours=np.stack(colour), lab=np.stack(lab))
        partial.replace(kept)
    with np.load(kept) as stored:
        photos = evaluation.Photos(
            stored["embeddings"], stored["colours"], [path.parent.name for path in files], np.arange(len(files))
        )
        return photos, stored["lab"]


def _originals(files: list[Path], rows: Indices) -> Iterator[tuple[int, Image.Image]]:
    from catalogue import images

    for row in rows:
        yield int(row), images.read(files[row].read_bytes()).image


def _other_things() -> dict[str, bytes]:
    """Pictures that are not clothes, as files: photographs, textures, pages, and noise of several grains."""
    from PIL import Image
    from skimage import data

    from search.distortions import encoded

    pictures = {name: _rgb(getattr(data, name)()) for name in OTHER_THINGS}
    rng = np.random.default_rng(0)
    for number in range(NOISE):
        cells = 4 * 2 ** (number % 6)
        pictures[f"noise {number}"] = (
            rng.integers(0, 256, (cells, cells, 3), np.uint8).repeat(512 // cells, 0).repeat(512 // cells, 1)
        )
    return {name: encoded(Image.fromarray(values)) for name, values in pictures.items()}


def _rgb(values: Any) -> Any:
    """Grey, RGBA, bool or float pixels -> uint8 RGB (h, w, 3)."""
    if values.dtype != np.uint8:
        values = (255 * values.astype(np.float64)).clip(0, 255).astype(np.uint8)
    return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else np.ascontiguousarray(values[..., :3])


def _bar(total: int, what: str) -> tqdm[Any]:
    return tqdm(total=total, desc=what, unit=" photos", disable=not sys.stderr.isatty())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=os.environ.get("CLOTHES"), help="classes of photos")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.folder is None or not options.folder.is_dir():
        parser.error("give a folder that holds one folder of photos for each class, or name it in CLOTHES.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()
    from search import evaluation
    from search.exceptions import SearchError

    try:
        figures = measure(options.folder)
    except SearchError as error:
        sys.exit(str(error))
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    print(f"{figures['processor']}; {figures['model']}")
    print(evaluation.tables(figures))
    others = figures["other_things"]
    print(f"\nHeld-out photos taken for something the catalogue has: {100 * figures['let_through']:.1f} %.")
    print(
        f"Pictures of other things refused: {others['refused']} of {others['pictures']}; "
        f"accepted: {', '.join(others['accepted']) or 'none'}."
    )


if __name__ == "__main__":
    main()
