"""Making packages: by hand, by the command line, and where it cannot be done."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from endpoint import export
from endpoint.export import ExportError
from modelarchive import archive
from tests.endpoint.serving import EXPORT
from tests.interpreter import python

if TYPE_CHECKING:
    import keras

SMALL = "mobilenetv2"


def environment(**more: str) -> dict[str, str]:
    """Without the developer's own proxies and exceptions from them."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | more


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "endpoint.export", *arguments, environment=environment(**more))


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A package by the command line, as `model_package` is; its path and what was written to the terminal."""
    folder = tmp_path_factory.mktemp("commanded")
    done = command(*EXPORT, "--output", str(folder))
    assert done.returncode == 0, done.stderr
    return folder / "model.tar.gz", done.stdout, done.stderr


def test_the_command_says_where_the_package_is_and_what_it_is(commanded: tuple[Path, str, str]) -> None:
    path, output, errors = commanded
    manifest = archive.read_manifest(path)
    *_progress, last = output.splitlines()
    assert str(path) in last
    assert manifest.fingerprint in last
    assert "224 x 224 pixels -> 1,280 dimensions" in last
    assert errors == "", "TensorFlow's notes are no business of the person's"


def test_two_processes_make_the_same_bytes(commanded: tuple[Path, str, str], model_package: Path) -> None:
    assert commanded[0].read_bytes() == model_package.read_bytes()


def test_the_manifest_says_what_the_package_was_made_with(model_package: Path) -> None:
    manifest = archive.read_manifest(model_package)
    assert {"keras", "numpy"} < set(manifest.libraries)
    assert {"tensorflow", "tensorflow-cpu"} & set(manifest.libraries)
    assert (manifest.architecture, manifest.size, manifest.dimensions) == (SMALL, 224, 1280)
    assert manifest.weights == export.digest(export.backbone(SMALL, "none"))


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(tiny: str) -> None:
    digests = [export.digest(export.backbone(tiny, "none", seed)) for seed in (0, 1, 0)]
    assert digests[0] == digests[2] != digests[1]


def test_the_digest_sees_a_single_weight(tiny: str) -> None:
    network = export.backbone(tiny, "none")
    before = export.digest(network)
    weights = network.get_weights()
    weights[-1].flat[-1] += 1e-6
    network.set_weights(weights)
    assert export.digest(network) != before


# Weights from a file -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny: str) -> keras.Model:
    return export.backbone(tiny, "none", seed=5)


@pytest.fixture(scope="module")
def weights(trained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "trained.weights.h5"
    with warnings.catch_warnings():
        # Keras copies its variables in a way that NumPy has another wish about.
        warnings.filterwarnings(
            "ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning
        )
        trained.save_weights(path)
    return path


def test_weights_that_keras_has_saved_come_back(trained: keras.Model, weights: Path, tiny: str) -> None:
    assert export.digest(export.backbone(tiny, str(weights))) == export.digest(trained)


@pytest.mark.parametrize("name", ["photo.jpg", "broken.weights.h5", "old.h5", "model.keras", "nothing"])
def test_another_file_is_refused(tmp_path: Path, name: str, tiny: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no weights")
    with pytest.raises(ExportError, match="has no weights of tiny"):
        export.backbone(tiny, str(path))


@pytest.mark.parametrize("name", ["absent.weights.h5", "."])
def test_a_missing_weights_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="There is no file"):
        export.backbone(SMALL, str(tmp_path / name))


@pytest.mark.parametrize("architecture", ["vgg16", "mobilenetv2"])
def test_weights_of_another_architecture_are_refused_and_nothing_is_left(
    architecture: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--architecture", architecture, "--weights", str(weights), "--output", str(tmp_path)]
    assert export.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{weights} has no weights of {architecture} without its top. Give")
    assert len(error) < 700
    assert list(tmp_path.iterdir()) == []


# Where it is written to ----------------------------------------------------------------------------


def test_an_unwritable_folder_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        assert export.main(["--architecture", SMALL, "--weights", "none", "--output", str(output)]) == 1
        written = capsys.readouterr()
        assert f"cannot be written to {output}" in written.err
        assert written.out == ""


def test_an_existing_package_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    network = export.backbone(tiny, "none")
    path = tmp_path / "model.tar.gz"
    path.write_bytes(b"the former package")

    class Full(OSError):
        pass

    def full(*_arguments: object) -> None:
        raise Full(28, "No space left on device")

    # A disk that fills up while the last bytes are written.
    monkeypatch.setattr(tarfile.TarFile, "close", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export.write(network, tiny, "gem", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.tar.gz"]
    assert path.read_bytes() == b"the former package"


# The download --------------------------------------------------------------------------------------


@contextmanager
def proxy(*, answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that gives each connection one answer, or keeps it waiting for ever; and what it was asked for."""
    asked: list[bytes] = []
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not ended.is_set():
            try:
                connection, _address = listener.accept()
            except TimeoutError:
                continue
            with closing(connection):
                connection.settimeout(60)
                asked.append(connection.recv(4096))
                if answer is None:
                    ended.wait(600)  # longer than the command may take
                else:
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            ended.set()
            thread.join()


def test_a_refused_download_ends_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with proxy(answer=b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n") as (address, asked):
        done = command(
            *("--architecture", SMALL, "--weights", "imagenet", "--output", str(output)),
            https_proxy=address,
            KERAS_HOME=str(tmp_path / "keras"),
        )
    assert done.returncode == 1
    assert "Keras could not download the ImageNet weights. Where there is no internet," in done.stderr
    assert "Traceback" not in done.stderr
    assert asked[0].startswith(b"CONNECT storage.googleapis.com:443"), "Keras's own address"
    assert "keras-applications/mobilenet_v2" in done.stderr
    assert list(output.iterdir()) == []
    assert [file for file in (tmp_path / "keras" / "models").rglob("*") if file.is_file()] == []


def test_a_stalled_download_times_out(tmp_path: Path) -> None:
    code = (
        "from endpoint import export\n"
        "export.DOWNLOAD_TIMEOUT = 0.5\n"
        f"raise SystemExit(export.main(['--architecture', {SMALL!r}, '--output', {str(tmp_path)!r}]))"
    )
    with proxy(answer=None) as (address, asked):
        done = python("-c", code, environment=environment(https_proxy=address, KERAS_HOME=str(tmp_path / "keras")))
    assert asked
    assert done.returncode == 1
    assert "Keras could not download" in done.stderr
    assert "timed out" in done.stderr


def test_the_default_time_out_is_restored() -> None:
    with export._default_timeout(1):
        assert socket.getdefaulttimeout() == 1
    assert socket.getdefaulttimeout() is None
