"""Why a job does not start, or a process ends its part of one."""

from __future__ import annotations


class JobError(Exception):
    """The message is a sentence for staff."""


class JobRunning(JobError):
    """Another job of this kind is running."""


class JobCancelled(JobError):
    """The job was cancelled, or another process took it over after its lease ended."""


class WorkStopped(JobError):
    """The process was told to stop; another one continues the job."""
