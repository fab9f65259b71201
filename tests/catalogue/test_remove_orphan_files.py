"""The command remove_orphan_files removes unused files and no others."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction

from catalogue import files
from catalogue.management.commands import remove_orphan_files
from catalogue.models import ProductImage
from tests import shop
from tests.catalogue.observing import stored
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

DIGEST = "ab" * 32
ORPHANS = [
    f"photos/ab/{DIGEST}.jpg",
    f"photos/ab/{DIGEST}_x1Y2z3A.png",
    f"thumbnails/ab/{DIGEST}.jpg",
    f"thumbnails/ab/{DIGEST}-960.jpg",
    f"thumbnails/ab/{DIGEST}-960_x1Y2z3A.jpg",
]


def put(*names: str, hours: float = 2) -> None:
    """Store files of this age."""
    for name in names:
        assert default_storage.save(name, ContentFile(b"x" * 1000)) == name
    age(hours)


def age(hours: float) -> None:
    then = time.time() - 3600 * hours
    for path in Path(default_storage.location).rglob("*"):  # type: ignore[attr-defined]
        os.utime(path, (then, then))


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("remove_orphan_files", *options, stdout=out)
    return out.getvalue()


def test_only_unused_files_are_removed() -> None:
    image = shop.product("a", encoded(picture(size=(1200, 1600)))).photos.get()
    kept = stored()
    assert kept == {image.file.name, image.thumbnail.name, image.large.name}
    put(*ORPHANS)
    assert run() == "5 orphan files, 0.0 MB, removed.\n"
    assert stored() == kept
    assert run() == "0 orphan files, 0.0 MB, removed.\n"


def test_a_dry_run_names_them_and_removes_nothing() -> None:
    put(*ORPHANS)
    *names, summary = run("--dry-run").splitlines()
    assert sorted(names) == sorted(ORPHANS)
    assert summary == "5 orphan files, 0.0 MB, would be removed."
    assert stored() == set(ORPHANS)


def test_a_young_file_is_left_alone_as_its_import_may_still_run() -> None:
    put(*ORPHANS, hours=0.9)
    run()
    assert stored() == set(ORPHANS)


@pytest.mark.parametrize(
    "name",
    [
        "elsewhere/ab/" + ORPHANS[0].rpartition("/")[2],
        "photos/" + ORPHANS[0].rpartition("/")[2],
        "photos/abc/" + ORPHANS[0].rpartition("/")[2],
        "photos/ab/deep/" + ORPHANS[0].rpartition("/")[2],
        "photos/ab/notes.txt",
        "photos/ab/logo.jpg",
    ],
)
def test_files_with_other_names_are_kept(name: str) -> None:
    put(name)
    assert run() == "0 orphan files, 0.0 MB, removed.\n"
    assert stored() == {name}


def test_a_shop_without_any_file_has_no_orphans() -> None:
    assert run() == "0 orphan files, 0.0 MB, removed.\n"


def test_files_of_a_rolled_back_transaction_are_found() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        shop.product("a", photo())
        raise ZeroDivisionError
    assert len(stored()) == 2
    age(2)
    assert run().startswith("2 orphan files")
    assert stored() == set()


def test_a_file_that_vanishes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    put(*ORPHANS[:2])
    monkeypatch.setattr(FileSystemStorage, "get_modified_time", _gone)
    assert run() == "0 orphan files, 0.0 MB, removed.\n"


def _gone(self: FileSystemStorage, name: str) -> None:
    raise FileNotFoundError(name)


def test_a_storage_that_cannot_list_its_files_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(self: FileSystemStorage, path: str) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileSystemStorage, "listdir", cannot)
    with pytest.raises(CommandError, match="cannot list its files"):
        run()


def test_a_failing_storage_reports_how_many_files_were_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    put(*ORPHANS)
    listdir = FileSystemStorage.listdir

    def failing(self: FileSystemStorage, path: str) -> Any:
        if path == "thumbnails/ab":
            raise PermissionError(13, "Permission denied")
        return listdir(self, path)

    monkeypatch.setattr(FileSystemStorage, "listdir", failing)
    with pytest.raises(CommandError, match=r"Permission denied.* 2 files were processed"):
        run()


def test_any_storage_that_lists_its_files_will_do(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    image = shop.product("a", photo()).photos.get()
    default_storage.save(ORPHANS[0], ContentFile(b"x"))
    monkeypatch.setattr(remove_orphan_files, "ORPHANED_AFTER", timedelta(0))
    assert run().startswith("1 orphan file,")
    assert default_storage.exists(image.file.name or "")
    assert not default_storage.exists(ORPHANS[0])


def test_a_folder_costs_the_same_queries_however_many_files_it_has(django_assert_num_queries: Any) -> None:
    put(*[f"photos/ab/{number:064x}.jpg" for number in range(30)])
    with django_assert_num_queries(len(files.COLUMNS)):
        assert run("--dry-run").endswith("30 orphan files, 0.0 MB, would be removed.\n")
    assert not ProductImage.objects.exists()
