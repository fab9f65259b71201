"""`manage.py rebuild_index`: a new version of the index, built beside the live one and then switched to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from search.lifecycle import building, rollback
from search.management.base import SearchCommand, stages
from search.models import IndexEntry, IndexVersion
from search.vision.embedders import embedders


class Command(SearchCommand):
    help = (
        "Build a new version of the index from stored embeddings, or with another model; search goes on meanwhile. "
        "The new version is switched to if it is complete and not worse than the live one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--model",
            choices=list(embedders),
            help="Alias in EMBEDDERS (by default that of a build that is not finished, or else “default”).",
        )
        parser.add_argument("--force", action="store_true", help="Switch to the new version even if it is worse.")
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument("--rollback", action="store_true", help="Roll back to the version that was live before.")
        instead.add_argument(
            "--cancel",
            action="store_true",
            help="Cancel the rebuild that is running or queued, and discard a version that is not live. Embeddings "
            "are kept, so the next rebuild is quick.",
        )

    def run(self, **options: Any) -> dict[str, Any]:
        if options["cancel"]:
            version = building.cancel()
            return {"discarded": version.pk if version else None}
        if options["rollback"]:
            with stages(quiet=self.quiet) as report:
                return _told(rollback.roll_back(report, force=options["force"]))
        alias = options["model"] or building.unfinished_model()
        with stages(quiet=self.quiet) as report:
            return _told(building.rebuild(alias, report, force=options["force"]))


def _told(version: IndexVersion) -> dict[str, Any]:
    return {
        "version": version.pk,
        "model": version.fingerprint,
        "photos": IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED).count(),
        "width": version.width,
        "projection": version.quality.get("kept", "nothing"),
        "reason": version.quality.get("reason", ""),
        "gate": version.quality.get("gate", {}),
    }
