"""Imports that end with the new photos searchable."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from catalogue.importers.command import ImportCommand
from catalogue.importers.importer import Summary
from search import building, indexing
from search.exceptions import SearchError
from search.management.base import progress_bar
from search.models import IndexEntry


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
            live = indexing.live_version()
            indexing.add_missing(live)
            pending = IndexEntry.objects.filter(version=live, state=IndexEntry.State.PENDING)
            with progress_bar(pending.count(), "Indexing", quiet=self.quiet) as bar:
                indexing.sync(progress=bar.update)
                # A worker may hold some of them; they are searchable when it has done with them.
                while pending.filter(leased_until__gt=timezone.now()).exists():
                    time.sleep(0.1)
                    indexing.sync(progress=bar.update)
            building.maintain()
        except SearchError as error:
            raise CommandError(
                f"The products are in, but not all of their photos can be searched with yet: {error} "
                "What is pending is kept: “manage.py sync_index” goes on with it."
            ) from error
        waiting = pending.count()
        if waiting:
            self.stderr.write(f"{waiting} photos wait for another try: “manage.py index_status” says why.")
