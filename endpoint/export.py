"""Make a model package of a network of Keras Applications.

    python -m endpoint.export --architecture resnet50 --weights imagenet|none|FILE --output DIR

writes DIR/model.tar.gz: for `endpoint.deploy`, for `endpoint.server`, and for the site itself (EMBEDDER_PACKAGE).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.metadata
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, get_args

from endpoint.architectures import ARCHITECTURES
from endpoint.manifest import Manifest
from endpoint.package import MANIFEST, PIXELS, VERSION
from endpoint.pooling import Pooling

if TYPE_CHECKING:
    import keras

SEED = 0
NAME = "model.tar.gz"
_LIBRARIES = ("tensorflow-cpu", "tensorflow", "keras", "numpy")


class ExportError(Exception):
    """A package cannot be made; a sentence that says what to do."""


def backbone(architecture: str, weights: str, seed: int = SEED) -> keras.Model:
    """A network without its top: weights are "imagenet", "none" (random, from the seed), or a file.

    Raises ExportError.
    """
    import keras

    known = ARCHITECTURES[architecture]
    if weights == "none":
        keras.utils.set_random_seed(seed)
        return known.backbone(None)
    if weights != "imagenet" and not Path(weights).is_file():
        raise ExportError(f"There is no file {weights}. Weights are imagenet, none, or a file that Keras has saved.")
    try:
        return known.backbone(weights)
    except Exception as error:
        if weights == "imagenet":
            raise ExportError(
                "Keras could not download the ImageNet weights. Where there is no internet, fetch the file without the "
                f"top elsewhere and give its path as --weights, or take --weights none. ({error})"
            ) from error
        raise ExportError(f"{weights} has no weights of {architecture} without its top: {error}") from error


def write(
    model: keras.Model,
    architecture: str,
    pooling: Pooling,
    output: Path,
    figures: dict[str, float] | None = None,
) -> Path:
    """Write a network as `output`/model.tar.gz, whole or not at all, and return that path."""
    manifest = Manifest(
        architecture=architecture,
        weights=digest(model),
        pooling=pooling,
        size=ARCHITECTURES[architecture].size,
        dimensions=int(model.output_shape[-1]),
        libraries=_libraries(),
        figures=figures or {},
    )
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        code = folder / "code"
        code.mkdir()
        _save(model, architecture, pooling, folder)
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        inference = Path(__file__).with_name("inference.py")
        (code / "inference.py").write_bytes(inference.read_bytes())
        (code / "requirements.txt").write_text("# Nothing beside what the container has.\n", encoding="utf-8")
        return _pack(folder, output / NAME)


def digest(model: keras.Model) -> str:
    """SHA-256 of all weights in their order: shapes and little-endian float32 values."""
    whole = hashlib.sha256()
    for values in model.get_weights():
        whole.update(repr(values.shape).encode())
        whole.update(values.astype("<f4").tobytes())
    return whole.hexdigest()


def _save(model: keras.Model, architecture: str, pooling: Pooling, folder: Path) -> None:
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    from endpoint import graph

    target = folder / VERSION
    saved = graph.Graph(model, ARCHITECTURES[architecture], pooling)
    tf.saved_model.save(saved, str(target), signatures=saved.signatures)
    whole = saved_model_pb2.SavedModel.FromString((target / "saved_model.pb").read_bytes())
    signatures = whole.meta_graphs[0].signature_def
    signatures[graph.SERVING].CopyFrom(signatures[graph.PIXELS])
    del signatures[graph.PIXELS]
    (folder / PIXELS).write_bytes(whole.SerializeToString())


def _pack(folder: Path, path: Path) -> Path:
    """The same content gives the same archive: sorted (code/ before the weights), without times and owners."""
    files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda f: (f.parts[-2] != "code", f))
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as raw, _gzip(raw) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for file in files:
                member = tarfile.TarInfo(file.relative_to(folder).as_posix())
                member.size, member.mode = file.stat().st_size, 0o644
                with file.open("rb") as content:
                    archive.addfile(member, content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _gzip(raw: BinaryIO) -> io.BufferedIOBase:
    # Level 1: weights hardly shrink, whatever the effort.
    return gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0, filename="")


def _libraries() -> dict[str, str]:
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m endpoint.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="resnet50")
    parser.add_argument("--weights", default="imagenet", help="imagenet (downloaded), none (random), or a file")
    parser.add_argument("--pooling", choices=get_args(Pooling), default="mean", help="of the last feature map (mean)")
    parser.add_argument("--seed", type=int, default=SEED, help="of random weights (0)")
    parser.add_argument("--output", type=Path, required=True, help="the folder that model.tar.gz is written to")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        model = backbone(options.architecture, options.weights, options.seed)
        path = write(model, options.architecture, options.pooling, options.output)
    except (ExportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    from endpoint.package import read_manifest

    print(f"{path}: {read_manifest(path).fingerprint}, {path.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
