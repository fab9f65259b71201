"""Photos of a bucket as a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalogue.importers import importer
from catalogue.models import Product, ProductImage
from tests.catalogue.test_import_catalogue import run, small
from tests.moto import BUCKET, S3, failing, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]

SOURCE = f"s3://{BUCKET}/incoming"


@pytest.fixture
def s3(s3: S3, settings: Any, tmp_path: Path) -> S3:
    """A bucket whose photos are imported, and that a catalogue's own are kept in."""
    settings.DATA_DIR = tmp_path / "data"
    return s3


def put(s3: S3, **objects: bytes) -> None:
    for name, data in objects.items():
        s3.client.put_object(Bucket=BUCKET, Key=f"incoming/{name.replace('__', '/')}.jpg", Body=data)


def test_objects_become_categories_and_products_like_files_of_a_folder(s3: S3) -> None:
    put(s3, hats__sun_hat=small(1), hats__winter=small(2), top=small(3))
    s3.client.put_object(Bucket=BUCKET, Key="incoming/hats/", Body=b"")
    s3.client.put_object(Bucket=BUCKET, Key="incoming/hats/.DS_Store", Body=b"x")
    s3.client.put_object(Bucket=BUCKET, Key="incoming-too/other.jpg", Body=small(4))
    summary, status, told = run(SOURCE)
    assert (status, told, summary["created"]) == (0, "", 3)
    assert set(Product.objects.values_list("sku", flat=True)) == {"hats/sun_hat.jpg", "hats/winter.jpg", "top.jpg"}
    assert Product.objects.get(sku="hats/sun_hat.jpg").category.name == "Hats"  # type: ignore[union-attr]
    summary, status, _ = run(f"{SOURCE}/")
    assert (status, summary["unchanged"]) == (0, 3)


def test_unreadable_objects_fail_alone(s3: S3, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 5_000
    put(s3, good=small(1), words=b"just words", large=bytes(5_001))
    s3.client.put_object(Bucket=BUCKET, Key="incoming/list.txt", Body=b"x")
    summary, status, _ = run(SOURCE)
    assert (status, summary["created"], summary["rejected"]) == (3, 1, 3)


def test_an_archived_object_fails_alone_and_needs_restoring(s3: S3, tmp_path: Path) -> None:
    put(s3, a=small(1), c=small(3))
    s3.client.put_object(Bucket=BUCKET, Key="incoming/b.jpg", Body=small(2), StorageClass="GLACIER")
    summary, status, _ = run(SOURCE, "--rejects", str(tmp_path / "rejects.csv"))
    assert (status, summary["created"], summary["rejected"]) == (3, 2, 1)
    assert "Restore it" in (tmp_path / "rejects.csv").read_text()


def test_objects_are_read_batch_by_batch(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, a=small(1), b=small(2), c=small(3), d=small(4))
    seen: list[int] = []
    write = importer.Importer._write

    def writing(self: Any, drafts: Any) -> Any:
        # Objects of the next batch have not been read yet.
        if not seen:
            for name in ("c", "d"):
                s3.client.delete_object(Bucket=BUCKET, Key=f"incoming/{name}.jpg")
        seen.append(len(drafts))
        return write(self, drafts)

    monkeypatch.setattr(importer.Importer, "_write", writing)
    summary, status, _ = run(SOURCE, "--batch", "2")
    assert seen == [2, 2]
    assert (status, summary["created"], summary["rejected"]) == (3, 2, 2)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://no-such-bucket/photos", "bucket no-such-bucket does not exist"),
        (f"s3://{BUCKET}/nothing", "nothing at"),
        ("s3:///photos", "names no bucket"),
    ],
)
def test_a_missing_source_is_refused(s3: S3, source: str, words: str) -> None:
    _, status, told = run(source)
    assert status == 2
    assert words in told


def test_missing_credentials_are_reported_at_the_start(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    _, status, told = run(SOURCE)
    assert (status, "no credentials" in told) == (2, True)


def test_an_unavailable_bucket_stops_the_import_until_a_later_run(
    s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, a=small(1), b=small(2), c=small(3), d=small(4))
    write = importer.Importer._write
    with failing(503, "SlowDown") as url:

        def writing(self: Any, drafts: Any) -> Any:
            written = write(self, drafts)
            use(url, settings, monkeypatch)  # where the catalogue's own photos go
            return written

        monkeypatch.setattr(importer.Importer, "_write", writing)
        summary, status, told = run(SOURCE, "--batch", "2")
    assert (status, summary["created"]) == (1, 2)
    assert "SlowDown" in told
    assert told.endswith("run the same command again to continue.")
    monkeypatch.setattr(importer.Importer, "_write", write)
    use(s3.url, settings, monkeypatch)
    summary, status, _ = run(SOURCE)
    assert (status, summary["created"], summary["unchanged"]) == (0, 2, 2)
    assert ProductImage.objects.count() == 4
