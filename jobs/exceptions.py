"""Why a process ends its part of a job."""

from __future__ import annotations


class JobRunning(Exception):
    """Another job of this kind is running."""


class JobCancelled(Exception):
    """The job was cancelled, or another process took it over after its lease ended."""


class WorkStopped(Exception):
    """The process was told to stop; another one continues the job."""
