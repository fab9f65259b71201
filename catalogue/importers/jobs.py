"""The imports that staff ask for: queued by the admin, run by a worker."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from typing import Any, cast

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from catalogue.importers.importer import BATCH, Importer, ProcessorBudget, Summary
from catalogue.importers.records import Difference, Reject, Source, SourceRefused
from catalogue.importers.uploads import Upload, UploadGone
from catalogue.models import ImportJob, Product
from jobs.models import STANDING
from jobs.running import Progress, Record, recorded

logger = logging.getLogger(__name__)

MAX_SECONDS = 120
"""Processor seconds of an import or its preview, in all threads: about what a zip of `MAX_PHOTOS` takes."""

MAX_QUEUED = 20
"""Imports that wait or run: each keeps its files, up to `STAFF_UPLOAD_MAX_BYTES`."""

JOBS_KEPT = timedelta(days=90)

REJECTS_KEPT = 100
"""Rejects that a job lists one by one; it counts the others."""


def ask(upload: Upload, by: Any) -> ImportJob:
    """Queue the import of an upload. Asking twice gives one job. Raises SourceRefused if too many are queued."""
    if ImportJob.objects.standing().exclude(upload=upload.token).count() >= MAX_QUEUED:
        raise SourceRefused(_("%(limit)d imports are queued already. Try again later.") % {"limit": MAX_QUEUED})
    upload.share()
    language = translation.get_language() or ""
    values = {"asked": True, "asked_by": by, "language": language}
    return ImportJob.objects.get_or_create(upload=upload.token, defaults=values)[0]


def cancel(job: ImportJob) -> bool:
    """Cancel an import. Returns whether it was waiting or running. What it has imported stays."""
    cancelled = bool(ImportJob.objects.filter(pk=job.pk).cancel())
    if job.state == job.State.WAITING:
        delete_uploads()
    return cancelled


def run(job: ImportJob, progress: Progress | None = None) -> None:
    """Run a job that was taken. Raises what stopped it; the job records the reason."""
    try:
        with translation.override(job.language or None), recorded(job, progress, _reason) as record:
            try:
                source = Upload.find(job.upload).open()
            except UploadGone as error:
                raise SourceRefused(_("These files have expired. Choose them again.")) from error
            with closing(source):
                _Import(job, record, source.total).run(source)
    finally:
        delete_uploads()


def delete_uploads() -> None:
    """Delete the files of imports that have ended. What cannot be deleted now is tried again later."""
    for job in ImportJob.objects.exclude(upload="").exclude(state__in=STANDING):
        try:
            Upload(job.upload).discard()
            Upload(job.upload).unshare()
        except OSError as error:
            logger.warning("The files of %s could not be deleted: %s", job, error)
        else:
            ImportJob.objects.filter(pk=job.pk).update(upload="")


def forget() -> None:
    """Housekeeping: delete the files of imports that have ended, and old jobs."""
    delete_uploads()
    ImportJob.objects.filter(ended__lt=timezone.now() - JOBS_KEPT, upload="").delete()


class _Import:
    """One run of a job. It adds to the figures of an earlier run, whose process died or was stopped."""

    def __init__(self, job: ImportJob, record: Record, total: int) -> None:
        self.by = job.asked_by_id
        self.before: dict[str, Any] = job.result
        self.record = record
        self.total = total
        self.rejects: list[dict[str, str]] = []
        self.written: dict[int, list[str]] = {ADDITION: [], CHANGE: []}
        self.importer = Importer(
            reject=self._reject,
            on_batch=self._save,
            on_difference=self._difference,
            on_photo=self._alive,
            batch=BATCH,
            budget=ProcessorBudget(MAX_SECONDS),
        )

    def run(self, source: Source) -> None:
        self._alive()
        self.importer.run(source)
        self._save()

    @property
    def _summary(self) -> Summary:
        return self.importer.summary

    @property
    def _done(self) -> int:
        return min(self._summary.products + self._summary.rejected, self.total)

    def _reject(self, reject: Reject) -> None:
        if len(self.rejects) < REJECTS_KEPT:
            self.rejects.append(
                {"where": reject.where, "sku": reject.sku, "photo": reject.photo, "reason": reject.reason}
            )

    def _difference(self, difference: Difference) -> None:
        if not difference.unchanged:
            self.written[ADDITION if difference.created else CHANGE].append(difference.record.sku)

    def _alive(self) -> None:
        self.record("import", self._done, self.total)

    def _save(self, _photo_ids: list[int] | None = None) -> None:
        """After each batch: the history of its products, and the figures so far."""
        for flag, skus in self.written.items():
            if skus and self.by:
                products = cast("Any", list(Product.objects.filter(sku__in=skus).order_by()))
                LogEntry.objects.log_actions(self.by, products, flag, change_message=_("Imported."))
            skus.clear()
        self.record("import", self._done, self.total, result=self._figures())

    def _figures(self) -> dict[str, Any]:
        def added(name: str) -> int:
            return int(self.before.get(name, 0) + getattr(self._summary, name))

        names = ("created", "updated", "photos_added", "photos_removed")
        earlier = self.before.get("created", 0) + self.before.get("updated", 0)
        return {name: added(name) for name in names} | {
            "unchanged": max(0, self._summary.unchanged - earlier),
            "rejected": self._summary.rejected,
            "rejects": self.rejects,
        }


def _reason(error: BaseException) -> str:
    if isinstance(error, SourceRefused | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")
