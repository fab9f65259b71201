"""What sources yield: a product to bring in, or what cannot be brought in and why."""

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
    """Nothing of a source can be imported. The message says why and what to do."""


class UnreadablePhoto(ImageRefused):
    """The bytes of a listed photo cannot be had. The message says why and what to do."""

    code = "unreadable"


class PhotoSource(Protocol):
    """Where the bytes of a photo come from; read late, in a thread, so that a record costs no memory."""

    @property
    def name(self) -> str:
        """What the person who made the source calls this photo."""

    def read(self) -> bytes:
        """The photo's bytes. Raises `ImageRefused` with a sentence where they cannot be had."""


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product as a source describes it, checked as far as that can be done without the database.

    `values` has the product's fields that the source speaks of: `category` is a path of names (empty: none),
    `brand` a name (empty: none), the others are as the model has them. What is absent is left alone.
    """

    sku: str
    where: str
    """The line or the path, for the person who has to put it right."""
    values: Mapping[str, Any]
    named_attributes: Mapping[str, str] = field(default_factory=dict)
    """Single attributes, set beside those that the product has; an empty text removes one."""
    photos: tuple[PhotoSource, ...] | None = None
    """In order; None where the source does not speak of photos."""
    alts: tuple[str, ...] | None = None
    """Alternative texts of the photos, in their order; None where the source does not speak of them."""
    overwrite: bool = True
    """Whether an existing product becomes what the record says. If not, it is only given photos it lacks."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row, product or photo that was not brought in."""

    where: str
    reason: str
    sku: str = ""
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a record comes to beside what the catalogue has."""

    record: ProductRecord
    created: bool
    title: str
    fields: Mapping[str, tuple[Any, Any]]
    """Each field that becomes another, with the value before and the value after. Categories are paths of names."""
    photos_added: int = 0
    photos_moved: int = 0
    """Photos that come to another place or get another text."""
    photos_removed: int = 0

    @property
    def unchanged(self) -> bool:
        photos = self.photos_added or self.photos_moved or self.photos_removed
        return not (self.created or self.fields or photos)


class Source(Protocol):
    """A source that has been opened, and whose structure has been found sound."""

    @property
    def far(self) -> bool:
        """Whether its photos come through a network: they take long to arrive, and little else."""

    @property
    def total(self) -> int:
        """How many records and rejects are to be expected."""

    def __iter__(self) -> Iterator[ProductRecord | Reject]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FilePhoto:
    """A photo in a folder; a name that leads out of the folder, by whichever way, is refused."""

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
    """Whether a site that does not answer is asked again."""

    def read(self) -> bytes:
        return fetch_patiently(self.name) if self.patient else fetch(self.name)


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that the shop's storage has already, by the name that an export gives it."""

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
    """A photo that a table names and nobody sent."""

    name: str

    def read(self) -> bytes:
        raise UnreadablePhoto(_("There is no photo of this name in the zip. Check the name, or add the photo."))


@dataclass(frozen=True, slots=True)
class BytesPhoto:
    """A photo that is in memory."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data
