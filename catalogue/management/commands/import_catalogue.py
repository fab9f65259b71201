"""Import products and their photos from a folder, a zip or a table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalogue.importers.archive import MAX_EXPANDED_BYTES
from catalogue.importers.command import REFUSED, ImportCommand, positive, printable
from catalogue.importers.records import SourceRefused
from catalogue.importers.sources import FORMATS, open_source

DOWNLOADS = 16
"""Parallel downloads. They mostly wait; each takes a few megabytes."""


class Command(ImportCommand):
    help = (
        "Import products and their photos from a folder or a zip of photos, or from a table (CSV, Excel or JSON "
        "Lines) with the photos beside it. Products are identified by SKU; a second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("source", help="a folder, a .zip, a .csv, an .xlsx, a .jsonl, or s3://bucket/folder")
        parser.add_argument(
            "--format", choices=FORMATS, default="auto", help="format of the source (default: detect it)"
        )
        parser.add_argument(
            "--downloads",
            type=positive,
            default=DOWNLOADS,
            help="photos downloaded at once, if they are not on this machine (default: %(default)s)",
        )
        parser.add_argument("--dry-run", action="store_true", help="check everything and change nothing")
        parser.add_argument(
            "--rejects",
            type=Path,
            help="file for the rejects, .csv or .jsonl (default: in imports/ of DATA_DIR; none for a dry run)",
        )
        parser.add_argument(
            "--max-expanded",
            type=positive,
            default=MAX_EXPANDED_BYTES,
            help="unpacked bytes of a zip (default: %(default)s)",
        )

    def handle(self, *, source: str, format: str, max_expanded: int, **options: Any) -> None:  # noqa: A002
        try:
            opened = open_source(source, format, max_expanded=max_expanded)
        except SourceRefused as error:
            raise CommandError(printable(str(error)), returncode=REFUSED) from error
        with closing(opened):
            self.import_records(
                opened,
                opened.total,
                name=Path(source).resolve().stem,
                options=options,
                workers=options["downloads"] if opened.far else None,
            )
