"""Imports that end with the new photos searchable."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from catalogue.importers.command import ImportCommand
from catalogue.importers.importer import Summary
from jobs.exceptions import JobError
from search.exceptions import SearchError
from search.lifecycle import upkeep
from search.management.base import stages
from search.models import IndexEntry
from search.writing import ledger


class IndexedImport(ImportCommand):
    """Indexes what an import brought, and refits if the catalogue has grown enough.

    Stands before a command of the catalogue's in the bases of this app's command of the same name, which Django
    finds first.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.quiet = bool(options["json"]) or not options["verbosity"]
        return super().execute(*args, **options)

    def finish(self, summary: Summary) -> None:
        super().finish(summary)
        try:
            with stages(quiet=self.quiet) as report:
                upkeep.catch_up(report)
        except (SearchError, JobError) as error:
            raise CommandError(
                f"The products are in, but not all of their photos can be searched with yet: {error} "
                "What is pending is kept: “manage.py sync_index” goes on with it."
            ) from error
        live = ledger.ensure_live_version()
        waiting = IndexEntry.objects.filter(version=live, state=IndexEntry.State.PENDING).count()
        if waiting:
            self.stderr.write(f"{waiting} photos wait for another try: “manage.py index_status” says why.")
