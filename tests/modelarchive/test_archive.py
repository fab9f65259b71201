"""Packages as SageMaker's container finds them, and archives that are none."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelarchive import archive
from modelarchive.archive import ArchiveError
from modelarchive.manifest import Manifest

MANIFEST = Manifest("resnet50", 64 * "a", "mean", 224, 2048)
FILES = {
    "code/manifest.json": MANIFEST.to_json().encode(),
    "code/pixels.pb": b"graph",
    "1/saved_model.pb": b"graph",
    "1/variables/variables.index": b"index",
}


def write_archive(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
        for member in others:
            packed.addfile(member)
    return path


def refusal(path: Path) -> str:
    """What opening says; reading the manifest alone may stop before it."""
    with pytest.raises(ArchiveError) as refused, archive.unpacked(path):
        pytest.fail("it was opened")
    return str(refused.value)


# What the container does ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unpacked(model_package: Path) -> Iterator[Path]:
    with archive.unpacked(model_package) as opened:
        yield opened.folder


def models_of(root: Path) -> dict[str, tuple[str, list[str]]]:
    """Name -> (base path, versions) of the models that SageMaker's TensorFlow Serving container serves.

    Its search, from how `find_models` and `find_model_versions` of its tfs_utils.py behave: any saved_model.pb under
    /opt/ml/model, at whatever depth, whose folder's name is a number makes the folder above that a model.
    """
    found = {}
    for file in root.rglob("saved_model.pb"):
        place = Path("/opt/ml/model") / file.relative_to(root)
        if len(str(place).split("/")) >= 6 and re.fullmatch(r"\d+", place.parts[-2]):
            base = place.parent.parent
            siblings = (root / base.relative_to("/opt/ml/model")).iterdir()
            found[base.name] = (str(base), [folder.name for folder in siblings if folder.name.isnumeric()])
    return found


def test_the_container_finds_one_model_of_one_version(unpacked: Path) -> None:
    assert models_of(unpacked) == {"model": ("/opt/ml/model", ["1"])}


def test_the_container_finds_its_code_and_nothing_to_install(unpacked: Path) -> None:
    code = unpacked / "code"
    assert (code / "inference.py").is_file()
    assert not (code / "lib").exists()
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--no-index"]
    done = subprocess.run(  # noqa: S603
        [*command, "-r", str(code / "requirements.txt")], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


def test_an_archive_holds_these_files_in_this_order_and_names_nobody(
    model_package: Path,
) -> None:
    with tarfile.open(model_package) as packed:
        members = packed.getmembers()
    assert [member.name for member in members] == [
        "code/inference.py",
        "code/manifest.json",
        "code/pixels.pb",
        "code/requirements.txt",
        "1/fingerprint.pb",
        "1/saved_model.pb",
        "1/variables/variables.data-00000-of-00001",
        "1/variables/variables.index",
    ]
    assert {(m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0o644, 0, 0, 0, "", "")}


# Opening -------------------------------------------------------------------------------------------


def test_packed_and_unpacked_packages_have_the_same_manifest(model_package: Path, unpacked: Path) -> None:
    assert archive.read_manifest(model_package) == archive.read_manifest(unpacked)
    with archive.unpacked(unpacked) as opened:
        assert opened.folder == unpacked
        assert opened.saved_model == unpacked / "1"
    assert unpacked.is_dir(), "only what was unpacked here is removed"


def test_unpacked_files_are_removed(tmp_path: Path) -> None:
    with archive.unpacked(write_archive(tmp_path / "model.tar.gz", FILES)) as opened:
        folder = opened.folder
        assert (folder / "1" / "saved_model.pb").read_bytes() == b"graph"
    assert not folder.exists()


def test_a_package_packed_with_tar_is_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(folder, ".")
    assert archive.read_manifest(path) == MANIFEST
    with archive.unpacked(path) as opened:
        assert (opened.saved_model / "saved_model.pb").is_file()


def test_reading_the_manifest_does_not_unpack_the_weights(model_package: Path, tmp_path: Path) -> None:
    beginning = tmp_path / "model.tar.gz"
    beginning.write_bytes(model_package.read_bytes()[:100_000])
    assert archive.read_manifest(beginning) == archive.read_manifest(model_package)
    assert "cannot be read" in refusal(beginning)


def test_a_graph_that_openvino_cannot_read_is_refused(tmp_path: Path) -> None:
    with (
        archive.unpacked(write_archive(tmp_path / "model.tar.gz", FILES)) as opened,
        pytest.raises(ArchiveError, match="OpenVINO cannot read"),
    ):
        opened.graph()


# What is no package --------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "There is no model package" in refusal(tmp_path / "model.tar.gz")
    with pytest.raises(ArchiveError, match="There is no model package"):
        archive.read_manifest(tmp_path / "model.tar.gz")


def test_another_folder_is_refused(tmp_path: Path) -> None:
    assert "has no code/manifest.json" in refusal(tmp_path)


@pytest.mark.parametrize("missing", FILES)
def test_an_incomplete_archive_names_the_missing_file(tmp_path: Path, missing: str) -> None:
    path = write_archive(tmp_path / "model.tar.gz", {name: data for name, data in FILES.items() if name != missing})
    assert f"{path} has no {missing}" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"\x1f\x8b", gzip.compress(b"no tar"), gzip.compress(b"")],
    ids=["empty", "text", "two bytes", "gzip of text", "gzip of nothing"],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    assert re.search("cannot be read as a model package|has no code/manifest.json", refusal(path))


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "model.tar.gz", FILES | {"1/variables/variables.data-00000-of-00001": bytes(range(256)) * 99}
    )
    whole = path.read_bytes()
    for spoilt in (whole[:-9], whole[: len(whole) // 2], whole[:40] + b"\xff" * 40 + whole[80:]):
        path.write_bytes(spoilt)
        assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("name", ["../outside", "/outside-of-a-package", "code/../../outside"])
def test_a_path_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    assert "leads out of it" in refusal(write_archive(tmp_path / "model.tar.gz", {name: b"out"} | FILES))
    assert not (tmp_path / "outside").exists()
    assert not Path("/outside-of-a-package").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("code/inference.py")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "no plain file" in refusal(write_archive(tmp_path / "model.tar.gz", FILES, member))


def test_a_duplicate_name_is_refused(tmp_path: Path) -> None:
    again = tarfile.TarInfo("code/manifest.json")
    assert "twice" in refusal(write_archive(tmp_path / "model.tar.gz", FILES, again))


def headers(path: Path, *members: tarfile.TarInfo, then: int = 0) -> Path:
    """An archive whose headers promise what need not follow; `then` so many zeros do."""
    with gzip.open(path, "wb", compresslevel=1) as packed:
        for member in members:
            packed.write(member.tobuf(tarfile.GNU_FORMAT))
        packed.write(bytes(then))
    return path


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("1/variables/variables.data-00000-of-00001")
    huge.size = 10**13
    path = headers(tmp_path / "model.tar.gz", huge, then=1000)
    for read in (refusal, manifest_refusal):
        assert "unpacks to more than" in read(path)


def test_many_empty_files_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.tar.gz", {f"code/{number}": b"" for number in range(1_100)})
    assert "1,000 files" in refusal(path)
    assert "1,000 files" in manifest_refusal(path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_with_an_endless_record_is_refused(tmp_path: Path, kind: bytes) -> None:
    record = tarfile.TarInfo("name")
    record.type, record.size = kind, 10**12
    path = headers(tmp_path / "model.tar.gz", record, then=20_000_000)
    assert "cannot be read" in refusal(path)
    assert "cannot be read" in manifest_refusal(path)


def manifest_refusal(path: Path) -> str:
    with pytest.raises(ArchiveError) as refused:
        archive.read_manifest(path)
    return str(refused.value)


def broken(change: Callable[[dict[str, object]], object]) -> bytes:
    values = json.loads(MANIFEST.to_json())
    change(values)
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"a": ' * 100_000,
        b" " * 5_000_000 + b"{}",
        broken(lambda v: v.pop("size")),
        broken(lambda v: v.update(size="x")),
    ],
    ids=["empty", "list", "deep", "long", "incomplete", "wrong"],
)
def test_an_invalid_manifest_names_the_package(tmp_path: Path, manifest: bytes) -> None:
    path = write_archive(tmp_path / "model.tar.gz", FILES | {"code/manifest.json": manifest})
    assert str(path) in refusal(path)
    assert str(path) in manifest_refusal(path)
