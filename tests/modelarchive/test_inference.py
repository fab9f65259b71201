from __future__ import annotations

import ast
import base64
import importlib.util
import io
import json
import math
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarchive import archive, inference
from modelarchive.inference import Refused
from tests.endpoint.serving import cosines, drawn, encoded, instances

# As the container's tfs_utils.py has it.
Context = namedtuple(
    "Context",
    "model_name, model_version, method, rest_uri, grpc_port, channel, "
    "custom_attributes, request_content_type, accept_header, content_length",
)


@dataclass
class Response:
    """What of requests' answer a handler may look at."""

    status_code: int
    content: bytes


@pytest.fixture(scope="module")
def unpacked(model_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "unpacked"
    with archive.unpacked(model_package) as opened:
        return Path(shutil.copytree(opened.folder, folder))


@pytest.fixture(scope="module")
def script(unpacked: Path) -> ModuleType:
    """inference.py, loaded from the package's folder in the container's way."""
    spec = importlib.util.spec_from_file_location("inference", unpacked / "code/inference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context(
    content_type: str = "application/x-image", attributes: str | None = None, length: int | None = None
) -> Any:
    uri = "http://localhost:10001/v1/models/model:predict"
    return Context(None, None, None, uri, "10000", None, attributes, content_type, "application/json", length)


def refusal(body: bytes, content_type: str | None = "application/json") -> Refused:
    with pytest.raises(Refused) as caught:
        inference.pictures(body, content_type)
    return caught.value


def answered(script: ModuleType, rows: Any, attributes: str | None = None) -> dict[str, Any]:
    response = Response(200, json.dumps({"predictions": rows}).encode())
    body, content_type = script.output_handler(response, context(attributes=attributes))
    assert content_type == "application/json"
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_the_script_of_a_package_imports_nothing_but_the_standard_library(unpacked: Path) -> None:
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("inference", {str(unpacked / "code/inference.py")!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    command = [sys.executable, "-I", "-c", code]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout.split()  # noqa: S603
    assert "base64" in loaded
    known = sys.stdlib_module_names | {"__main__"}
    # What the environment's own .pth files load is loaded without the script too.
    without = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(loaded) - known - {name.partition(".")[0] for name in without} == set()


def test_the_script_parses_on_python_3_8() -> None:
    ast.parse(Path(inference.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_one_raw_image_becomes_an_instance_for_tensorflow_serving(script: ModuleType) -> None:
    body = script.input_handler(io.BytesIO(b"an image"), context(length=8))
    assert json.loads(body) == {"instances": [{"b64": base64.b64encode(b"an image").decode()}]}


def test_several_images_become_instances_in_their_order(script: ModuleType) -> None:
    sent = [b"one", b"two", b"three"]
    body = script.input_handler(io.BytesIO(instances(sent)), context("application/json; charset=utf-8"))
    assert [base64.b64decode(instance["b64"]) for instance in json.loads(body)["instances"]] == sent


@pytest.mark.parametrize("length", [None, 10, inference.BODY_BYTES + 1])
def test_a_body_beyond_the_limit_is_refused_whatever_its_head_says(script: ModuleType, length: int | None) -> None:
    with pytest.raises(script.Refused, match="larger than 6,291,456 bytes") as caught:
        script.input_handler(io.BytesIO(bytes(inference.BODY_BYTES + 1)), context(length=length))
    assert caught.value.status == 413


def test_a_body_at_the_limit_is_taken(script: ModuleType) -> None:
    assert script.input_handler(io.BytesIO(bytes(inference.BODY_BYTES)), context(length=inference.BODY_BYTES))


def test_a_refusal_begins_with_its_status(script: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^415: The content type has to be ") as caught:
        script.input_handler(io.BytesIO(b"an image"), context("image/png"))
    assert str(caught.value).endswith("not image/png.")


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=inference.IMAGES))
def test_encoded_instances_are_decoded_unchanged(images: list[bytes]) -> None:
    assert inference.pictures(instances(images), "application/json") == images


@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("aGk="),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from(["instances", "b64", "inputs"]), inner, max_size=2)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.sampled_from(["application/json", "application/x-image", "text/plain", None]),
)
def test_any_body_is_either_images_or_refused_with_a_sentence(body: bytes, content_type: str | None) -> None:
    try:
        images = inference.pictures(body, content_type)
    except Refused as error:
        refused = error
    else:
        assert images
        assert all(images)
        return
    assert refused.status in {400, 413, 415}
    assert refused.sentence.endswith(".")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty"),
        (b"{", "The body is not JSON"),
        (b"\xff\xfe{", "The body is not JSON"),
        (b"[" * 100_000, "The body is not JSON"),
        (b"[]", "an object with “instances”"),
        (b'{"inputs": []}', "an object with “instances”"),
        (b'{"instances": [{"b64": "aGk="}], "signature_name": "pixels"}', "and nothing else"),
        (b'{"instances": []}', "at least one image"),
        (b'{"instances": {"b64": "aGk="}}', "at least one image"),
        (b'{"instances": ["aGk="]}', r"instances\[0\] has to be"),
        (b'{"instances": [{"b64": "aGk="}, {"b64": 5}]}', r"instances\[1\] has to be"),
        (b'{"instances": [{"b64": "aGk=", "key": 1}]}', r"instances\[0\] has to be"),
        (b'{"instances": [{"b64": "aGk"}]}', r"instances\[0\] is not valid base64"),
        (b'{"instances": [{"b64": "a_k="}]}', r"instances\[0\] is not valid base64"),
        ('{"instances": [{"b64": "é"}]}'.encode(), r"instances\[0\] is not valid base64"),
        (b'{"instances": [{"b64": ""}]}', r"instances\[0\] is empty"),
    ],
)
def test_a_malformed_body_is_refused(body: bytes, sentence: str) -> None:
    refused = refusal(body)
    assert refused.status == 400
    with pytest.raises(Refused, match=sentence):
        raise refused


def test_too_many_images_are_refused() -> None:
    assert len(inference.pictures(instances([b"x"] * 64), "application/json")) == 64
    refused = refusal(instances([b"x"] * 65))
    assert refused.status == 413
    assert refused.sentence.startswith("These are 65 images; at most 64 fit")


@pytest.mark.parametrize("content_type", ["image/png", "text/csv", "", None])
def test_another_content_type_is_refused(content_type: str | None) -> None:
    assert refusal(b"an image", content_type).status == 415


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        (None, False),
        ("", False),
        ("manifest=true", True),
        ("manifest", True),
        ("tfs-model-name=m, Manifest = 1", True),
        ("manifest=false", False),
        ("manifests=true,trace=manifest", False),
        ("=,,manifest=", True),
    ],
)
def test_a_custom_attribute_asks_for_the_manifest(attributes: str | None, wanted: bool) -> None:
    assert inference.wants_manifest(attributes) is wanted


def test_the_answer_has_the_rows_and_the_fingerprint_of_the_package(script: ModuleType, model_package: Path) -> None:
    manifest = archive.read_manifest(model_package)
    rows = np.random.default_rng(0).standard_normal((2, manifest.dimensions)).tolist()
    assert answered(script, rows) == {"predictions": rows, "model": manifest.fingerprint}


def test_the_manifest_is_there_when_it_is_asked_for(script: ModuleType, model_package: Path) -> None:
    manifest = archive.read_manifest(model_package)
    answer = answered(script, [[0.5] * manifest.dimensions], "manifest=true")
    assert answer["manifest"] == json.loads(manifest.to_json())
    assert answer["manifest"]["fingerprint"] == answer["model"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<html>", "did not answer with JSON"),
        (b"[]", "without predictions"),
        (b'{"predictions": []}', "without predictions"),
        (b'{"predictions": [[1.0, 2.0]]}', "row 0 does not have the model's 1280 numbers"),
        (b'{"predictions": [1.0]}', "row 0 does not have the model's 1280 numbers"),
        (
            json.dumps({"predictions": [[1.0] * 1280, [math.nan] * 1280]}).encode(),
            "row 1 has a value that is not a finite number",
        ),
        (json.dumps({"predictions": [[math.inf] * 1280]}).encode(), "row 0 has a value that is not a finite number"),
        (json.dumps({"predictions": [["1"] * 1280]}).encode(), "row 0 has a value that is not a finite number"),
        (json.dumps({"predictions": [[True] * 1280]}).encode(), "row 0 has a value that is not a finite number"),
    ],
)
def test_a_malformed_answer_of_tensorflow_serving_is_an_error(
    script: ModuleType, content: bytes, sentence: str
) -> None:
    with pytest.raises(RuntimeError, match=sentence):
        script.output_handler(Response(200, content), context())


def test_images_that_tensorflow_serving_cannot_read_are_the_client_s_fault(script: ModuleType) -> None:
    response = Response(400, b'{"error": "Unknown image file format."}')
    with pytest.raises(script.Refused, match=r"^400: .*: Unknown image file format\."):
        script.output_handler(response, context())


@pytest.mark.parametrize("content", [b'{"error": "out of memory"}', b"out of memory"])
def test_other_failures_of_tensorflow_serving_are_passed_on(script: ModuleType, content: bytes) -> None:
    with pytest.raises(RuntimeError, match=r"^TensorFlow Serving answered 503: out of memory$"):
        script.output_handler(Response(503, content), context())


def test_images_go_through_the_script_and_the_model_s_serving_signature(
    script: ModuleType, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TF_CPP_MIN_LOG_LEVEL", "2")
    tf = pytest.importorskip("tensorflow")
    signatures = tf.saved_model.load(str(unpacked / "1")).signatures
    pictures = drawn(3)

    def tensorflow_serving(body: str) -> Response:
        images = [base64.b64decode(instance["b64"]) for instance in json.loads(body)["instances"]]
        try:
            (rows,) = signatures["serving_default"](images=tf.constant(images)).values()
        except tf.errors.InvalidArgumentError as error:
            return Response(400, json.dumps({"error": str(error)}).encode())
        return Response(200, json.dumps({"predictions": rows.numpy().tolist()}).encode())

    body = script.input_handler(io.BytesIO(instances([encoded(p) for p in pictures])), context("application/json"))
    answer = json.loads(script.output_handler(tensorflow_serving(body), context())[0])
    (expected,) = signatures["pixels"](pixels=np.stack([np.asarray(p) for p in pictures])).values()
    assert cosines(answer["predictions"], expected).min() > 0.999999

    undecodable = script.input_handler(io.BytesIO(b"no image"), context())
    with pytest.raises(script.Refused, match=r"^400: "):
        script.output_handler(tensorflow_serving(undecodable), context())
