"""A product's SKU, title and category, from the path of its photo."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from django.utils.translation import gettext as _

from catalogue.importers.records import PhotoSource, ProductRecord, Reject
from catalogue.importers.taxonomy import MAX_LEVELS
from catalogue.models import Category, Product

PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""Suffixes of the formats that `catalogue.images` reads."""

_LITTER = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"})
"""Files that operating systems leave in folders, besides names that begin with a dot."""

_DIGEST_LETTERS = 12
_MACHINE_MADE = re.compile(r"[0-9a-f]{16,}", re.IGNORECASE)
_SKU_LENGTH: int = Product._meta.get_field("sku").max_length or 0
_TITLE_LENGTH: int = Product._meta.get_field("title").max_length or 0
_CATEGORY_LENGTH: int = Category._meta.get_field("name").max_length or 0


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden or was created by an operating system."""
    return name.startswith(".") or name.casefold() in _LITTER


def record(parts: tuple[str, ...], photo: PhotoSource) -> ProductRecord | Reject:
    """The product of a photo at a path (folders, then file name)."""
    where = shown(parts)
    *folders, name = parts
    if PurePosixPath(name).suffix.lower() not in PICTURES:
        return Reject(where, _("The name of this file is not that of a picture, so it was left out."))
    if len(folders) > MAX_LEVELS:
        return too_deep(parts)
    category = tuple(_category_name(folder) for folder in folders)
    if any(len(name) > _CATEGORY_LENGTH for name in category):
        return Reject(
            where,
            _("A folder's name has more than %(limit)d characters. Give the folder a shorter one.")
            % {"limit": _CATEGORY_LENGTH},
        )
    return ProductRecord(
        sku=sku(parts),
        where=where,
        values={"title": title(PurePosixPath(name).stem, category), "category": category},
        photos=(photo,),
        overwrite=False,
    )


def too_deep(parts: tuple[str, ...]) -> Reject:
    """The reject of a photo or folder that is nested too deep."""
    return Reject(
        shown(parts), _("This is nested more than %(limit)d folders deep. Move it up.") % {"limit": MAX_LEVELS}
    )


def shown(parts: tuple[str, ...]) -> str:
    """A path that can be printed and stored: file names need not be Unicode."""
    return "/".join(parts).encode(errors="surrogateescape").decode(errors="replace")


def sku(parts: tuple[str, ...]) -> str:
    """The path itself, so that it is the same on every run and machine.

    A path that is too long, or has characters that do not print, is shortened and gets a part of its SHA-256.
    """
    path = unicodedata.normalize("NFC", "/".join(parts))
    plain = _printable(path)
    if plain == path and len(path) <= _SKU_LENGTH:
        return path
    digest = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:_DIGEST_LETTERS]
    return f"{plain[: _SKU_LENGTH - _DIGEST_LETTERS - 1]}~{digest}"


def title(stem: str, category: tuple[str, ...] = ()) -> str:
    """`blue_summer-dress 02` -> `Blue summer dress 02`; the category's name replaces a UUID or a digest."""
    words = _printable(unicodedata.normalize("NFC", re.sub(r"[_\-+\s]+", " ", stem)))
    kind = category[-1] if category else "Photo"
    if _MACHINE_MADE.fullmatch(words.replace(" ", "")):
        words = f"{kind} {stem[:8]}"
    return _capitalised(words or kind)[:_TITLE_LENGTH].strip()


def _category_name(folder: str) -> str:
    return _capitalised(_printable(unicodedata.normalize("NFC", folder.replace("_", " ")))) or "Unnamed"


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def _printable(text: str) -> str:
    """Without characters that do not print, which databases may not store, and with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
