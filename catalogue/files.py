"""The files of photos: their names, how they are made from a picture, and their removal from the storage."""

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
"""The columns of `ProductImage` that name a stored file. A small photo has the same thumbnail and large rendition."""

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
"""The types of stored photos. Nothing else is served."""

_PHOTO_NAME = re.compile(r"photos/[0-9a-f]{2}/([0-9a-f]{64})\w*\.[a-z]+", re.ASCII)


class StorageError(OSError):
    """The storage failed, perhaps temporarily. The message is a sentence for staff."""


class StorageUnavailable(StorageError):
    """The storage does not answer or refuses our credentials: no file can be read."""


class StorageRefused(StorageError):
    """The storage refuses to read or write this file."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid photo and the files to store."""

    sha256: str
    width: int
    height: int
    files: tuple[tuple[str, str, bytes], ...]
    """Column, wanted name, bytes. No `large` if the picture is hardly larger than the thumbnail."""
    stripped: bool
    """Whether the original is without metadata and may be served."""


def prepare(data: bytes, sha256: str = "", *, wait: float | None = None) -> Prepared:
    """Validate a picture's bytes, remove their metadata and make the renditions. Raises `images.ImageRefused`.

    `sha256` is the digest of the received bytes, if `data` are others. An original whose metadata cannot be removed
    is kept as it is. `wait` is as for `images.reading`.
    """
    with images.reading(data, short_side=images.RENDITION_SIDE, wait=wait) as picture:
        made = images.renditions(picture)
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    stripped = metadata.without_metadata(data, picture.format, picture.orientation)
    stored = [
        ("file", photo_name(sha256, picture.extension), data if stripped is None else stripped),
        ("thumbnail", f"thumbnails/{sha256[:2]}/{sha256}.jpg", made.thumbnail),
    ]
    if made.large is not None:
        stored.append(("large", f"thumbnails/{sha256[:2]}/{sha256}-{images.LARGE_WIDTH}.jpg", made.large))
    return Prepared(sha256, picture.width, picture.height, tuple(stored), stripped is not None)


def photo_name(digest: str, extension: str) -> str:
    """The wanted name of an original. The storage adds a suffix if it is taken, so no two uploads share a file."""
    return f"photos/{digest[:2]}/{digest}{extension}"


def is_photo_name(name: str) -> bool:
    """Whether this is the name of an original."""
    return digest(name) != ""


def digest(name: str) -> str:
    """The digest of the received bytes, from the name of the original; empty for any other name."""
    match = _PHOTO_NAME.fullmatch(name)
    return match[1] if match else ""


def remove(names: Iterable[str]) -> None:
    """Remove files from the storage. Failures are logged, not raised."""
    names = set(names) - {""}
    # S3 deletes many files with one request, and people wait for this.
    if len(names) > 1 and (delete_many := getattr(default_storage, "delete_many", None)) is not None:
        for name, error in delete_many(names).items():
            logger.error("The file %s could not be removed from the storage: %s", name, error)
        return
    for name in names:
        try:
            default_storage.delete(name)
        except OSError:
            logger.exception("The file %s could not be removed from the storage.", name)
