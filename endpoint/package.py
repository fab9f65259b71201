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

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from endpoint.manifest import Manifest, ManifestError

if TYPE_CHECKING:
    import openvino as ov

VERSION = "1"
MANIFEST = "code/manifest.json"
PIXELS = "code/pixels.pb"

_MOST_BYTES = 2_000_000_000
"""What a package may come to when unpacked; the largest of `architectures` has 100 MB."""


class PackageError(Exception):
    """A file or folder that is no model package; a sentence that says what to do."""


@dataclass(frozen=True)
class Package:
    """An unpacked package."""

    folder: Path
    manifest: Manifest

    @property
    def saved_model(self) -> Path:
        """The folder of the SavedModel, with both signatures."""
        return self.folder / VERSION

    def graph(self) -> ov.Model:
        """The model for OpenVINO: uint8 (n, size, size, 3) -> float32 (n, dimensions), not of unit length.

        The package's files may go afterwards. Raises PackageError.
        """
        from openvino import Core

        with tempfile.TemporaryDirectory() as scratch:
            beside = Path(scratch)
            (beside / "saved_model.pb").symlink_to((self.folder / PIXELS).resolve())
            (beside / "variables").symlink_to((self.saved_model / "variables").resolve())
            try:
                # Without mmap: on some systems a mapped file cannot be removed, and it would be slower to load.
                return Core().read_model(beside)
            except RuntimeError as error:
                raise PackageError(f"OpenVINO cannot read the model in {self.folder}: {error}") from error


def read_manifest(path: Path) -> Manifest:
    """The manifest of a package, packed or not, without unpacking the rest. Raises PackageError."""
    if path.is_dir():
        return _manifest_in(path)
    with _opened(path) as archive:
        for member in archive:  # it is among the first
            if member.name == MANIFEST and (file := archive.extractfile(member)):
                return _manifest(file.read(), path)
    raise PackageError(f"{path} has no {MANIFEST}: make a package with “python -m endpoint.export”.")


@contextmanager
def opened(path: Path) -> Iterator[Package]:
    """A package, packed or not (SageMaker unpacks it for containers); what is unpacked is removed in the end.

    Raises PackageError.
    """
    if path.is_dir():
        yield Package(path, _manifest_in(path))
        return
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        folder = Path(scratch)
        with _opened(path) as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > _MOST_BYTES:
                raise PackageError(f"{path} unpacks to more than {_MOST_BYTES:,} bytes: it is no package made here.")
            archive.extractall(folder, members, filter="data")
        yield Package(folder, _manifest_in(folder))


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            yield archive
    except FileNotFoundError as error:
        raise PackageError(f"There is no model package {path}: make one with “python -m endpoint.export”.") from error
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PackageError(f"{path} cannot be read as a model package (a model.tar.gz): {error}.") from error


def _manifest_in(folder: Path) -> Manifest:
    try:
        return _manifest((folder / MANIFEST).read_bytes(), folder)
    except OSError as error:
        raise PackageError(f"{folder} has no {MANIFEST}: make a package with “python -m endpoint.export”.") from error


def _manifest(data: bytes, where: Path) -> Manifest:
    try:
        return Manifest.from_json(data)
    except ManifestError as error:
        raise PackageError(f"{where}: {error}") from error
