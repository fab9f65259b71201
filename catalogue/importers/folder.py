"""A folder of photos: folders become categories, photos become products."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from catalogue.importers import layout
from catalogue.importers.records import FilePhoto, ProductRecord, Reject, Source, SourceRefused
from catalogue.importers.taxonomy import MAX_LEVELS


class FolderSource(Source):
    """Walks a folder sorted by name, with one directory listing in memory at a time."""

    def __init__(self, folder: Path) -> None:
        """Raises `SourceRefused` if the folder cannot be listed."""
        self.folder = folder.resolve()
        try:
            next(self.folder.iterdir(), None)
        except OSError as error:
            raise SourceRefused(f"The folder {folder} cannot be listed: {error.strerror}.") from error
        self.total = sum(1 for _ in self)

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        return self._walk(())

    def _walk(self, parts: tuple[str, ...]) -> Iterator[ProductRecord | Reject]:
        try:
            with os.scandir(self.folder.joinpath(*parts)) as listing:
                entries = sorted((entry for entry in listing if not layout.hidden(entry.name)), key=lambda e: e.name)
        except OSError as error:
            yield Reject(layout.shown(parts), f"This folder cannot be listed: {error.strerror}.")
            return
        for entry in entries:
            path = (*parts, entry.name)
            if entry.is_symlink():
                # A link may lead out of the folder, or in a circle.
                yield Reject(layout.shown(path), "This is a symbolic link. Put the picture or folder itself here.")
            elif entry.is_dir() and len(path) > MAX_LEVELS:
                yield layout.too_deep(path)
            elif entry.is_dir():
                yield from self._walk(path)
            else:
                yield layout.record(path, FilePhoto(self.folder, "/".join(path)))
