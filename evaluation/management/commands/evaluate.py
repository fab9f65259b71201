"""`manage.py evaluate`: how well search does on the shop's own photos."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from django.core.management.base import CommandParser
from PIL import Image

from catalogue import images
from catalogue.models import Category, ProductImage
from evaluation.acceptance import let_through
from evaluation.colour import colour_differences, dominant_colour
from evaluation.feedback import feedback
from evaluation.held_out import WEIGHTS, held_out
from evaluation.metrics import Floats, Indices
from evaluation.originals import find_originals
from evaluation.photos import FOLDS, Photos, split
from evaluation.report import report, tables
from search import versions
from search.management.base import SearchCommand
from search.models import Embedding, IndexVersion
from search.vision import colours, pictures
from search.vision.embedders import Embedder
from search.vision.vectors import MAX_COLOUR_WEIGHT
from search.writing import ledger

SAMPLE = 200


class Command(SearchCommand):
    help = (
        "Measure search on the shop's own photos: whether held-out photos find their category, whether likes and "
        "dislikes bring more of it, whether results have the query's colour, and whether distorted copies find their "
        "original."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--folds", type=_folds, default=FOLDS, help="Parts to hold out in turn (default: %(default)s)."
        )
        parser.add_argument(
            "--colour-weight",
            type=_weight,
            nargs="+",
            default=list(WEIGHTS),
            metavar="WEIGHT",
            help="Positions of the colour slider to measure (default: %(default)s).",
        )
        parser.add_argument(
            "--sample",
            type=_sample,
            default=SAMPLE,
            help="Photos to distort, and queries whose colour to compare; 0 opens no picture (default: %(default)s).",
        )

    def run(self, **options: Any) -> dict[str, Any]:
        version = ledger.ensure_live_version()
        embedder = versions.embedder_of(version)
        photos, ids = load(version)
        with self.bar(len(photos), "Learning") as bar:
            parts = split(photos, options["folds"], progress=bar.update)
        with self.bar(len(photos), "Searching") as bar:
            found = held_out(photos, parts, options["colour_weight"], progress=bar.update)
        with self.bar(len(photos), "Liking and disliking") as bar:
            judged = feedback(photos, parts, options["colour_weight"], progress=bar.update)

        def dominant(rows: Indices) -> Floats:
            with self.bar(len(rows), "Looking at colours") as bar:
                return _dominant_colours([ids[row] for row in rows], embedder, bar.update)

        differences = colour_differences(found, dominant, options["sample"])
        sample = np.random.default_rng(0).permutation(len(photos))[: options["sample"]]
        with self.bar(len(sample), "Finding originals") as bar:
            originals = find_originals(
                photos,
                _readable(sample, ids),
                embedder,
                version.projection,
                version.calibration,
                colours_version=version.colours_version,
                progress=bar.update,
            )
        names = dict(Category.objects.values_list("pk", "name"))
        return {
            "version": version.pk,
            "model": version.fingerprint,
            "let_through": float(let_through(photos, parts).mean()),
            **report(photos, found, differences, originals if len(sample) else {}, judged=judged, names=names),
        }

    def show(self, result: dict[str, Any]) -> None:
        self.stdout.write(f"Index version {result['version']}, model {result['model']}.")
        self.stdout.write(tables(result))
        self.stdout.write(
            f"\nHeld-out photos that are taken for something the shop has: {100 * result['let_through']:.1f} %."
        )


def load(version: IndexVersion) -> tuple[Photos, list[int]]:
    """The photos that a version's model has seen, from stored embeddings, and the id of each."""
    stored = Embedding.objects.of(version)
    rows: dict[str, int] = {}
    embeddings, blocks = [], []
    for digest, embedding, colour in stored.values_list("digest", "embedding", "colour").iterator():
        rows[digest] = len(rows)
        embeddings.append(np.frombuffer(embedding, "<f2"))
        blocks.append(np.frombuffer(colour, "<f2"))
    fields = ProductImage.objects.order_by("pk").values_list("pk", "sha256", "product__category_id", "product_id")
    known = [(pk, rows[digest], category, product) for pk, digest, category, product in fields if digest in rows]
    chosen = [row for _pk, row, _category, _product in known]
    photos = Photos(
        embeddings=np.stack([embeddings[row] for row in chosen]) if chosen else np.empty((0, 0), np.float16),
        colours=np.stack([blocks[row] for row in chosen]) if chosen else np.empty((0, colours.WIDTH), np.float16),
        categories=[category for _pk, _row, category, _product in known],
        products=np.array([product for _pk, _row, _category, product in known], np.int64),
        parents=dict(Category.objects.values_list("pk", "parent_id")),
    )
    return photos, [pk for pk, _row, _category, _product in known]


def _open(pk: int, short_side: int | None = None) -> Image.Image | None:
    """A photo's picture; None where it is gone or cannot be read."""
    photo = ProductImage.objects.filter(pk=pk).first()
    if photo is None:
        return None
    try:
        with photo.file.open() as file:
            return images.read(file.read(), short_side=short_side).image
    except (images.ImageRefused, OSError):
        return None


def _readable(rows: Indices, ids: list[int]) -> Iterator[tuple[int, Image.Image]]:
    for row in rows:
        image = _open(ids[row])
        if image is not None:
            yield int(row), image


def _dominant_colours(ids: list[int], embedder: Embedder, progress: Callable[[int], object]) -> Floats:
    """The photos' dominant colours in CIELAB (n, 3); NaN for one that cannot be read."""
    lab = np.full((len(ids), 3), np.nan)
    for row, pk in enumerate(ids):
        image = _open(pk, pictures.short_side(embedder.size))
        if image is not None:
            lab[row] = dominant_colour(pictures.square(image, embedder.size))
        progress(1)
    return lab


def _folds(text: str) -> int:
    if text.isdecimal() and int(text) > 1:
        return int(text)
    raise argparse.ArgumentTypeError("give a whole number from 2 on.")


def _sample(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError("give a whole number from 0 on.")


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1
    if 0 <= weight <= MAX_COLOUR_WEIGHT:
        return weight
    raise argparse.ArgumentTypeError(f"give a number from 0 to {MAX_COLOUR_WEIGHT:g}.")
