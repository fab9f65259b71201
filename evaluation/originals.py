"""Does a distorted copy find its original?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalogue import images
from evaluation.distortions import DISTORTIONS, Distortion
from evaluation.metrics import Bools
from evaluation.photos import Photos, Progress, style
from search.vision import colours, pictures, vectors
from search.vision.blocks import blocks
from search.vision.embedders.base import Embedder
from search.vision.matches import Calibration, Match
from search.vision.projection import Projection

ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Originals:
    """What distorted copies of q photos found."""

    found: Bools  # (q,): no other product's photo came before the original's product
    same_item: Bools  # (q,): copy and original are “same item” in the catalogue's words


def find_originals(
    photos: Photos,
    originals: Iterable[tuple[int, Image.Image]],
    embedder: Embedder,
    learnt: Projection | None,
    calibration: Calibration,
    *,
    weight: float = vectors.DEFAULT_COLOUR_WEIGHT,
    colours_version: int = colours.COLOURS_VERSION,
    distortions: Mapping[str, Distortion] = DISTORTIONS,
    progress: Progress | None = None,
) -> dict[str, Originals]:
    """Search among all photos for the originals of distorted copies; by the name of the distortion.

    `originals` are rows of `photos` with their upright pictures at full scale. Copies go to bytes and through
    what a shopper's picture goes through. Products that share a picture are one as good as the other.
    """
    documents = vectors.document(style(learnt, photos.embeddings), photos.colours)
    found: dict[str, list[bool]] = {name: [] for name in distortions}
    same: dict[str, list[bool]] = {name: [] for name in distortions}
    for row, picture in originals:
        embeddings, seen_colours = see(
            [distort(picture) for distort in distortions.values()], embedder, colours_version
        )
        scores = vectors.query(style(learnt, embeddings), seen_colours, weight) @ documents.T
        own = photos.products == photos.products[row]
        rival = scores[:, ~own].max(axis=1, initial=-np.inf)
        nearest = scores[:, own].max(axis=1) > rival - ROUNDING
        cosines = embeddings @ photos.embeddings[row].astype(np.float32)
        for name, first, cosine in zip(distortions, nearest, cosines, strict=True):
            found[name].append(bool(first))
            same[name].append(calibration.match(float(cosine)) == Match.SAME_ITEM)
        if progress:
            progress(1)
    return {name: Originals(np.array(found[name], bool), np.array(same[name], bool)) for name in distortions}


def see(
    files: Sequence[bytes], embedder: Embedder, colours_version: int = colours.COLOURS_VERSION
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings (n, d) and colour blocks (n, 125) of pictures, by the way of a shopper's picture.

    Raises ImageRefused and EmbedderError.
    """
    side = pictures.short_side(embedder.size)
    seen = [blocks(images.read(data, short_side=side).image, embedder.size, colours_version) for data in files]
    return embedder.embed(np.stack([one.square for one in seen])), np.stack([one.colour for one in seen])
