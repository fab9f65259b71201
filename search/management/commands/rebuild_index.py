"""`manage.py rebuild_index`: a new version of the index, built beside the live one and then switched to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from search import building
from search.embedders import embedders
from search.management.base import SearchCommand, stages


class Command(SearchCommand):
    help = "Build a new version of the index from stored embeddings, or with another model; search goes on meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--model", default="default", choices=list(embedders), help="Alias in EMBEDDERS (default: %(default)s)."
        )

    def run(self, **options: Any) -> dict[str, Any]:
        with stages(quiet=self.quiet) as report:
            version = building.rebuild(options["model"], report)
        return {
            "version": version.pk,
            "model": version.fingerprint,
            "photos": version.photos,
            "width": version.width,
            "projection": version.quality.get("kept", "nothing"),
            "reason": version.quality.get("reason", ""),
        }
