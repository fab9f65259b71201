"""Find and remove stored files that no photo uses: what a killed process or a transaction rolled back has left."""

from __future__ import annotations

import sys
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalogue import files


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
            folders = files.subfolders()
            quiet = not (verbosity and sys.stderr.isatty())
            for folder in tqdm(folders, unit="folder", file=sys.stderr, disable=quiet):
                for name in files.orphans(folder):
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
