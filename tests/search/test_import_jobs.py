"""The imports of staff as jobs of the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from catalogue.importers import jobs as imports
from catalogue.importers.uploads import Upload
from catalogue.models import ImportJob, Product
from jobs.exceptions import WorkStopped
from search import worker
from search.lifecycle import jobs
from search.models import IndexJob
from search.worker import WorkerTasks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


@pytest.fixture(autouse=True)
def _data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def queued(rows: str = "sku,title\na,Coat\n") -> ImportJob:
    upload = Upload.keep(SimpleUploadedFile("t.csv", rows.encode()), None)
    return imports.ask(upload, None)


def test_a_worker_runs_imports_after_jobs_on_the_index() -> None:
    assert not worker.due()
    queued()
    sync, _new = jobs.ask(IndexJob.Kind.SYNC)
    assert worker.due()
    WorkerTasks(lambda: False).run_jobs()
    assert Product.objects.get().title == "Coat"
    sync.refresh_from_db()
    job = ImportJob.objects.get()
    assert (sync.state, job.state, job.upload) == ("done", "done", "")
    assert sync.ended and job.started and sync.ended <= job.started  # noqa: PT018


def test_an_import_that_fails_does_not_stop_the_worker() -> None:
    queued("name\nCoat\n")
    queued()
    WorkerTasks(lambda: False).run_jobs()
    assert Product.objects.get().title == "Coat"
    done, failed = ImportJob.objects.all()
    assert (done.state, failed.state) == ("done", "failed")
    assert "The column 'sku' is missing" in failed.reason


def test_a_stopping_worker_leaves_an_import_to_the_next() -> None:
    queued()
    stopping = iter([False])
    with pytest.raises(WorkStopped):
        WorkerTasks(lambda: next(stopping, True)).run_jobs()
    assert ImportJob.objects.get().state == "waiting"
    WorkerTasks(lambda: False).run_jobs()
    assert ImportJob.objects.get().state == "done"


def test_cleanup_deletes_old_imports_and_the_files_of_ended_ones(settings: Any) -> None:
    job = queued()
    ImportJob.objects.update(state="cancelled", ended=job.created - imports.JOBS_KEPT)
    WorkerTasks(lambda: False).cleanup()
    assert not ImportJob.objects.exists()
    assert list((Path(settings.DATA_DIR) / "imports" / "uploads").iterdir()) == []
