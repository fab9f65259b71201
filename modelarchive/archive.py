"""A model package, `model.tar.gz`, as SageMaker's TensorFlow Serving container takes it.

    1/saved_model.pb, 1/variables/   the SavedModel, in a folder named by its version
    code/inference.py                what the container's Python service calls before and after the model
    code/requirements.txt            what that needs beside the container's own packages: nothing
    code/manifest.json               what the model is
    code/pixels.pb                   the SavedModel's graph with the signature `pixels` as its only one

TensorFlow is not needed here. OpenVINO reads only the default signature of a SavedModel and cannot decode images, so
it is given `pixels.pb` with the same variables.
"""

from __future__ import annotations

import gzip
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelarchive import inference
from modelarchive.manifest import Manifest, ManifestError

if TYPE_CHECKING:
    import openvino as ov

NAME = "model.tar.gz"
VERSION = "1"
MANIFEST = "code/manifest.json"
PIXELS = "code/pixels.pb"

_MAX_BYTES = 2_000_000_000
"""Of an unpacked package; the largest of `endpoint.architectures` has 100 MB."""

_MAX_MEMBERS = 1_000
"""Files and folders; a package made here has eight files."""

_MAX_READ = 4_000_000
"""Bytes that one read from an archive may ask for. `tarfile` reads a header's extra records whole, whatever length
they claim; a manifest is read whole as well."""


class ArchiveError(Exception):
    """A file or folder is not a model package; a sentence that says what to do."""


@dataclass(frozen=True)
class ModelArchive:
    """An unpacked package."""

    folder: Path
    manifest: Manifest

    @property
    def saved_model(self) -> Path:
        """The folder of the SavedModel, with both signatures."""
        return self.folder / VERSION

    def graph(self) -> ov.Model:
        """The model for OpenVINO: uint8 (n, size, size, 3) -> float32 (n, dimensions), not of unit length.

        The package's files may be deleted afterwards. Raises ArchiveError.
        """
        from openvino import Core

        with tempfile.TemporaryDirectory() as scratch:
            links = Path(scratch)
            (links / "saved_model.pb").symlink_to((self.folder / PIXELS).resolve())
            (links / "variables").symlink_to((self.saved_model / "variables").resolve())
            try:
                # OpenVINO copies the variables and keeps no file mapped.
                return Core().read_model(links)
            except RuntimeError as error:
                raise ArchiveError(f"OpenVINO cannot read the model in {self.folder}: {error}") from error


# Reading --------------------------------------------------------------------------------------------------


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a package, packed or not, without unpacking the rest. Raises ArchiveError."""
    if path.is_dir():
        return _manifest_in(path)
    with _open(path) as archive:
        for member in _members(archive, path):  # the manifest is among the first
            if member.name == MANIFEST and (file := archive.extractfile(member)):
                return _manifest(file.read(_MAX_READ), path)
    raise ArchiveError(_missing(path, MANIFEST))


@contextmanager
def unpacked(path: Path) -> Iterator[ModelArchive]:
    """Unpack a package for the time of the block; a folder is used as it is (SageMaker unpacks for containers).

    Raises ArchiveError.
    """
    if path.is_dir():
        yield _checked(path)
        return
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        folder = Path(scratch)
        with _open(path, check_end=True) as archive:
            names: set[str] = set()
            for member in _members(archive, path):
                if member.name in names:
                    raise ArchiveError(f"{path} has {member.name} twice: it is no package made here.")
                names.add(member.name)
                _unpack(archive, member, folder)
        try:
            package = _checked(folder)
        except ArchiveError as error:  # name the file that the reader knows, not the temporary folder
            raise ArchiveError(str(error).replace(str(folder), str(path))) from error
        yield package


@contextmanager
def _open(path: Path, *, check_end: bool = False) -> Iterator[tarfile.TarFile]:
    """Open an archive; `check_end` also reads its end, where the checksum is. Raises ArchiveError."""
    try:
        with _BoundedGzip(path) as unzipped:
            with tarfile.open(fileobj=unzipped, mode="r:") as archive:
                yield archive
            if check_end and len(unzipped.read(_MAX_READ)) == _MAX_READ:
                raise tarfile.ReadError("data follow its end")
    except FileNotFoundError as error:
        raise ArchiveError(f"There is no model package {path}: make one with “python -m endpoint.export”.") from error
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ArchiveError(f"{path} cannot be read as a model package (a {NAME}): {error}.") from error


class _BoundedGzip(gzip.GzipFile):
    """A gzip file that refuses reads larger than any that a package made here needs."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError("one of its headers asks for too many bytes")
        return super().read(size)


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Files and folders, each checked before the next is read: it takes hours to read through a gzip bomb."""
    total = 0
    for count, member in enumerate(archive, 1):
        total += member.size
        if total > _MAX_BYTES or count > _MAX_MEMBERS:
            raise ArchiveError(
                f"{path} unpacks to more than {_MAX_BYTES:,} bytes or {_MAX_MEMBERS:,} files: "
                "it is no package made here."
            )
        if not (member.isfile() or member.isdir()) or member.issparse():
            raise ArchiveError(f"{path} has {member.name}, which is no plain file: it is no package made here.")
        # “tar czf model.tar.gz .” puts ./ before each name.
        member.name = posixpath.normpath(member.name)
        if member.name.startswith(("/", "..")):
            raise ArchiveError(f"{path} has {member.name}, which leads out of it: it is no package made here.")
        yield member


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one of `_members`; `tarfile` itself has extraction filters only since Python 3.11.4."""
    target = folder / member.name
    content = archive.extractfile(member)
    if content is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)


def _checked(folder: Path) -> ModelArchive:
    manifest = _manifest_in(folder)
    for name in (f"{VERSION}/saved_model.pb", f"{VERSION}/variables/variables.index", PIXELS):
        if not (folder / name).is_file():
            raise ArchiveError(_missing(folder, name))
    return ModelArchive(folder, manifest)


def _missing(where: Path, name: str) -> str:
    return f"{where} has no {name}: make a package with “python -m endpoint.export”."


def _manifest_in(folder: Path) -> Manifest:
    try:
        with (folder / MANIFEST).open("rb") as file:
            return _manifest(file.read(_MAX_READ), folder)
    except OSError as error:
        raise ArchiveError(_missing(folder, MANIFEST)) from error


def _manifest(data: bytes, where: Path) -> Manifest:
    try:
        return Manifest.from_json(data)
    except ManifestError as error:
        raise ArchiveError(f"{where}: {error}") from error


# Writing --------------------------------------------------------------------------------------------------


def write_code(folder: Path, manifest: Manifest) -> None:
    """Write code/ of a package that is being made, without `pixels.pb`."""
    code = folder / "code"
    code.mkdir()
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    (code / "inference.py").write_bytes(Path(inference.__file__).read_bytes())
    (code / "requirements.txt").write_text("# Nothing beside what the container has.\n", encoding="utf-8")


def pack(folder: Path, path: Path) -> None:
    """Pack a folder as `path`, completely or not at all. Raises OSError.

    The same content gives the same bytes: sorted (code/ before the weights), without times and owners.
    """
    files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda f: (f.parts[-2] != "code", f))
    partial = path.with_name(f".{path.name}.partial")
    try:
        # Level 1: weights hardly shrink, whatever the effort.
        with (
            partial.open("wb") as raw,
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for file in files:
                member = tarfile.TarInfo(file.relative_to(folder).as_posix())
                member.size, member.mode = file.stat().st_size, 0o644
                with file.open("rb") as content:
                    archive.addfile(member, content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
