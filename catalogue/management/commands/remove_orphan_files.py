"""Remove stored files that no photo uses, left by a killed process or a rolled back transaction."""

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
"""The storage's folders of photos' files."""

ORPHANED_AFTER = timedelta(hours=1)
"""The minimum age of an orphan: a younger file may belong to a running import."""

_SUBFOLDER = re.compile(r"[0-9a-f]{2}")
# A digest, the mark of a large rendition, and the suffix that the storage appends when a name is taken.
_NAME = re.compile(r"[0-9a-f]{64}(-[0-9]+)?(_[0-9A-Za-z]+)?\.[a-z]+")


class Command(BaseCommand):
    help = (
        "Remove files that no photo uses and that are older than an hour. Only files in photos/ and thumbnails/ with "
        "names that the catalogue gives are removed. The shop may be open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list them and remove nothing")

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
                "This storage cannot list its files or their ages. Find orphans with its own tools."
            ) from error
        except OSError as error:
            raise CommandError(
                f"The storage cannot be read: {error}. {count} files were processed before."
            ) from error
        if verbosity:
            self.stdout.write(
                f"{count} orphan {'file' if count == 1 else 'files'}, {size / 1_000_000:.1f} MB, "
                + ("would be removed." if dry_run else "removed.")
            )

    @staticmethod
    def _size(name: str) -> int:
        try:
            return default_storage.size(name)
        except FileNotFoundError:  # removed by another process
            return 0


def subfolders() -> list[str]:
    """The subfolders of photos' files."""
    return [
        f"{folder}/{subfolder}"
        for folder in FOLDERS
        for subfolder in sorted(_listed(folder)[0])
        if _SUBFOLDER.fullmatch(subfolder)
    ]


def orphans(subfolder: str) -> Iterator[str]:
    """The old files of a subfolder that no photo uses. Files that `files.prepare` did not name are ignored."""
    names = {f"{subfolder}/{name}" for name in _listed(subfolder)[1] if _NAME.fullmatch(name)}
    before = timezone.now() - ORPHANED_AFTER
    for name in sorted(unused(names)):
        modified = _modified(name)
        if modified is not None and modified < before:
            yield name


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """The folders and files in a folder, which need not exist."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _modified(name: str) -> datetime | None:
    try:
        return default_storage.get_modified_time(name)
    except FileNotFoundError:  # removed by another process
        return None
