"""`manage.py rebuild_index`: a new version of the index, built beside the live one and then switched to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from tqdm import tqdm

from search import building
from search.embedders import embedders
from search.management.base import SearchCommand

STAGES = {"embed": "Embedding", "fit": "Learning from the catalogue", "index": "Indexing"}


class Command(SearchCommand):
    help = "Build a new version of the index from stored embeddings, or with another model; search goes on meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--model", default="default", choices=list(embedders), help="Alias in EMBEDDERS (default: %(default)s)."
        )

    def run(self, **options: Any) -> dict[str, Any]:
        bars: dict[str, tqdm[Any]] = {}

        def report(stage: str, done: int, total: int) -> None:
            bar = bars.setdefault(stage, self.bar(total, STAGES[stage]))
            bar.total = total
            bar.update(done - bar.n)

        try:
            version = building.rebuild(options["model"], report)
        finally:
            for bar in bars.values():
                bar.close()
        return {
            "version": version.pk,
            "model": version.fingerprint,
            "photos": version.photos,
            "width": version.width,
            "projection": version.quality.get("kept", "nothing"),
            "reason": version.quality.get("reason", ""),
        }
