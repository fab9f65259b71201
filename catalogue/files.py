"""The life of a photo's files: named by content, removed when the last row that uses them is gone."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from django.core.files.storage import default_storage
from django.db import transaction

logger = logging.getLogger(__name__)

_PHOTO_NAME = re.compile(r"photos/[0-9a-f]{2}/[0-9a-f]{64}\w*\.[a-z]+", re.ASCII)


def photo_name(digest: str, extension: str) -> str:
    """Where an original is stored; the storage adds a suffix if the name is taken, so no two uploads share."""
    return f"photos/{digest[:2]}/{digest}{extension}"


def is_photo_name(name: str) -> bool:
    """Whether the storage may have a photo under this name, and nothing else."""
    return _PHOTO_NAME.fullmatch(name) is not None


def thumbnail_name(digest: str) -> str:
    return f"thumbnails/{digest[:2]}/{digest}.jpg"


def remove(names: Iterable[str]) -> None:
    """Remove files from the storage; a file that cannot be removed is logged, never an error for the caller."""
    for name in set(names) - {""}:
        try:
            default_storage.delete(name)
        except OSError:
            logger.exception("The file %s could not be removed from the storage.", name)


def remove_unused(names: Iterable[str]) -> None:
    """Remove those of these files that no photo uses any more."""
    from catalogue.models import ProductImage

    names = set(names) - {""}
    used: set[str] = set()
    for column in ("file", "thumbnail"):
        used.update(ProductImage.objects.filter(**{f"{column}__in": names}).values_list(column, flat=True))
    remove(names - used)


def remove_unused_after_commit(names: Iterable[str]) -> None:
    """Once the current transaction is committed, remove those of these files that no photo uses any more."""
    frozen = set(names) - {""}
    if frozen:
        transaction.on_commit(lambda: remove_unused(frozen))
