"""The life of a photo's files: prepared, named by content, removed when the last row that uses them is gone."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.files.storage import default_storage

from catalogue import images, metadata

logger = logging.getLogger(__name__)

COLUMNS = ("file", "thumbnail", "large")
"""The columns of `ProductImage` that name a stored file. A photo of few pixels names one in two of them."""

CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".heic": "image/heic",
    ".tif": "image/tiff",
}
"""What photos are stored as; nothing else is served."""

_PHOTO_NAME = re.compile(r"photos/[0-9a-f]{2}/([0-9a-f]{64})\w*\.[a-z]+", re.ASCII)


class StorageError(OSError):
    """The storage could not do what was asked, and may do it another time. The message is a sentence for staff."""


class StorageUnavailable(StorageError):
    """The storage does not answer now, or not to us: no file of it can be had."""


class StorageRefused(StorageError):
    """The storage does not give out, or take, this file."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A photo's content, checked, with what is to be stored of it."""

    sha256: str
    width: int
    height: int
    files: tuple[tuple[str, str, bytes], ...]
    """Column, wanted name, bytes; no `large` where the picture has hardly more pixels than the thumbnail."""
    stripped: bool
    """Whether the original is without metadata, and may be given out."""


def prepare(data: bytes, sha256: str = "", *, wait: float | None = None) -> Prepared:
    """Check a picture's bytes, take the metadata out of them and make the renditions. Raises `images.ImageRefused`.

    `sha256` is of the bytes as they were received, where `data` are not these any more. An original whose metadata
    cannot be taken out is stored as it is. A large picture waits `wait` seconds at most, as for `images.reading`.
    """
    with images.reading(data, short_side=images.RENDITION_SIDE, wait=wait) as picture:
        made = images.renditions(picture)
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    stripped = metadata.without_metadata(data, picture.format, picture.orientation)
    stored = [
        ("file", photo_name(sha256, picture.extension), data if stripped is None else stripped),
        ("thumbnail", thumbnail_name(sha256), made.thumbnail),
    ]
    if made.large is not None:
        stored.append(("large", large_name(sha256), made.large))
    return Prepared(sha256, picture.width, picture.height, tuple(stored), stripped is not None)


def photo_name(digest: str, extension: str) -> str:
    """Where an original is stored; the storage adds a suffix if the name is taken, so no two uploads share."""
    return f"photos/{digest[:2]}/{digest}{extension}"


def is_photo_name(name: str) -> bool:
    """Whether the storage may have a photo under this name, and nothing else."""
    return digest(name) != ""


def digest(name: str) -> str:
    """The digest of what was received, by the name of the original; empty for what is no such name."""
    match = _PHOTO_NAME.fullmatch(name)
    return match[1] if match else ""


def thumbnail_name(digest: str) -> str:
    return f"thumbnails/{digest[:2]}/{digest}.jpg"


def large_name(digest: str) -> str:
    return f"thumbnails/{digest[:2]}/{digest}-{images.LARGE_WIDTH}.jpg"


def remove(names: Iterable[str]) -> None:
    """Remove files from the storage; a file that cannot be removed is logged, never an error for the caller."""
    names = set(names) - {""}
    # A bucket of S3 deletes many with one request, and people wait for this.
    if len(names) > 1 and (delete_many := getattr(default_storage, "delete_many", None)) is not None:
        for name, error in delete_many(names).items():
            logger.error("The file %s could not be removed from the storage: %s", name, error)
        return
    for name in names:
        try:
            default_storage.delete(name)
        except OSError:
            logger.exception("The file %s could not be removed from the storage.", name)
