"""Builds that tests need half done."""

from __future__ import annotations

from search.lifecycle import building, jobs
from search.models import IndexJob, IndexVersion


def unfinished(alias: str = "default") -> IndexVersion:
    """A version whose process died while it was being built."""
    with jobs.recorded(IndexJob.Kind.REBUILD) as record:
        return building._begin(building.draft(alias), record)
