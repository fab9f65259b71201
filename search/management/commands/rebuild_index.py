"""`manage.py rebuild_index`: a new version of the index, built beside the live one and then switched to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from search.lifecycle import building, jobs, rollback
from search.management.base import SearchCommand, stages
from search.models import IndexEntry, IndexJob, IndexVersion
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
        instead.add_argument("--pause", action="store_true", help="Pause the build under way; what is done is kept.")
        instead.add_argument("--resume", action="store_true", help="Go on with a build that is not finished.")
        instead.add_argument("--rollback", action="store_true", help="Go back to the version that was live before.")
        instead.add_argument("--discard", action="store_true", help="Give up a build that is not finished.")

    def run(self, **options: Any) -> dict[str, Any]:
        if options["pause"]:
            return self._pause()
        if options["discard"]:
            version = building.discard()
            return {"discarded": version.pk if version else None}
        if options["rollback"]:
            with stages(quiet=self.quiet) as report:
                return _told(rollback.roll_back(report, force=options["force"]))
        alias, force = self._unfinished(**options)
        if other := jobs.running(IndexJob.Kind.REBUILD):
            self.say(f"Another process has been building since {other.started:%H:%M:%S}: this one shares its work.")
        with stages(quiet=self.quiet) as report:
            return _told(building.rebuild(alias, report, force=force))

    def _pause(self) -> dict[str, Any]:
        run = jobs.pause()
        if run is None:
            raise CommandError("No build is under way: there is nothing to pause.")
        self.say("The build ends at its next step; “manage.py rebuild_index --resume” goes on with it.")
        return {"paused": run.pk}

    def _unfinished(self, **options: Any) -> tuple[str, bool]:
        """Which model to build with, and whether to force it: as it was asked for, where a build is gone on with."""
        asked, version = jobs.paused(), IndexVersion.objects.unfinished()
        if version is not None and version.returning:
            version = None
        if options["resume"] and asked is None and version is None:
            raise CommandError("No build is paused or unfinished. Run “manage.py rebuild_index” to begin one.")
        known = asked.options if asked else {}
        alias = known.get("model") or (version.embedder if version else "default")
        alias = options["model"] or (alias if alias in embedders else "default")
        return alias, options["force"] or (options["resume"] and bool(known.get("force")))


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
