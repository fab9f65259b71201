"""The imports that staff ask for in the admin."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models import Job, JobQuerySet


class ImportJobQuerySet(JobQuerySet["ImportJob"]):
    pass


class ImportJob(Job):
    """An import of files that staff have uploaded, run by a worker. Imports wait for one another."""

    #: The token of the files; empty after they were deleted.
    upload = models.CharField(max_length=32, blank=True)
    #: The language of its messages.
    language = models.CharField(max_length=10)

    objects = ImportJobQuerySet.as_manager()

    class Meta(Job.Meta):
        verbose_name = _("import")
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="one_import_running"),
            models.UniqueConstraint(fields=["upload"], condition=~Q(upload=""), name="one_import_of_an_upload"),
        ]

    def __str__(self) -> str:
        return f"import {self.pk} ({self.get_state_display()})"

    @property
    def more_rejects(self) -> int:
        """Rejects that `result` counts but does not list."""
        return int(self.result.get("rejected", 0)) - len(self.result.get("rejects", []))
