"""What sources yield: products to import, and rejects with their reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from catalogue.fetching import fetch, fetch_patiently
from catalogue.files import is_photo_name
from catalogue.images import ImageRefused, Limits


class SourceRefused(ValueError):
    """A source cannot be imported. The message says why and what to do."""


class UnreadablePhoto(ImageRefused):
    """A listed photo cannot be read. The message says why and what to do."""

    code = "unreadable"


class PhotoSource(Protocol):
    """Reads the bytes of a photo when they are needed, so that a record takes little memory."""

    @property
    def name(self) -> str:
        """The photo's name in the source."""

    def read(self) -> bytes:
        """The photo's bytes. Raises `ImageRefused` with a sentence."""


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product from a source, validated as far as possible without the database.

    `values` has the fields that the source gives; others are left alone. `category` is a path of names and `brand` a
    name, both empty for none. The others are values of the model.
    """

    sku: str
    where: str
    """The line or path, for the person who corrects it."""
    values: Mapping[str, Any]
    named_attributes: Mapping[str, str] = field(default_factory=dict)
    """Single attributes, added to those of the product; an empty text removes one."""
    photos: tuple[PhotoSource, ...] | None = None
    """In order; None if the source does not list photos."""
    alts: tuple[str, ...] | None = None
    """Alternative texts of the photos, in their order; None if the source has none."""
    overwrite: bool = True
    """Whether an existing product takes the record's values. If not, it only gets missing photos."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row, product or photo that was not imported."""

    where: str
    reason: str
    sku: str = ""
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a record changes in the catalogue."""

    record: ProductRecord
    created: bool
    title: str
    fields: Mapping[str, tuple[Any, Any]]
    """The changed fields, with their values before and after. Categories are paths of names."""
    photos_added: int = 0
    photos_moved: int = 0
    """Photos with a new position or text."""
    photos_removed: int = 0

    @property
    def unchanged(self) -> bool:
        photos = self.photos_added or self.photos_moved or self.photos_removed
        return not (self.created or self.fields or photos)


class Source:
    """An open source with a valid structure."""

    far = False
    """Whether its photos are downloaded, which takes time but little processor time."""
    total = 0
    """The expected number of records and rejects."""

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        raise NotImplementedError

    def close(self) -> None:
        """Release what the source holds open."""


@dataclass(frozen=True, slots=True)
class FilePhoto:
    """A photo in a folder. Names that lead out of the folder are refused."""

    folder: Path
    """Resolved: absolute and without symbolic links."""
    name: str

    def read(self) -> bytes:
        try:
            path = (self.folder / self.name).resolve(strict=True)
            if not path.is_relative_to(self.folder):
                raise UnreadablePhoto(
                    "This photo is not in the source's own folder. Copy it there and give its path from there."
                )
            if not path.is_file():
                raise UnreadablePhoto("This is not a file. Give the path of a picture.")
            Limits.from_settings().check_bytes(path.stat().st_size)
            return path.read_bytes()
        except FileNotFoundError as error:
            raise UnreadablePhoto("There is no such file. Check the photo's path.") from error
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, ImageRefused):
                raise
            # RuntimeError: a loop of symbolic links; ValueError: a NUL character in the name.
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise UnreadablePhoto(f"This photo cannot be read: {reason}.") from error


@dataclass(frozen=True, slots=True)
class AddressedPhoto:
    """A photo on the web, by its address."""

    name: str
    patient: bool = True
    """Whether to try again if the site does not answer."""

    def read(self) -> bytes:
        return fetch_patiently(self.name) if self.patient else fetch(self.name)


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that is already in the shop's storage, by its name in an export."""

    name: str

    def read(self) -> bytes:
        if not is_photo_name(self.name):
            raise self._missing()
        try:
            with default_storage.open(self.name) as file:
                Limits.from_settings().check_bytes(file.size)
                return bytes(file.read())
        except FileNotFoundError as error:
            raise self._missing() from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadablePhoto(_("This photo cannot be read: %(reason)s.") % {"reason": reason}) from error

    def _missing(self) -> UnreadablePhoto:
        return UnreadablePhoto(_("The shop has no such photo. Put it into the zip and name it as it is named there."))


@dataclass(frozen=True, slots=True)
class MissingPhoto:
    """A photo that a table names and that was not uploaded."""

    name: str

    def read(self) -> bytes:
        raise UnreadablePhoto(_("There is no photo of this name in the zip. Check the name, or add the photo."))


@dataclass(frozen=True, slots=True)
class BytesPhoto:
    """A photo in memory."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data
