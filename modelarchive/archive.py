"""A model package, `model.tar.gz`, as SageMaker's TensorFlow Serving container takes it.

    1/saved_model.pb, 1/variables/   the SavedModel, in a folder whose name is its version
    code/inference.py                what the container's Python service calls before and after the model
    code/requirements.txt            what that needs beside the container's own packages: nothing
    code/manifest.json               what the model is
    code/pixels.pb                   the SavedModel's graph with the signature `pixels` as its only one

Here it is opened without TensorFlow. OpenVINO reads a SavedModel's default signature and no other, and cannot decode
images; so it is given `pixels.pb` beside the same variables.
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

from modelarchive.manifest import Manifest, ManifestError

if TYPE_CHECKING:
    import openvino as ov

VERSION = "1"
MANIFEST = "code/manifest.json"
PIXELS = "code/pixels.pb"

_MOST_BYTES = 2_000_000_000
"""What a package may come to when unpacked; the largest of `architectures` has 100 MB."""

_MOST_MEMBERS = 1_000
"""Files and folders; a package made here has eight files."""

_MOST_AT_ONCE = 4_000_000
"""Bytes that reading an archive may ask for at once. `tarfile` reads a header's extra records whole, whatever length
they claim; a manifest is read whole as well."""


class ArchiveError(Exception):
    """A file or folder that is no model package; a sentence that says what to do."""


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

        The package's files may go afterwards. Raises ArchiveError.
        """
        from openvino import Core

        with tempfile.TemporaryDirectory() as scratch:
            beside = Path(scratch)
            (beside / "saved_model.pb").symlink_to((self.folder / PIXELS).resolve())
            (beside / "variables").symlink_to((self.saved_model / "variables").resolve())
            try:
                # It copies the variables: nothing of the files stays mapped.
                return Core().read_model(beside)
            except RuntimeError as error:
                raise ArchiveError(f"OpenVINO cannot read the model in {self.folder}: {error}") from error


def read_manifest(path: Path) -> Manifest:
    """The manifest of a package, packed or not, without unpacking the rest. Raises ArchiveError."""
    if path.is_dir():
        return _manifest_in(path)
    with _opened(path) as archive:
        for member in _members(archive, path):  # it is among the first
            if member.name == MANIFEST and (file := archive.extractfile(member)):
                return _manifest(file.read(_MOST_AT_ONCE), path)
    raise ArchiveError(_without(path, MANIFEST))


@contextmanager
def unpacked(path: Path) -> Iterator[ModelArchive]:
    """A package, packed or not (SageMaker unpacks it for containers); what is unpacked is removed in the end.

    Raises ArchiveError.
    """
    if path.is_dir():
        yield _checked(path)
        return
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        folder = Path(scratch)
        with _opened(path, whole=True) as archive:
            names: set[str] = set()
            for member in _members(archive, path):
                if member.name in names:
                    raise ArchiveError(f"{path} has {member.name} twice: it is no package made here.")
                names.add(member.name)
                _unpack(archive, member, folder)
        try:
            package = _checked(folder)
        except ArchiveError as error:  # it speaks of a folder that nobody knows
            raise ArchiveError(str(error).replace(str(folder), str(path))) from error
        yield package


@contextmanager
def _opened(path: Path, *, whole: bool = False) -> Iterator[tarfile.TarFile]:
    """An archive; `whole` says that it is gone through, and that its end is to be looked at. Raises ArchiveError."""
    try:
        with _Unzipped(path) as unzipped:
            with tarfile.open(fileobj=unzipped, mode="r:") as archive:
                yield archive
            if whole and len(unzipped.read(_MOST_AT_ONCE)) == _MOST_AT_ONCE:  # its checksum stands at the very end
                raise tarfile.ReadError("it goes on after its end")
    except FileNotFoundError as error:
        raise ArchiveError(f"There is no model package {path}: make one with “python -m endpoint.export”.") from error
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ArchiveError(f"{path} cannot be read as a model package (a model.tar.gz): {error}.") from error


class _Unzipped(gzip.GzipFile):
    """A gzip file that gives no more at once than a package made here ever asks for."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_AT_ONCE:
            raise tarfile.ReadError("a header in it asks for more bytes than any has")
        return super().read(size)


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Files and folders, each looked at before the next is come to: a gzip of nothing takes hours to go through."""
    total = 0
    for count, member in enumerate(archive, 1):
        total += member.size
        if total > _MOST_BYTES or count > _MOST_MEMBERS:
            raise ArchiveError(
                f"{path} unpacks to more than {_MOST_BYTES:,} bytes or {_MOST_MEMBERS:,} files: "
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
    """Write one of `_members`; by hand, for `tarfile` has the filters of extraction from Python 3.11.4 on only."""
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
            raise ArchiveError(_without(folder, name))
    return ModelArchive(folder, manifest)


def _without(where: Path, name: str) -> str:
    return f"{where} has no {name}: make a package with “python -m endpoint.export”."


def _manifest_in(folder: Path) -> Manifest:
    try:
        with (folder / MANIFEST).open("rb") as file:
            return _manifest(file.read(_MOST_AT_ONCE), folder)
    except OSError as error:
        raise ArchiveError(_without(folder, MANIFEST)) from error


def _manifest(data: bytes, where: Path) -> Manifest:
    try:
        return Manifest.from_json(data)
    except ManifestError as error:
        raise ArchiveError(f"{where}: {error}") from error
