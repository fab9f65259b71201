"""Photos to train on, prepared as the site prepares them: vectors of a fine-tuned model are used on such squares.

Beside `finetune`, the only module here that knows the site. A folder needs the site's libraries, and neither its
settings nor its database; a catalogue needs both.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

LEAST_PHOTOS = 5
"""Products that a class needs, for training, for early stopping and to hold out."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"})

_MOST_BYTES, _MOST_PIXELS = 100_000_000, 100_000_000
"""A shop's own photos may be larger than what a stranger may send."""

_THREADS = min(8, os.cpu_count() or 1)
_AT_A_TIME = 16 * _THREADS


class PhotosError(Exception):
    """There is nothing to train on; a sentence that says what to do."""


@dataclass(frozen=True)
class Source:
    """A photo that has not been read."""

    name: str
    product: int
    label: str
    data: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class Photos:
    """Prepared photos, a row each."""

    squares: NDArray[np.uint8]  # (n, size, size, 3)
    labels: NDArray[np.intp]  # (n,) into `classes`
    products: NDArray[np.intp]  # (n,) what stays on one side of a split
    classes: list[str]
    skipped: dict[str, str]  # photos that could not be read: name -> why

    def __len__(self) -> int:
        return len(self.labels)

    def parts(self, shares: tuple[float, ...], seed: int) -> list[NDArray[np.intp]]:
        """Split the rows at random, class by class, into a part for each share and one for the rest.

        Of each class every part has at least one product, and the photos of a product stay together.
        """
        rng = np.random.default_rng(seed)
        part = np.zeros(len(self), np.intp)
        for label in range(len(self.classes)):
            products = rng.permutation(np.unique(self.products[self.labels == label]))
            at = 0
            for number, share in enumerate(shares):
                count = max(1, round(share * len(products)))
                part[np.isin(self.products, products[at : at + count])] = number + 1
                at += count
        return [np.flatnonzero(part == number) for number in (*range(1, len(shares) + 1), 0)]


def folder_sources(folder: Path) -> list[Source]:
    """The photos of a folder that holds one folder for each class; each photo counts as a product.

    Raises PhotosError.
    """
    if not folder.is_dir():
        raise PhotosError(f"There is no folder {folder}. Give one that holds a folder of photos for each class.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = [path for each in classes for path in sorted(each.iterdir()) if path.suffix.lower() in SUFFIXES]
    sources = [
        Source(f"{path.parent.name}/{path.name}", number, path.parent.name, path.read_bytes)
        for number, path in enumerate(paths)
    ]
    count = Counter(source.label for source in sources)
    for each in classes:
        if 0 < count[each.name] < LEAST_PHOTOS:
            raise PhotosError(_too_few(f"The folder {each}", count[each.name]))
    _check_classes(count, f"{folder} has")
    return sources


def catalogue_sources() -> list[Source]:
    """The photos of the site's catalogue; its categories are the classes. Sets Django up.

    A category with few products counts as its parent; categories that are still too small are left out. Raises
    PhotosError.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    try:
        import django
        from django.apps import apps

        if not apps.ready:  # again, it would end the handlers of logs that are there
            django.setup()
    except ImportError as error:
        raise PhotosError(_NEEDS_SITE) from error
    from django.db import DatabaseError

    try:
        return _catalogue_sources()
    except DatabaseError as error:
        raise PhotosError(
            f"The site's database cannot be read ({error}). Give --catalogue where the site runs, with its DATA_DIR "
            "or DATABASE_URL, after “manage.py migrate”."
        ) from error


def _catalogue_sources() -> list[Source]:
    from catalogue.models import Category, ProductImage

    parents: dict[int | None, int | None] = dict(Category.objects.values_list("pk", "parent_id"))
    names = dict(Category.objects.values_list("pk", "name"))
    photos = list(
        ProductImage.objects.filter(product__category__isnull=False).select_related("product").order_by("pk")
    )
    category = {photo.product_id: photo.product.category_id for photo in photos}
    while True:
        count = Counter(category.values())
        small = {label for label, products in count.items() if products < LEAST_PHOTOS and parents[label]}
        # From the bottom up: a parent may become large enough with its small children.
        lowest = small - {above for label in small for above in _above(label, parents)}
        if not lowest:
            break
        category = {product: parents[label] if label in lowest else label for product, label in category.items()}
    kept = {label for label, products in count.items() if products >= LEAST_PHOTOS}
    _check_classes(Counter({names[label]: count[label] for label in kept}), "The catalogue has")

    def data(photo: ProductImage) -> bytes:
        with photo.file.open() as file:
            content: bytes = file.read()
            return content

    return [
        # Two categories may have one name, under different parents.
        Source(str(photo.file.name), photo.product_id, f"{names[label]} ({label})", partial(data, photo))
        for photo in photos
        if (label := category[photo.product_id]) in kept
    ]


def _above(label: int | None, parents: Mapping[int | None, int | None]) -> Iterator[int]:
    above = parents[label]
    while above is not None:
        yield above
        above = parents[above]


@contextmanager
def prepared(sources: list[Source], size: int, progress: Callable[[], object]) -> Iterator[Photos]:
    """Read and prepare photos, each once; `progress` is called for each.

    The squares are in a file of their own, which is removed in the end: memory does not grow with their number.
    Raises PhotosError.
    """
    classes = sorted({source.label for source in sources})
    prepare = _preparation(size)
    with TemporaryDirectory(prefix="photos-") as scratch:
        squares: NDArray[np.uint8] = np.memmap(
            Path(scratch) / "squares", np.uint8, "w+", shape=(len(sources), size, size, 3)
        )
        read: list[Source] = []
        skipped: dict[str, str] = {}
        with ThreadPoolExecutor(_THREADS) as threads:
            # In chunks, so that Ctrl-C takes effect soon.
            for start in range(0, len(sources), _AT_A_TIME):
                some = sources[start : start + _AT_A_TIME]
                for source, square in zip(some, threads.map(prepare, some), strict=True):
                    if isinstance(square, str):
                        skipped[source.name] = square
                    else:
                        squares[len(read)] = square
                        read.append(source)
                    progress()
        products: dict[str, set[int]] = {label: set() for label in classes}
        for source in read:
            products[source.label].add(source.product)
        for label, found in products.items():
            if len(found) < LEAST_PHOTOS:
                raise PhotosError(_too_few(f"Of what can be read, the class {label}", len(found)))
        yield Photos(
            squares[: len(read)],
            np.array([classes.index(source.label) for source in read], np.intp),
            np.array([source.product for source in read], np.intp),
            classes,
            skipped,
        )


_NEEDS_SITE = (
    "Fine-tuning prepares photos as the site does and needs its libraries too: “make setup endpoint” installs all."
)


def _preparation(size: int) -> Callable[[Source], NDArray[np.uint8] | str]:
    """The function that turns a source into its square, or into the reason why it cannot."""
    try:
        from django.conf import settings

        if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
            # Reasons of refusals ask for a language; nothing else of the site's settings is needed.
            settings.configure(USE_I18N=False)
        from catalogue import images
        from search.vision import pictures
    except ImportError as error:
        raise PhotosError(_NEEDS_SITE) from error
    limits = images.Limits(max_bytes=_MOST_BYTES, max_pixels=_MOST_PIXELS)

    def prepare(source: Source) -> NDArray[np.uint8] | str:
        try:
            picture = images.read(source.data(), short_side=pictures.short_side(size), limits=limits)
        except (images.ImageRefused, OSError) as error:
            return str(error)
        return pictures.square(picture.image, size)

    return prepare


def _check_classes(count: Counter[str], whose: str) -> None:
    if len(count) < 2:  # noqa: PLR2004
        found = f"only one ({next(iter(count))})" if count else "none"
        raise PhotosError(
            f"Fine-tuning tells classes apart and needs two or more of {LEAST_PHOTOS} products each; {whose} {found}."
        )


def _too_few(whose: str, count: int) -> str:
    return f"{whose} has {count} photos; a class needs {LEAST_PHOTOS}. Add photos, or take the class out."
