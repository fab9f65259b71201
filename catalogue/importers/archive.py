"""A zip of a folder of photos. Nothing is unpacked to disk, and its headers are not trusted."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from django.utils.translation import gettext as _

from catalogue.images import Limits
from catalogue.importers import layout
from catalogue.importers.records import (
    MissingPhoto,
    PhotoSource,
    ProductRecord,
    Reject,
    Source,
    SourceRefused,
    UnreadablePhoto,
)

MAX_ENTRIES = 1_000_000
"""Entries of an archive. Its directory is held in memory, about half a kilobyte per entry."""

_ENTRY_BYTES = 300
"""Average bytes of the directory per entry: 46 and a name."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Supported compression. Other methods are rare, and may reserve gigabytes (LZMA's dictionary) at the start."""

MAX_EXPANDED_BYTES = 20_000_000_000
"""Unpacked bytes of an archive; the command's option `--max-expanded` changes it."""

MAX_RATIO = 200
"""Unpacked to packed size of an entry. Pictures hardly shrink (about 1); deflate's own maximum is 1,032."""

_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")


class ArchiveSource(Source):
    """The photos of a zip, sorted by name.

    A folder around everything is ignored if it has the archive's name (`shop.zip` -> `shop/...`).
    """

    def __init__(
        self, path: Path, max_expanded: int = MAX_EXPANDED_BYTES, name: str = "", max_entries: int = MAX_ENTRIES
    ) -> None:
        """`name` is the archive's name without its suffix, if its path does not have it.

        Raises `SourceRefused` if this is not a zip, an entry leads out of it, or it is too large or has too many
        entries.
        """
        with ExitStack() as stack:
            try:
                file = stack.enter_context(_File(path, max_entries))
                self.archive = stack.enter_context(zipfile.ZipFile(file))
            except SourceRefused:
                raise
            except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
                raise SourceRefused(
                    _("%(path)s cannot be opened as a zip: %(reason)s. Make the archive again.")
                    % {"path": path, "reason": error}
                ) from error
            file.directory = None
            entries = self.archive.infolist()
            if len(entries) > max_entries:
                raise _too_many(max_entries)
            _check_structure(entries, max_expanded)
            self._open = stack.pop_all()
        wrapped = all(entry.filename.startswith(f"{name or path.stem}/") for entry in entries if not _litter(entry))
        self._strip = 1 if wrapped else 0
        self._photos = sorted(
            (entry for entry in entries if not entry.is_dir() and not _litter(entry)),
            key=lambda entry: entry.filename,
        )
        self._lock = Lock()
        self._by_name: dict[str, zipfile.ZipInfo] | None = None
        self.total = len(self._photos)

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        for entry in self._photos:
            parts = PurePosixPath(entry.filename).parts[self._strip :]
            yield layout.record(parts, ArchivedPhoto(self.archive, entry, self._lock))

    def photo(self, name: str) -> PhotoSource:
        """The photo that a table names: by its path in the archive, with or without the folder around everything, or
        by its file's name if that is unique.
        """
        if self._by_name is None:
            self._by_name = self._names()
        entry = self._by_name.get(name.removeprefix("./"))
        return MissingPhoto(name) if entry is None else ArchivedPhoto(self.archive, entry, self._lock)

    def _names(self) -> dict[str, zipfile.ZipInfo]:
        last: dict[str, list[zipfile.ZipInfo]] = {}
        for entry in self._photos:
            last.setdefault(PurePosixPath(entry.filename).name, []).append(entry)
        names = {name: entries[0] for name, entries in last.items() if len(entries) == 1}
        for strip in (1, 0) if self._strip else (0,):
            names |= {"/".join(PurePosixPath(e.filename).parts[strip:]): e for e in self._photos}
        return names

    def close(self) -> None:
        self._open.close()


class _File(io.BufferedReader):
    """An archive that limits the size of one read until its directory has been read.

    `zipfile` reads the whole directory and creates an object per entry before anyone can count them.
    """

    def __init__(self, path: Path, max_entries: int) -> None:
        super().__init__(io.FileIO(path))
        self._max_entries = max_entries
        self.directory: int | None = _ENTRY_BYTES * max_entries + zipfile.ZIP_MAX_COMMENT
        """Bytes that the directory may have; None once it has been read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.directory is not None and size is not None and size > self.directory:
            raise _too_many(self._max_entries)
        return super().read(size)


@dataclass(frozen=True, slots=True)
class ArchivedPhoto:
    """A photo in a zip."""

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo
    lock: Lock
    """Held while reading, since several threads read one archive."""

    @property
    def name(self) -> str:
        return self.entry.filename

    def read(self) -> bytes:
        """The unpacked bytes, at most as many as the site accepts."""
        entry = self.entry
        limits = Limits.from_settings()
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadablePhoto(_("This entry is encrypted. Make the archive without a password."))
        limits.check_bytes(entry.file_size)
        if entry.compress_type not in METHODS:
            raise UnreadablePhoto(_("This entry is packed in an unusual way. Make the archive with “deflate”."))
        if entry.file_size > MAX_RATIO * entry.compress_size:
            raise UnreadablePhoto(
                _("This entry expands to more than %(ratio)d times its size, as no photo does. Pack it again.")
                % {"ratio": MAX_RATIO}
            )
        try:
            with self.lock, self.archive.open(entry) as file:
                data = file.read(limits.max_bytes + 1)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            # RuntimeError includes NotImplementedError: a patched or strongly encrypted entry.
            raise UnreadablePhoto(
                _("This entry cannot be unpacked: %(reason)s. Make the archive again.") % {"reason": error}
            ) from error
        limits.check_bytes(len(data))
        return data


def _too_many(limit: int) -> SourceRefused:
    return SourceRefused(
        _("The archive has more than %(limit)s entries, or entries with very long names. Split it.")
        % {"limit": f"{limit:,}"}
    )


def _check_structure(entries: list[zipfile.ZipInfo], max_expanded: int) -> None:
    for entry in entries:
        # `orig_filename` is the stored name: `filename` ends at the first NUL.
        name = entry.orig_filename
        if (
            name.startswith("/")
            or "\\" in name
            or "\0" in name
            or _DRIVE.match(name)
            or ".." in name.split("/")
            or not PurePosixPath(name).parts
        ):
            raise SourceRefused(
                _(
                    "The archive has an entry named %(name)s, which may lead out of its folder, so nothing was "
                    "imported. Make the archive again with plain names, relative to its folder."
                )
                % {"name": repr(name)}
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise SourceRefused(
                _(
                    "The archive's entry %(name)s is a symbolic link, so nothing was imported. "
                    "Make the archive again with the pictures themselves."
                )
                % {"name": repr(name)}
            )
    expanded = sum(entry.file_size for entry in entries)
    if expanded > max_expanded:
        raise SourceRefused(
            _(
                "The archive expands to %(size)s bytes; the limit is %(limit)s. "
                "Split it. If you trust it, the command import_catalogue takes more with --max-expanded."
            )
            % {"size": f"{expanded:,}", "limit": f"{max_expanded:,}"}
        )


def _litter(entry: zipfile.ZipInfo) -> bool:
    return any(layout.hidden(part) for part in PurePosixPath(entry.filename).parts)
