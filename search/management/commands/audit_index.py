"""`manage.py audit_index`: whether the catalogue, the ledger and the index agree; and what mends them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from search.lifecycle import audit
from search.management.base import SearchCommand, stages


class Command(SearchCommand):
    help = "Compare the catalogue, the ledger and the live index, photo by photo. Fails where they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--repair", action="store_true", help="Index again, or delete, what differs, until nothing does."
        )

    def run(self, **options: Any) -> dict[str, Any]:
        with stages(quiet=self.quiet) as report:
            findings = audit.run(report, repair=options["repair"])
        self.failed = not findings.agree
        if findings.waiting:
            self.say(f"{findings.waiting} photos wait for another try: “manage.py index_status” says why.")
        elif findings.total:
            self.say("The index differs from the catalogue: “manage.py audit_index --repair” mends it.")
        return findings.to_json()
