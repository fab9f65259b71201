from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from endpoint import engines
from endpoint.engines import Engine, EngineError
from modelarchive import archive
from modelarchive.archive import ModelArchive
from modelarchive.manifest import Manifest
from tests.endpoint.serving import ROOT, MeanColour, cosines, drawn


@pytest.fixture(scope="module")
def opened(model_package: Path) -> Iterator[ModelArchive]:
    with archive.unpacked(model_package) as unpacked:
        yield unpacked


@pytest.fixture(scope="module")
def openvino(opened: ModelArchive) -> Engine:
    return engines.load("openvino", opened)


@pytest.fixture(scope="module")
def tensorflow(opened: ModelArchive) -> Engine:
    pytest.importorskip("tensorflow")
    return engines.load("tensorflow", opened)


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.stack([np.asarray(image) for image in drawn(5)])


def test_both_engines_give_the_same_rows(openvino: Engine, tensorflow: Engine, squares: np.ndarray) -> None:
    assert tensorflow.precision == "f32"
    assert cosines(openvino.embed(squares), tensorflow.embed(squares)).min() >= 0.999


def test_openvino_in_full_precision_agrees_with_tensorflow(
    opened: ModelArchive, tensorflow: Engine, squares: np.ndarray
) -> None:
    exact = engines.load("openvino", opened, "f32", threads=1)
    assert exact.precision == "f32"
    assert cosines(exact.embed(squares), tensorflow.embed(squares)).min() > 0.999999


@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
def test_a_row_does_not_depend_on_its_batch(name: str, squares: np.ndarray, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(name)
    together = engine.embed(squares).copy()
    assert together.shape == (5, engine.manifest.dimensions)
    assert together.dtype == np.float32
    alone = np.concatenate([engine.embed(squares[i : i + 1]).copy() for i in range(5)])
    assert cosines(together, alone).min() > 0.9999


@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
@pytest.mark.parametrize("wrong", [np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 224, 224, 3), np.float32)])
def test_squares_of_another_shape_or_type_are_refused(
    name: str, wrong: np.ndarray, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(n, 224, 224, 3\) is expected"):
        request.getfixturevalue(name).embed(wrong)


def test_rows_of_another_width_than_the_manifest_s_are_an_error() -> None:
    class Wider(MeanColour):
        def __init__(self) -> None:
            super().__init__()
            self.manifest = Manifest("mean-colour", "0" * 64, "mean", 8, 4)

    with pytest.raises(EngineError, match="but its manifest says that it has 4 dimensions: export the package again"):
        Wider().embed(np.zeros((2, 8, 8, 3), np.uint8))


def test_tensorflow_refuses_a_precision_that_it_does_not_have(opened: ModelArchive) -> None:
    with pytest.raises(EngineError, match="--engine openvino"):
        engines.load("tensorflow", opened, "bf16")


def test_openvino_refuses_a_precision_that_the_processor_does_not_have(opened: ModelArchive) -> None:
    from openvino import Core

    if "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert engines.load("openvino", opened, "bf16").precision == "bf16"
    else:
        with pytest.raises(EngineError, match="This processor has no bf16"):
            engines.load("openvino", opened, "bf16")


def test_openvino_needs_no_tensorflow(model_package: Path) -> None:
    code = f"""
import sys
sys.modules.update(tensorflow=None, keras=None)
from pathlib import Path
import numpy as np
from endpoint import engines
from modelarchive import archive
with archive.unpacked(Path({str(model_package)!r})) as opened:
    engine = engines.load("openvino", opened)
    try:
        engines.load("tensorflow", opened)
    except engines.EngineError as error:
        print(error)
print(engine.embed(np.zeros((1, 224, 224, 3), np.uint8)).shape)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S603
    said, shape = done.stdout.splitlines()
    assert said.startswith("The engine tensorflow is not installed here: ")
    assert shape == "(1, 1280)"


def test_a_damaged_model_is_refused(opened: ModelArchive, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    (tmp_path / "1/variables").mkdir(parents=True)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/pixels.pb").write_bytes(b"nothing")
    (tmp_path / "1/saved_model.pb").write_bytes(b"nothing")
    damaged = ModelArchive(tmp_path, opened.manifest)
    with pytest.raises(archive.ArchiveError, match="OpenVINO cannot read the model"):
        engines.load("openvino", damaged)
    with pytest.raises(EngineError, match="TensorFlow cannot load the model"):
        engines.load("tensorflow", damaged)
