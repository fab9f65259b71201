"""Make a model package of a network of Keras Applications.

    python -m endpoint.export --architecture resnet50 --weights imagenet --output models/resnet50

writes models/resnet50/model.tar.gz: for `endpoint.deploy`, for `endpoint.server`, and for the site itself.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from endpoint import startup
from endpoint.architectures import ARCHITECTURES
from modelarchive import archive
from modelarchive.manifest import Manifest
from modelarchive.pooling import Pooling

if TYPE_CHECKING:
    import keras

SEED = 0
DOWNLOAD_TIMEOUT = 30.0
"""Seconds without data after which a download is abandoned; Keras itself waits for ever."""

_LIBRARIES = ("tensorflow-cpu", "tensorflow", "keras", "numpy")


class ExportError(Exception):
    """A package cannot be made; a sentence that says what to do."""


def backbone(architecture: str, weights: str, seed: int = SEED, size: int | None = None) -> keras.Model:
    """A network without its top: weights are "imagenet", "none" (random, from the seed), or a file.

    size: side of its input in pixels, where not its own. Raises ExportError.
    """
    import keras

    known = ARCHITECTURES[architecture]
    if weights not in {"none", "imagenet"} and not Path(weights).is_file():
        raise ExportError(f"There is no file {weights}. Weights are imagenet, none, or a file that Keras has saved.")
    try:
        if weights == "none":
            keras.utils.set_random_seed(seed)
            return known.backbone(None, size)
        if weights == "imagenet":
            with _default_timeout(DOWNLOAD_TIMEOUT):
                return known.backbone(weights, size)
        # Built before the file is read, so that later errors are the file's.
        model = known.backbone(None, size)
    except Exception as error:
        if weights != "imagenet" or isinstance(error, ValueError):
            raise ExportError(f"Keras cannot make this {architecture}: {_first_line(error)}") from error
        raise ExportError(
            "Keras could not download the ImageNet weights. Where there is no internet, fetch the file without the "
            f"top elsewhere and give its path as --weights, or take --weights none. ({_first_line(error)})"
        ) from error
    try:
        model.load_weights(weights)
    except Exception as error:
        raise ExportError(
            f"{weights} has no weights of {architecture} without its top. Give a .weights.h5 that Keras has saved of "
            f"this network. ({_first_line(error)})"
        ) from error
    return model


def check_output(output: Path) -> None:
    """Make the output folder and check that it is writable, before the work. Raises ExportError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise _unwritable(output, error) from error


def write(
    model: keras.Model,
    architecture: str,
    pooling: Pooling,
    output: Path,
    figures: dict[str, float] | None = None,
) -> Path:
    """Write a network as `output`/model.tar.gz, whole or not at all, and return that path.

    The same weights give the same bytes in processes that do nothing else (TensorFlow numbers its functions as they
    come), with the same libraries and figures. Raises ExportError.
    """
    check_output(output)
    try:
        with tempfile.TemporaryDirectory(prefix="model-") as scratch:
            save(model, architecture, pooling, Path(scratch), figures)
            archive.pack(Path(scratch), output / archive.NAME)
    except OSError as error:
        raise _unwritable(output, error) from error
    return output / archive.NAME


def save(
    model: keras.Model, architecture: str, pooling: Pooling, folder: Path, figures: dict[str, float] | None = None
) -> None:
    """Write the files of a package into an empty folder."""
    manifest = Manifest(
        architecture=architecture,
        weights=digest(model),
        pooling=pooling,
        size=int(model.input_shape[1]),
        dimensions=int(model.output_shape[-1]),
        libraries=_libraries(),
        figures=figures or {},
    )
    archive.write_code(folder, manifest)
    _save_graph(model, architecture, pooling, folder)


def digest(model: keras.Model) -> str:
    """SHA-256 of all weights in their order: shapes and little-endian float32 values."""
    whole = hashlib.sha256()
    for values in model.get_weights():
        whole.update(repr(values.shape).encode())
        whole.update(values.astype("<f4").tobytes())
    return whole.hexdigest()


def summary(path: Path) -> str:
    """One line that describes the package that was written."""
    manifest = archive.read_manifest(path)
    return (
        f"{path} ({path.stat().st_size / 1e6:.0f} MB): {manifest.fingerprint}, "
        f"{manifest.size} x {manifest.size} pixels -> {manifest.dimensions:,} dimensions"
    )


def _save_graph(model: keras.Model, architecture: str, pooling: Pooling, folder: Path) -> None:
    import tensorflow as tf
    from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2

    from endpoint import graph

    target = folder / archive.VERSION
    saved = graph.Graph(model, ARCHITECTURES[architecture], pooling)
    # Without gradients, which serving does not need: to trace them takes as long as all the rest.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(saved, str(target), signatures=saved.signatures, options=options)
    whole = saved_model_pb2.SavedModel.FromString((target / "saved_model.pb").read_bytes())
    signatures = whole.meta_graphs[0].signature_def
    signatures[graph.SERVING].CopyFrom(signatures[graph.PIXELS])
    del signatures[graph.PIXELS]
    (folder / archive.PIXELS).write_bytes(whole.SerializeToString(deterministic=True))
    # A random number in it would make every archive different; its checksums name the model already.
    printed = target / "fingerprint.pb"
    named = fingerprint_pb2.FingerprintDef.FromString(printed.read_bytes())
    named.uuid = str(named.saved_model_checksum)
    printed.write_bytes(named.SerializeToString(deterministic=True))


def _libraries() -> dict[str, str]:
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


@contextmanager
def _default_timeout(seconds: float) -> Iterator[None]:
    """Set the default time-out of connections."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unwritable(output: Path, error: OSError) -> ExportError:
    reason = error.strerror or str(error)
    return ExportError(f"The package cannot be written to {output} ({reason}). Give another folder as --output.")


def _first_line(error: BaseException, most: int = 300) -> str:
    """Keras's messages may be pages long."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first if len(first) <= most else f"{first[:most]} ..."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m endpoint.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_network(parser)
    parser.add_argument("--seed", type=int, default=SEED, help=f"of random weights ({SEED})")
    options = parser.parse_args(arguments)
    try:
        check_output(options.output)
        startup.start()
        print(f"Building {options.architecture} ...", flush=True)
        model = backbone(options.architecture, options.weights, options.seed)
        print("Saving it, and packing what was saved ...", flush=True)
        print(summary(write(model, options.architecture, options.pooling, options.output)))
    except ExportError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. No package was written.", file=sys.stderr)
        return 130
    return 0


def add_network(parser: argparse.ArgumentParser) -> None:
    """The arguments that exporting and fine-tuning share: which network, and where its package goes."""
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        default="resnet50",
        metavar="NAME",
        help=f"one of {', '.join(ARCHITECTURES)} (resnet50)",
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|none|FILE",
        help="imagenet: Keras downloads them (the default); none: random, for trying things out; or a .weights.h5 "
        "that Keras has saved of the network without its top",
    )
    parser.add_argument(
        "--pooling",
        choices=get_args(Pooling),
        default="mean",
        help="of the last feature map: the plain mean (the default), or gem, a centre-weighted generalised mean that "
        "mostly finds better",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help=f"the folder that {archive.NAME} is written to"
    )


if __name__ == "__main__":
    sys.exit(main())
