"""`manage.py index_status`: what is indexed, what waits, and what failed and why."""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from catalogue.models import ProductImage
from search import versions
from search.indexes import index_of
from search.lifecycle import jobs
from search.management.base import SearchCommand
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.writing import ledger


class Command(SearchCommand):
    help = "Show the state of the index: coverage, what waits, what failed and why."

    def run(self, **options: Any) -> dict[str, Any]:
        version = ledger.ensure_live_version()
        entries = IndexEntry.objects.filter(version=version)
        states = dict(entries.order_by().values_list("state").annotate(Count("pk")))
        reasons = entries.exclude(reason="").order_by().values_list("reason").annotate(number=Count("pk"))
        building, former = IndexVersion.objects.unfinished(), IndexVersion.objects.former()
        audited = jobs.last(IndexJob.Kind.AUDIT)
        return {
            "photos": ProductImage.objects.count(),
            "embeddings": Embedding.objects.of(version).count(),
            "documents": index_of(version).count(),
            **{state.value: states.get(state.value, 0) for state in IndexEntry.State},
            "reasons": dict(reasons.order_by("-number")[:10]),
            "version": version.pk,
            "model": version.fingerprint,
            "advice": versions.rebuild_hint(version) or None,
            "space": version.space,
            "width": version.width,
            "projection": version.quality.get("kept", "nothing"),
            "activated": version.activated,
            "gate": version.quality.get("gate"),
            "building": building.pk if building else None,
            "building_gate": building.quality.get("gate") if building else None,
            "former": former.pk if former else None,
            "audited": audited.ended if audited else None,
            "audit": audited.result if audited else None,
        }
