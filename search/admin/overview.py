"""The index at a glance: how much of the catalogue is covered, what failed and why, what is under way."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import dropwhile
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalogue.models import ProductImage
from search import broker
from search.admin import job_words
from search.admin.job_words import Kind, State
from search.admin.states import reasons
from search.exceptions import SearchError
from search.indexes import index_of
from search.lifecycle import audit, gate, jobs
from search.models import KEPT, Embedding, IndexEntry, IndexJob, IndexVersion
from search.versions import rebuild_hint
from search.vision.matches import BOUNDED
from search.writing import throughput

MINUTES = 30
"""Drawn in the chart of the throughput."""
RATED = 5
"""The last minutes that the rate is taken from."""


UNFINISHED = (IndexVersion.State.BUILDING, IndexVersion.State.READY)
BUILDING = (Kind.REBUILD, Kind.ROLLBACK)


@dataclass(frozen=True)
class Coverage:
    """How many photos can be searched, and how many cannot yet."""

    photos: int
    #: contents that the live version's model has looked at; photos that share one share its embedding
    embedded: int
    indexed: int
    waiting: int
    failed: int

    @property
    def percent(self) -> int:
        """Of the photos that are found; 100 only if all are."""
        return 100 * min(self.indexed, self.photos) // self.photos if self.photos else 0


@dataclass(frozen=True)
class Reason:
    text: str
    photos: int
    address: str


def coverage(version: IndexVersion | None, states: dict[str, int]) -> Coverage:
    photos = ProductImage.objects.count()
    indexed, failed = states.get(IndexEntry.State.INDEXED, 0), states.get(IndexEntry.State.FAILED, 0)
    # The worker writes down photos that the ledger does not know; until then they wait as well.
    unknown = max(0, photos - indexed - failed - states.get(IndexEntry.State.PENDING, 0))
    return Coverage(
        photos=photos,
        embedded=Embedding.objects.of(version).count() if version else 0,
        indexed=indexed,
        waiting=states.get(IndexEntry.State.PENDING, 0) + unknown,
        failed=failed,
    )


def summary(request: HttpRequest) -> dict[str, Any]:
    """What `search/admin/overview.html` shows on the admin's first page: a handful of queries.

    Empty for those who may not look at the index.
    """
    if not request.user.has_perm("search.view_indexversion"):
        return {}
    version = IndexVersion.objects.live()
    found = coverage(version, _states().get(version.pk, {}) if version else {})
    return {
        "coverage": found,
        "trouble": trouble(version),
        "worker": workers(),
        "index_address": reverse("admin:search_index"),
    }


def numbers(request: HttpRequest) -> dict[str, Any]:
    """All that the page of the index shows: a fixed number of queries, each on an index of the database."""
    versions = list(IndexVersion.objects.defer("projection_bytes").order_by("-pk")[:6])
    states = _states()
    for version in versions:
        version.counts = states.get(version.pk, {})  # type: ignore[attr-defined]
    live = next((version for version in versions if version.state == IndexVersion.State.LIVE), None)
    found = coverage(live, states.get(live.pk, {}) if live else {})
    recent = list(IndexJob.objects.select_related("asked_by")[:20])
    running = next((job for job in recent if job.state == State.RUNNING), None)
    waiting = next((job for job in recent if job.state == State.WAITING), None)
    build = next((version for version in versions if version.state in UNFINISHED), None)
    audited = jobs.last(Kind.AUDIT)
    worker = workers(asked=waiting is not None)
    there = worker["there"]
    minutes = throughput.minutes(MINUTES)
    postponed = _reasons(live, IndexEntry.State.PENDING) if live else []
    return {
        "coverage": found,
        "addresses": {
            state: f"{reverse('admin:catalogue_productimage_changelist')}?index={state}"
            for state in ("indexed", "pending", "failed")
        },
        "failures": _reasons(live, IndexEntry.State.FAILED) if live else [],
        "postponed": postponed,
        "live": live,
        "other_model": rebuild_hint(live) if live else "",
        "bounds": [(match.label, getattr(live.calibration, match.value)) for match in BOUNDED] if live else [],
        "versions": versions,
        "running": job_words.running(running) if running else None,
        "waiting": job_words.waiting(waiting, there=there, busy=running is not None) if waiting else None,
        "failed": job_words.failed(recent),
        "build": build,
        "build_stands": build is not None and not (running and running.kind in BUILDING),
        "build_refusals": refusals(build) if build else [],
        "former": _former(versions),
        "gate": _gate(live) if live else [],
        "audited": audited,
        "audit_first": _first(audited) if audited else [],
        "rebuilt": job_words.rebuilt(recent),
        "precision": _precision(live) if live else [],
        **(_projection(live) if live else {}),
        "trouble": trouble(live),
        "worker": worker,
        "rate": _rate(minutes),
        "bars": _bars(minutes),
        "busy": bool(running or waiting or (there and found.waiting and not postponed)),
        "announcement": _announcement(running, waiting, found),
        "may_change": request.user.has_perm("search.change_indexversion"),
        "may_retry": request.user.has_perm("search.change_indexentry"),
        "may_see_photos": request.user.has_perm("catalogue.view_productimage"),
    }


def trouble(live: IndexVersion | None) -> str:
    """Why searches are not answered now, as far as the index is to blame; else empty."""
    try:
        if live is not None:
            index_of(live).count()
    except (SearchError, ImproperlyConfigured) as error:
        return str(error)
    return ""


def workers(*, asked: bool = False) -> dict[str, Any]:
    """Whether workers are there and when one was last seen; where none is, or is `asked` for, whether they could be
    told."""
    there, seen = jobs.last_worker()
    return {
        "there": there,
        "seen": seen,
        "told": not ((asked or not there) and broker.away()),
        "celery": bool(settings.REDIS_URL),
    }


def _states() -> dict[int, dict[str, int]]:
    """How many entries are in each state, by version: one query on the ledger's own index."""
    states: dict[int, dict[str, int]] = {}
    counted = IndexEntry.objects.order_by().values_list("version", "state").annotate(number=Count("pk"))
    for version, state, number in counted:
        states.setdefault(version, {})[state] = number
    return states


def _reasons(version: IndexVersion, state: IndexEntry.State) -> list[Reason]:
    photos = reverse("admin:catalogue_productimage_changelist")
    return [
        Reason(text, number, f"{photos}?{urlencode({'index': state.value, 'reason': text})}")
        for text, number in reasons(version, state)
    ]


def _precision(live: IndexVersion) -> list[tuple[str, float]]:
    """The share of the right category among the ten nearest, of photos held out from the fit: by what was tried."""
    names = {
        "nothing": gettext("without projection"),
        "components": gettext("components"),
        "components and classes": gettext("components and categories"),
    }
    measured = live.quality.get("held_out_precision_at_10", {})
    return [(names.get(name, name), value) for name, value in measured.items()]


def _projection(live: IndexVersion) -> dict[str, str]:
    """What was kept of the projection, and why; both are stored in English."""
    names = {
        "nothing": gettext("nothing"),
        "components": gettext("components"),
        "components and classes": gettext("components and categories"),
    }
    kept, reason = live.quality.get("kept", "nothing"), live.quality.get("reason", "")
    return {"kept": names.get(kept, kept), "reason": gettext(reason) if reason else ""}


# Versions -----------------------------------------------------------------------------------------------------


def refusals(version: IndexVersion) -> list[str]:
    """Why a version was not switched to, in the reader's language."""
    return _figures(version).refusals() if version.refused else []


def _figures(version: IndexVersion) -> gate.Figures:
    kept = version.quality["gate"]
    return gate.Figures(**{field.name: kept.get(field.name) for field in fields(gate.Figures)})


def _gate(version: IndexVersion) -> list[tuple[str, float]]:
    """What was measured before a version was switched to."""
    if "gate" not in version.quality:
        return []
    figures = _figures(version)
    measured = [
        (gettext("recall of the ten nearest"), figures.recall_at_10),
        (gettext("found first by their own vector"), figures.self_retrieval),
        (gettext("nearest photo in the right category"), figures.precision_at_1),
        (gettext("the same for the previous version"), figures.live_precision_at_1),
    ]
    return [(name, value) for name, value in measured if value is not None]


def _former(versions: list[IndexVersion]) -> IndexVersion | None:
    """The version that can be rolled back to, of those that were read already."""
    were_live = [version for version in versions if version.state == IndexVersion.State.RETIRED and version.activated]
    last = max(were_live, key=lambda version: version.retired or version.created, default=None)
    if last is None or not last.retired or last.retired <= timezone.now() - KEPT:
        return None
    return last if has_indexed(last, last.counts.get(IndexEntry.State.INDEXED, 0)) else None  # type: ignore[attr-defined]


def has_indexed(version: IndexVersion, indexed: int) -> bool:
    """Whether anything was ever indexed in a version; `indexed` is how many of its entries are so now.

    All may be waiting after a change of the whole catalogue: then it was built with photos, or its index has changed.
    """
    return bool(indexed or version.photos or version.sequence)


def _first(audited: IndexJob) -> list[tuple[str, int, str]]:
    """What an audit has found: each difference, its photos, and the first of them by id."""
    found = audited.result
    return [
        (str(difference.label), found.get(difference.value, 0), ", ".join(map(str, found["first"][difference.value])))
        for difference in audit.Difference
        if found.get(difference.value)
    ]


def _announcement(running: IndexJob | None, waiting: IndexJob | None, found: Coverage) -> str:
    """The announcement for screen readers. It changes with the stage and each quarter, not with each photo."""
    if running:
        shown = job_words.running(running)
        text = f"{shown.title}: {job_words.STAGES.get(running.stage, _('starting'))}"
        return text if shown.percent is None else f"{text}, {shown.percent // 25 * 25} %"
    if waiting:
        return gettext("%(kind)s is waiting.") % {"kind": job_words.title(waiting)}
    if found.waiting:
        return gettext("Photos are waiting to be indexed.")
    return gettext("No job is running.")


# Throughput -------------------------------------------------------------------------------------------------


def _rate(minutes: list[int]) -> int:
    """Photos per minute, from the first of the last minutes in which there was work."""
    worked = list(dropwhile(lambda photos: not photos, minutes[-RATED:]))
    if not worked:
        return 0
    # The present minute has only begun.
    span = len(worked) - 1 + max(timezone.now().second, 5) / 60
    return round(sum(worked) / span)


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    height: int


CHART_HEIGHT, BAR_STEP = 48, 8


def _bars(minutes: list[int]) -> list[Bar]:
    """Each minute's bar, in the units of the chart's view box; at least one unit where anything was done."""
    most = max(minutes)
    heights = [max(1, round(CHART_HEIGHT * photos / most)) if photos else 0 for photos in minutes]
    return [Bar(BAR_STEP * place, CHART_HEIGHT - height, height) for place, height in enumerate(heights)]
