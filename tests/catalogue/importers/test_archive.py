"""A zip of photos as a source; hostile ones are refused before anything is read."""

from __future__ import annotations

import stat
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from catalogue.images import ImageRefused
from catalogue.importers.archive import ArchiveSource
from catalogue.importers.records import ProductRecord, Reject, SourceRefused


def pack(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def read(path: Path) -> dict[str, bytes]:
    with closing(ArchiveSource(path)) as source:
        return {
            record.sku: record.photos[0].read()
            for record in source
            if isinstance(record, ProductRecord) and record.photos
        }


def sentence(path: Path) -> str:
    """What the only photo of an archive is refused with."""
    with closing(ArchiveSource(path)) as source:
        (record,) = source
        assert isinstance(record, ProductRecord)
        assert record.photos
        with pytest.raises(ImageRefused) as caught:
            record.photos[0].read()
    return str(caught.value)


def test_a_table_names_photos_by_path_or_unique_name(tmp_path: Path) -> None:
    entries = {"shop/a/front.jpg": b"1", "shop/b/front.jpg": b"2", "shop/b/back.jpg": b"3"}
    with closing(ArchiveSource(pack(tmp_path / "shop.zip", entries))) as source:
        names = ["a/front.jpg", "shop/b/front.jpg", "./b/back.jpg", "back.jpg"]
        assert [source.photo(name).read() for name in names] == [b"1", b"2", b"3", b"3"]
        for name in ("front.jpg", "gone.jpg", "../shop/a/front.jpg"):
            with pytest.raises(ImageRefused, match="no photo of this name"):
                source.photo(name).read()


def test_photos_are_sorted_by_name(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "x.zip", {"hats/b.jpg": b"b", "hats/a.jpg": b"a", "__MACOSX/hats/._a.jpg": b"", "c.jpg": b"c"}
    )
    assert read(path) == {"c.jpg": b"c", "hats/a.jpg": b"a", "hats/b.jpg": b"b"}


def test_a_folder_named_like_the_archive_is_ignored(tmp_path: Path) -> None:
    assert read(pack(tmp_path / "shop.zip", {"shop/hats/a.jpg": b"a", "shop/b.jpg": b"b"})) == {
        "b.jpg": b"b",
        "hats/a.jpg": b"a",
    }


def test_a_folder_of_another_name_is_a_category(tmp_path: Path) -> None:
    assert list(read(pack(tmp_path / "shop.zip", {"hats/a.jpg": b"a"}))) == ["hats/a.jpg"]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "hats/../../a.jpg", "/etc/a.jpg", "C:/a.jpg", "c:a.jpg", "hats\\a.jpg", "..\\a.jpg", "."]
)
def test_an_entry_outside_of_the_folder_refuses_the_archive(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "x.zip", {"good.jpg": b"a", name: b"b"})
    with pytest.raises(SourceRefused, match="nothing was imported"):
        ArchiveSource(path)


def test_a_name_with_a_nul_refuses_the_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg_b.jpg": b"a"})
    path.write_bytes(path.read_bytes().replace(b"a.jpg_b.jpg", b"a.jpg\0b.jpg"))
    with pytest.raises(SourceRefused, match="nothing was imported"):
        ArchiveSource(path)


def test_a_symbolic_link_refuses_the_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.jpg")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceRefused, match="symbolic link"):
        ArchiveSource(tmp_path / "x.zip")


def test_an_archive_that_expands_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": b"x" * 600, "b.jpg": b"y" * 600})
    with pytest.raises(SourceRefused, match=r"expands to 1,200 bytes; the limit is 1,000.*--max-expanded"):
        ArchiveSource(path, max_expanded=1_000)


def test_a_file_that_is_not_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\3\4 cut off")
    with pytest.raises(SourceRefused, match="cannot be opened as a zip"):
        ArchiveSource(tmp_path / "x.zip")


def test_an_entry_that_expands_two_hundredfold_is_refused_unread(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": bytes(1_000_000)}, zipfile.ZIP_DEFLATED)
    assert "more than 200 times" in sentence(path)


def test_an_entry_above_the_sites_limit_is_refused(tmp_path: Path, settings: object) -> None:
    settings.IMAGE_MAX_BYTES = 1_000  # type: ignore[attr-defined]
    assert "MB" in sentence(pack(tmp_path / "x.zip", {"a.jpg": bytes(range(256)) * 5}))


def test_an_entry_whose_header_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8
    path = pack(tmp_path / "x.zip", {"a.jpg": data})
    size, lie = len(data).to_bytes(4, "little"), (100).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size + size, size + lie))  # the unpacked size follows the packed one
    assert "cannot be unpacked" in sentence(path)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": b"abc"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "without a password" in sentence(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_entry_that_is_packed_in_an_unusual_way_is_refused_unread(tmp_path: Path, method: int) -> None:
    assert "packed in an unusual way" in sentence(pack(tmp_path / "x.zip", {"a.jpg": b"a"}, method))


def test_a_photo_in_too_many_folders_is_rejected(tmp_path: Path) -> None:
    with closing(ArchiveSource(pack(tmp_path / "x.zip", {"d/" * 60 + "a.jpg": b"a"}))) as source:
        (reject,) = source
    assert isinstance(reject, Reject)
    assert "more than 20 folders" in reject.reason


def test_a_damaged_entry_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.jpg": b"first", "b.jpg": b"second"})
    path.write_bytes(path.read_bytes().replace(b"first", b"fIrst"))
    with closing(ArchiveSource(path)) as source:
        first, second = (r.photos[0] for r in source if isinstance(r, ProductRecord) and r.photos)
        with pytest.raises(ImageRefused, match="cannot be unpacked"):
            first.read()
        assert second.read() == b"second"
