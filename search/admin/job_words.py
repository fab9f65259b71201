"""Jobs in words, for the page of the index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.models import LEASE
from search.models import IndexJob

Kind, State = IndexJob.Kind, IndexJob.State

STAGES = {
    "embed": _("embedding photos"),
    "fit": _("fitting to the catalogue"),
    "index": _("indexing photos"),
    "check": _("measuring the new version"),
    "audit": _("comparing catalogue and index"),
}

SILENCE = timedelta(minutes=1)
"""A job that was silent for longer is pointed out; a fit is silent for up to as long."""

TITLES = {
    Kind.SYNC.value: _("Sync"),
    Kind.REBUILD.value: _("Rebuild"),
    Kind.ROLLBACK.value: _("Rollback"),
    Kind.AUDIT.value: _("Audit"),
}


@dataclass(frozen=True)
class Shown:
    """A job in words."""

    job: IndexJob
    title: str
    text: str
    percent: int | None = None
    duration: str = ""
    #: for how long nothing was heard of the process, if for unusually long
    silence: str = ""


def title(job: IndexJob) -> str:
    return str(TITLES[job.kind])


def running(job: IndexJob) -> Shown:
    text = str(STAGES.get(job.stage, _("starting")))
    percent = None
    if job.total and job.stage != "fit":
        percent = 100 * min(job.done, job.total) // job.total
        text += _so_far(job)
    duration = lasted(timezone.now() - job.started) if job.started else ""
    seen = job.leased_until - LEASE if job.leased_until else timezone.now()
    silent = timezone.now() - seen
    return Shown(job, title(job), text, percent, duration, lasted(silent) if silent > SILENCE else "")


def waiting(job: IndexJob, *, there: bool, busy: bool) -> Shown:
    if busy:
        text = gettext("waits until the running job is done")
    elif there:
        text = gettext("a worker starts it in a moment")
    else:
        text = gettext("waits for a worker")
    return Shown(job, title(job), text)


def _so_far(job: IndexJob) -> str:
    """How much of its stage is done; nothing of a stage that is a single step."""
    if job.total <= 1:
        return ""
    return " " + gettext("(%(done)s of %(total)s)") % {"done": f"{job.done:,}", "total": f"{job.total:,}"}


def failed(recent: list[IndexJob]) -> Shown | None:
    """The last job, if it failed and nothing has been done since."""
    ended = next((job for job in recent if job.ended), None)
    if ended is None or ended.state != State.FAILED:
        return None
    return Shown(ended, title(ended), ended.reason)


def rebuilt(recent: list[IndexJob]) -> Shown | None:
    done = {"kind": Kind.REBUILD, "state": State.DONE}
    last = next((job for job in recent if job.kind == Kind.REBUILD and job.state == State.DONE), None)
    if last is None and recent:
        last = IndexJob.objects.filter(**done).first()
    if last is None or last.started is None or last.ended is None:
        return None
    return Shown(last, title(last), "", None, lasted(last.ended - last.started))


def lasted(duration: timedelta) -> str:
    """A duration in words, as precise as people want it."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 90:  # noqa: PLR2004 - as people speak
        return ngettext("%d second", "%d seconds", seconds) % seconds
    minutes = round(seconds / 60)
    if minutes < 90:  # noqa: PLR2004
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    hours = round(minutes / 60)
    return ngettext("%d hour", "%d hours", hours) % hours
