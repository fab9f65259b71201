"""A folder of photos as a source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalogue.images import ImageRefused
from catalogue.importers.folder import FolderSource
from catalogue.importers.records import FilePhoto, ProductRecord, Reject, SourceRefused


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_photos_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    source = FolderSource(fill(tmp_path, "hats/b.jpg", "hats/a.jpg", "coats/c.png", "top.webp"))
    records = [record for record in source if isinstance(record, ProductRecord)]
    assert [record.sku for record in records] == ["coats/c.png", "hats/a.jpg", "hats/b.jpg", "top.webp"]
    assert [record.photos[0].read() for record in records if record.photos] == [r.sku.encode() for r in records]
    assert source.total == 4


def test_files_of_operating_systems_are_skipped(tmp_path: Path) -> None:
    source = FolderSource(fill(tmp_path, "a.jpg", ".DS_Store", "Thumbs.db", "__MACOSX/a.jpg", ".git/x.jpg"))
    assert [record.where for record in source] == ["a.jpg"]


def test_other_files_are_rejected_and_named(tmp_path: Path) -> None:
    (reject,) = FolderSource(fill(tmp_path, "hats/readme.txt"))
    assert isinstance(reject, Reject)
    assert reject.where == "hats/readme.txt"


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "outside/a.jpg", "shop/b.jpg")
    (tmp_path / "shop" / "link.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    (tmp_path / "shop" / "round").symlink_to(tmp_path / "shop")
    rejects = [record for record in FolderSource(tmp_path / "shop") if isinstance(record, Reject)]
    assert [reject.where for reject in rejects] == ["link.jpg", "round"]
    assert all("symbolic link" in reject.reason for reject in rejects)


def test_a_name_that_is_not_unicode_is_imported_under_one_that_is(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"picture")
    (record,) = FolderSource(tmp_path)
    assert isinstance(record, ProductRecord)
    assert record.photos
    assert record.photos[0].read() == b"picture"
    assert record.where.encode()


def test_folders_that_are_nested_too_deep_are_rejected(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 60)
    deep.mkdir(parents=True)
    (deep / "x.jpg").write_bytes(b"x")
    (tmp_path / "y.jpg").write_bytes(b"y")
    bad, good = FolderSource(tmp_path)
    assert isinstance(bad, Reject)
    assert "more than 20 folders" in bad.reason
    assert isinstance(good, ProductRecord)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="cannot be listed"):
        FolderSource(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.jpg", "There is no such file"),
        ("../secret.jpg", "not in the source's own folder"),
        ("link.jpg", "not in the source's own folder"),
        ("loop.jpg", "cannot be read"),
        (".", "not a file"),
        ("a\0b.jpg", "cannot be read"),
        ("x" * 300 + ".jpg", "cannot be read"),
        ("pipe.jpg", "not a file"),
        ("empty.jpg", "empty"),
        ("large.jpg", "MB"),
    ],
)
def test_an_unreadable_photo_is_refused_with_a_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    shop = fill(tmp_path / "shop", "empty.jpg")
    (shop / "empty.jpg").write_bytes(b"")
    fill(tmp_path, "secret.jpg")
    (shop / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (shop / "loop.jpg").symlink_to(shop / "loop.jpg")
    os.mkfifo(shop / "pipe.jpg")
    with (shop / "large.jpg").open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(ImageRefused, match=sentence):
        FilePhoto(shop.resolve(), name).read()


def test_an_absolute_path_is_refused_outside_the_folder(tmp_path: Path) -> None:
    fill(tmp_path, "secret.jpg", "shop/a.jpg")
    with pytest.raises(ImageRefused, match="own folder"):
        FilePhoto((tmp_path / "shop").resolve(), str(tmp_path / "secret.jpg")).read()
