"""`manage.py sync_index`: bring the index up to date, once."""

from __future__ import annotations

from typing import Any

from search import indexing
from search.management.base import SearchCommand
from search.models import IndexEntry, IndexVersion


class Command(SearchCommand):
    help = "Embed and index every photo that is pending, in every version of the index that is written to."

    def run(self, **options: Any) -> dict[str, Any]:
        indexing.add_missing(indexing.live_version())
        written = IndexVersion.objects.writable().values("pk")
        pending = IndexEntry.objects.filter(version__in=written, state=IndexEntry.State.PENDING).count()
        with self.bar(pending, "Indexing") as bar:
            outcome = indexing.sync(progress=bar.update)
        if outcome.postponed:
            self.failed = True
            self.say(f"{outcome.postponed} photos wait for another try: “manage.py index_status” says why.")
        return {
            "indexed": outcome.indexed,
            "gone": outcome.gone,
            "failed": outcome.failed,
            "postponed": outcome.postponed,
        }
