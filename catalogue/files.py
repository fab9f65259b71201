"""The life of a photo's files: prepared, named by content, removed when the last row that uses them is gone."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from catalogue import images, metadata

logger = logging.getLogger(__name__)

COLUMNS = ("file", "thumbnail", "large")
"""The columns of `ProductImage` that name a stored file. A photo of few pixels names one in two of them."""

FOLDERS = ("photos", "thumbnails")
"""Where they all are in the storage."""

ORPHANED_AFTER = timedelta(hours=1)
"""The least age of an orphan: a younger file may belong to an import that has not been committed yet."""

MOST_NAMES = 500
"""In a query: databases limit how many parameters it has."""

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
_SUBFOLDER = re.compile(r"[0-9a-f]{2}")
# A digest, the mark of a large rendition, and what the storage appends where a name is taken.
_NAME = re.compile(r"[0-9a-f]{64}(-[0-9]+)?(_[0-9A-Za-z]+)?\.[a-z]+")


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


def remove_unused(names: Iterable[str]) -> None:
    """Remove those of these files that no photo uses any more."""
    remove(unused(names))


def unused(names: Iterable[str]) -> set[str]:
    """Those of these files that no photo uses."""
    from catalogue.models import ProductImage

    names = set(names) - {""}
    used: set[str] = set()
    listed = sorted(names)
    for start in range(0, len(listed), MOST_NAMES):
        asked = listed[start : start + MOST_NAMES]
        for column in COLUMNS:
            used.update(ProductImage.objects.filter(**{f"{column}__in": asked}).values_list(column, flat=True))
    return names - used


def remove_unused_after_commit(names: Iterable[str]) -> None:
    """Once the current transaction is committed, remove those of these files that no photo uses any more."""
    frozen = set(names) - {""}
    if frozen:
        transaction.on_commit(lambda: remove_unused(frozen))


def subfolders() -> list[str]:
    """The storage's folders that hold photos' files."""
    return [
        f"{folder}/{subfolder}"
        for folder in FOLDERS
        for subfolder in sorted(_listed(folder)[0])
        if _SUBFOLDER.fullmatch(subfolder)
    ]


def orphans(subfolder: str) -> Iterator[str]:
    """Files of a subfolder that no photo uses: left by a process that was killed, or by a transaction rolled back.

    Whatever is not named as `prepare` names files is somebody else's, and not spoken of.
    """
    names = {f"{subfolder}/{name}" for name in _listed(subfolder)[1] if _NAME.fullmatch(name)}
    before = timezone.now() - ORPHANED_AFTER
    for name in sorted(unused(names)):
        modified = _modified(name)
        if modified is not None and modified < before:
            yield name


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Folders and files; none where there is no such folder yet."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _modified(name: str) -> datetime | None:
    try:
        return default_storage.get_modified_time(name)
    except FileNotFoundError:  # somebody else has removed it meanwhile
        return None
