"""`manage.py sync_index`: bring the index up to date, once."""

from __future__ import annotations

from typing import Any

from search.management.base import SearchCommand, stages
from search.writing import indexing


class Command(SearchCommand):
    help = "Embed and index every photo that is pending, in every version of the index that is written to."

    def run(self, **options: Any) -> dict[str, Any]:
        with stages(quiet=self.quiet) as report:
            outcome = indexing.reconcile(report)
        if outcome.postponed:
            self.failed = True
            self.say(f"{outcome.postponed} photos wait for another try: “manage.py index_status” says why.")
        return {
            "indexed": outcome.indexed,
            "gone": outcome.gone,
            "failed": outcome.failed,
            "postponed": outcome.postponed,
        }
