"""Find and remove stored files that no photo uses: what a killed process or a transaction rolled back has left."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from catalogue import files
from catalogue.models import unused

FOLDERS = ("photos", "thumbnails")
"""The storage's folders that hold photos' files."""

ORPHANED_AFTER = timedelta(hours=1)
"""The least age of an orphan: a younger file may belong to an import that has not been committed yet."""

_SUBFOLDER = re.compile(r"[0-9a-f]{2}")
# A digest, the mark of a large rendition, and the suffix that the storage appends when a name is taken.
_NAME = re.compile(r"[0-9a-f]{64}(-[0-9]+)?(_[0-9A-Za-z]+)?\.[a-z]+")


class Command(BaseCommand):
    help = (
        "Remove photos' files that no photo uses and that are older than an hour. Only files in photos/ and "
        "thumbnails/ that are named as the catalogue names them are looked at. The shop may be open meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="name them and remove nothing")

    def handle(self, *, dry_run: bool, verbosity: int, **options: Any) -> None:
        count = size = 0
        try:
            folders = subfolders()
            quiet = not (verbosity and sys.stderr.isatty())
            for folder in tqdm(folders, unit="folder", file=sys.stderr, disable=quiet):
                for name in orphans(folder):
                    size += self._size(name)
                    count += 1
                    if dry_run and verbosity:
                        self.stdout.write(name)
                    if not dry_run:
                        files.remove([name])
        except NotImplementedError as error:
            raise CommandError(
                "This storage cannot list its files or tell their age: look for orphans with its own tools."
            ) from error
        except OSError as error:
            raise CommandError(f"The storage cannot be read: {error}. {count} files were done before.") from error
        if verbosity:
            self.stdout.write(
                f"{count} orphan {'file' if count == 1 else 'files'}, {size / 1_000_000:.1f} MB, "
                + ("would be removed." if dry_run else "removed.")
            )

    @staticmethod
    def _size(name: str) -> int:
        try:
            return default_storage.size(name)
        except FileNotFoundError:  # somebody else has removed it meanwhile
            return 0


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
