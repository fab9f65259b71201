"""A folder of photos, one folder a class, as the benchmarks of quality read it.

Embeddings are kept in DATA_DIR/benchmarks, by model and by what the folder holds. Each photo stands for a product
of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from PIL import Image

    from evaluation.metrics import Floats, Indices
    from evaluation.photos import Photos
    from search.vision.embedders import Embedder

BATCH = 64
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that these benchmarks share: the folder, and whether to print JSON."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", nargs="?", type=Path, default=os.environ.get("CLOTHES"), help="classes of photos")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def arguments(made: argparse.ArgumentParser) -> argparse.Namespace:
    """What the command was given, once it is known that the folder is there."""
    options = made.parse_args()
    if options.folder is None or not options.folder.is_dir():
        made.error("give a folder that holds one folder of photos for each class, or name it in CLOTHES.")
    return options


def files_of(folder: Path) -> list[Path]:
    """The folder's photos, in an order that stays."""
    return sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)


def photos_of(files: list[Path], embedder: Embedder) -> tuple[Photos, Floats]:
    """The folder's photos and their dominant colours, CIELAB (n, 3)."""
    from django.conf import settings

    from catalogue import images
    from evaluation.colour import dominant_colour
    from evaluation.photos import Photos
    from search.vision import pictures
    from search.vision.blocks import blocks
    from search.vision.colours import COLOURS_VERSION

    listing = [f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in files]
    key = "\n".join([embedder.fingerprint, str(COLOURS_VERSION), *listing])
    kept = Path(settings.DATA_DIR) / "benchmarks" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if not kept.exists():
        embeddings, colour, lab = [], [], []
        with bar(len(files), "Embedding") as shown:
            for start in range(0, len(files), BATCH):
                seen = [
                    blocks(
                        images.read(path.read_bytes(), short_side=pictures.short_side(embedder.size)).image,
                        embedder.size,
                        COLOURS_VERSION,
                    )
                    for path in files[start : start + BATCH]
                ]
                # In half precision, as the database keeps them.
                embeddings.append(embedder.embed(np.stack([one.square for one in seen])).astype(np.float16))
                colour += [one.colour.astype(np.float16) for one in seen]
                lab += [dominant_colour(one.square) for one in seen]
                shown.update(len(seen))
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, embeddings=np.concatenate(embeddings), colours=np.stack(colour), lab=np.stack(lab))
        partial.replace(kept)
    with np.load(kept) as stored:
        photos = Photos(
            stored["embeddings"], stored["colours"], [path.parent.name for path in files], np.arange(len(files))
        )
        return photos, stored["lab"]


def originals_of(files: list[Path], rows: Indices) -> Iterator[tuple[int, Image.Image]]:
    """Some of the photos at full scale, with their rows."""
    from catalogue import images

    for row in rows:
        yield int(row), images.read(files[row].read_bytes()).image


def bar(total: int, what: str) -> tqdm[Any]:
    """Progress on a terminal, nothing elsewhere."""
    return tqdm(total=total, desc=what, unit=" photos", disable=not sys.stderr.isatty())
