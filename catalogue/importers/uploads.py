"""The files that staff upload to import: kept from the preview until the import has ended.

A table, a zip of the photos that it names, or a zip of folders alone. The limits are lower than the command's,
because the preview runs in a request. A shop whose photos are in S3 keeps queued uploads there too, for its workers.
"""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import UploadedFile
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from catalogue.fetching import is_address
from catalogue.files import is_photo_name
from catalogue.importers.archive import ArchiveSource
from catalogue.importers.records import (
    AddressedPhoto,
    MissingPhoto,
    PhotoSource,
    ProductRecord,
    Reject,
    Source,
    SourceRefused,
    StoredPhoto,
    UnreadablePhoto,
)
from catalogue.importers.tabular import CsvSource
from catalogue.importers.workbook import WorkbookSource
from catalogue.models import ImportJob

TABLES = (".csv", ".tsv", ".txt", ".xlsx")
"""Suffixes of tables."""

MAX_TABLE_BYTES = 30_000_000
"""Of a table: enough for the allowed rows with long descriptions."""

MAX_PHOTOS = 3_000
"""Photos of a zip; they take about a minute."""

MAX_ENTRIES = 12_000
"""Entries of a zip, with folders and the files that systems add to each photo."""

MAX_ADDRESSES = 100
"""Photos downloaded from web addresses; with slow sites they take about a minute."""

MAX_EXPANDED_BYTES = 3_000_000_000
"""Unpacked bytes of a zip."""

KEPT_SECONDS = 24 * 60 * 60
"""After this an unused upload is removed."""

MAX_KEPT = 20
"""Waiting uploads; beyond this the oldest are removed."""

_NAME = "photos.name"
_TOKEN = re.compile(r"[0-9a-f]{32}")


class UploadGone(LookupError):
    """The upload was imported, or has expired."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The files of one upload, in a folder named by an unguessable token."""

    token: str

    @classmethod
    def keep(cls, table: UploadedFile[bytes] | None, archive: UploadedFile[bytes] | None) -> Self:
        """Store the files. Raises `SourceRefused` for a table that is too large or of an unknown kind."""
        suffix = _suffix(table) if table is not None else ""
        upload = cls(uuid.uuid4().hex)
        upload.folder.mkdir(parents=True)
        remove_abandoned()
        for file, name in ((table, f"table{suffix}"), (archive, "photos.zip")):
            if file is not None:
                with (upload.folder / name).open("wb") as target:
                    for chunk in file.chunks():
                        target.write(chunk)
        if archive is not None:
            # A folder with this name around everything in the zip is ignored.
            (upload.folder / _NAME).write_text(Path(archive.name or "").stem, encoding="utf-8")
        return upload

    @classmethod
    def find(cls, token: str) -> Self:
        """The upload of a token, copied to this machine if it was shared. Raises `UploadGone`, and OSError."""
        upload = cls(token)
        if not _TOKEN.fullmatch(token):
            raise UploadGone(token)
        if not upload.folder.is_dir():
            upload._fetch()
        return upload

    def share(self) -> None:
        """Move the files to the storage that all workers share, if this shop has one."""
        if (storage := _shared()) is None:
            return
        for path in sorted(self.folder.iterdir()):
            with path.open("rb") as file:
                storage.save(f"{self.token}/{path.name}", File(file))
        self.discard()

    def _fetch(self) -> None:
        storage = _shared()
        names = storage.listdir(self.token)[1] if storage else []
        if storage is None or not names:
            raise UploadGone(self.token)
        self.folder.mkdir(parents=True)
        try:
            for name in names:
                with storage.open(f"{self.token}/{name}") as source, (self.folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        except BaseException:
            self.discard()
            raise

    @property
    def folder(self) -> Path:
        return _folder() / self.token

    def open(self) -> Source:
        """The source that reads the files. Raises `SourceRefused`."""
        table = next(iter(sorted(self.folder.glob("table.*"))), None)
        path = self.folder / "photos.zip"
        archive = _archive(path) if path.exists() else None
        if table is None:
            if archive is None:
                raise SourceRefused(_("Choose a table, a zip of photos, or both."))
            return archive
        try:
            return _TableSource(table, archive)
        except BaseException:
            if archive is not None:
                archive.close()
            raise

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def unshare(self) -> None:
        """Delete the shared files. Raises OSError."""
        if (storage := _shared()) is not None:
            for name in storage.listdir(self.token)[1]:
                storage.delete(f"{self.token}/{name}")


class _TableSource(Source):
    """A table whose photos are in the uploaded zip, in the shop already, or on the web."""

    def __init__(self, path: Path, archive: ArchiveSource | None) -> None:
        self._archive = archive
        kind = WorkbookSource if path.suffix == ".xlsx" else CsvSource
        try:
            self._table = kind(path, self._photo, settings.IMPORT_MAX_ROWS)
        except SourceRefused as error:
            # Staff do not know the file's name on this server.
            raise SourceRefused(
                str(error).replace(str(path), path.name).replace(path.name, _("The table"))
            ) from error
        self.far = self._table.far
        self.total = self._table.total
        self._fetched = 0

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        self._fetched = 0
        return iter(self._table)

    def _photo(self, name: str) -> PhotoSource:
        if is_address(name):
            self._fetched += 1
            return AddressedPhoto(name, patient=False) if self._fetched <= MAX_ADDRESSES else _TooManyAddresses(name)
        if is_photo_name(name):
            return StoredPhoto(name)
        return MissingPhoto(name) if self._archive is None else self._archive.photo(name)

    def close(self) -> None:
        self._table.close()
        if self._archive is not None:
            self._archive.close()


@dataclass(frozen=True, slots=True)
class _TooManyAddresses:
    """A photo on the web beyond the number that a request has time for."""

    name: str

    def read(self) -> bytes:
        raise UnreadablePhoto(
            _(
                "At most %(limit)d photos are fetched from their addresses at once. Split the table, or import it "
                "with the command import_catalogue."
            )
            % {"limit": MAX_ADDRESSES}
        )


def _archive(path: Path) -> ArchiveSource:
    try:
        name = path.with_name(_NAME).read_text(encoding="utf-8")
        source = ArchiveSource(path, MAX_EXPANDED_BYTES, name, MAX_ENTRIES)
    except SourceRefused as error:
        raise SourceRefused(str(error).replace(str(path), _("The zip"))) from error
    if source.total > MAX_PHOTOS:
        with closing(source):
            raise SourceRefused(
                _("The zip has %(photos)s files; at most %(limit)s are taken at once. Split it.")
                % {"photos": _count(source.total), "limit": _count(MAX_PHOTOS)}
            )
    return source


def _suffix(table: UploadedFile[bytes]) -> str:
    suffix = Path(table.name or "").suffix.lower()
    if suffix not in TABLES:
        raise SourceRefused(
            _("This file is not a table that can be read. Save it as CSV or as an Excel workbook (.xlsx).")
        )
    if (table.size or 0) > MAX_TABLE_BYTES:
        raise SourceRefused(
            _("The table is larger than %(limit)s MB. Split it, and send photos in the zip.")
            % {"limit": _count(MAX_TABLE_BYTES // 1_000_000)}
        )
    return suffix


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "imports" / "uploads"


def _shared() -> Storage | None:
    """Where queued uploads are, if workers may run on other machines."""
    return storages["imports"] if "imports" in settings.STORAGES else None


def remove_abandoned() -> None:
    """Delete previewed uploads of this machine after a day, and the oldest of too many. Queued ones stay."""
    if not _folder().is_dir():
        return
    queued = set(ImportJob.objects.standing().values_list("upload", flat=True))
    ages: dict[Path, float] = {}
    for path in _folder().iterdir():
        if path.name in queued:
            continue
        with suppress(FileNotFoundError):  # another upload may just have removed it
            ages[path] = time.time() - path.stat().st_mtime
    for number, path in enumerate(sorted(ages, key=ages.__getitem__), 1):
        if number > MAX_KEPT or ages[path] > KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _count(number: int) -> str:
    return number_format(number, force_grouping=True)
