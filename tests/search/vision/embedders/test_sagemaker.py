from __future__ import annotations

import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.core.cache.backends.dummy import DummyCache
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from modelarchive.manifest import Manifest
from resilience import breaker
from search.exceptions import EmbedderError, EmbedderUnavailable, PicturesRejected
from search.vision.embedders import Embedder, discovery, embedders
from search.vision.embedders.deadline import request_deadline
from search.vision.embedders.openvino import OpenVinoEmbedder
from search.vision.embedders.sagemaker import SageMakerEmbedder
from search.vision.pictures import PREPROCESSING_VERSION
from tests.endpoint.serving import serving
from tests.search import scripted
from tests.search.vision.embedders.contract import EmbedderContract
from tests.search.vision.embedders.squares import photographs

BACKEND = "search.vision.embedders.sagemaker.SageMakerEmbedder"
BAD = (250, 0, 250)


def build(**options) -> SageMakerEmbedder:
    quick = {"backoff": 0.01, "connect_timeout": 5, "read_timeout": 10, "query_timeout": 10, "patience": 30}
    return SageMakerEmbedder("test", endpoint=scripted.NAME, **(quick | options))


def squares(n: int, bad: tuple[int, ...] = ()) -> np.ndarray:
    found = np.random.default_rng(n).integers(0, 256, (n, 64, 64, 3), np.uint8)
    found[:, 32, 32] = (1, 2, 3)
    found[list(bad), 32, 32] = BAD
    return found


def expected(given: np.ndarray) -> np.ndarray:
    rows = scripted.rows(given)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# The real server --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(model_package) -> Iterator[None]:
    cache_here = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with (
        serving(model_package, "--precision", "f32", "--name", scripted.NAME) as process,
        pytest.MonkeyPatch.context() as patch,
        override_settings(CACHES=cache_here),
    ):
        scripted.use(process.url, patch)
        yield


@pytest.mark.usefixtures("server")
class TestSageMaker(EmbedderContract):
    tolerance = 1e-5
    darkness = 0.9

    @classmethod
    def build(cls) -> Embedder:
        # Three squares to a request, so that a batch is several requests.
        return SageMakerEmbedder("test", endpoint=scripted.NAME, request_bytes=610_000, concurrency=3)


@pytest.mark.usefixtures("server")
class TestSageMakerWithPictures(EmbedderContract):
    """The same in one large request, as PNG."""

    tolerance = 1e-5
    darkness = 0.9

    @classmethod
    def build(cls) -> Embedder:
        return SageMakerEmbedder("test", endpoint=scripted.NAME, encoding="png", concurrency=1)


class TestPackageInProcess(EmbedderContract):
    tolerance = 1e-5
    darkness = 0.9
    path: Path

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _package(cls, model_package: Path) -> None:
        cls.path = model_package

    @classmethod
    def build(cls) -> Embedder:
        return OpenVinoEmbedder("test", package=cls.path, precision="f32")


@pytest.mark.usefixtures("server")
def test_a_package_is_the_same_model_in_process_and_on_an_endpoint(model_package):
    here = OpenVinoEmbedder("here", package=model_package, precision="f32")
    there = SageMakerEmbedder("there", endpoint=scripted.NAME)
    assert (here.fingerprint, here.size, here.dimensions) == (there.fingerprint, there.size, there.dimensions)
    assert here.fingerprint.endswith(f"-gem-p{PREPROCESSING_VERSION}")
    found = photographs(here.size)
    np.testing.assert_allclose(here.embed(found), there.embed(found), atol=1e-4)


def test_a_package_replaced_on_disk_is_refused(model_package, tmp_path):
    with tarfile.open(model_package) as archive:
        archive.extractall(tmp_path, filter="data")
    embedder = OpenVinoEmbedder("test", package=tmp_path)
    before = embedder.fingerprint
    manifest = tmp_path / "code" / "manifest.json"
    manifest.write_text(replace(Manifest.from_json(manifest.read_text()), weights="cd" * 32).to_json())
    assert embedder.fingerprint == before
    with pytest.raises(EmbedderError, match="was replaced: restart the site and its worker"):
        embedder.warm()
    assert OpenVinoEmbedder("test", package=tmp_path).fingerprint.startswith("mobilenetv2-224-cdcdcdcdcdcd-")


@pytest.mark.usefixtures("server")
def test_an_unknown_endpoint_is_refused_with_what_to_check():
    with pytest.raises(EmbedderError, match=r"endpoint other-model cannot be called: .*SAGEMAKER_ENDPOINT_NAME"):
        SageMakerEmbedder("test", endpoint="other-model").warm()


# Requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["bmp", "png"])
def test_a_batch_is_split_into_requests_by_size(endpoint, encoding):
    embedder = build(request_bytes=100_000, concurrency=2, encoding=encoding)
    assert embedder.batch_size == 12  # six bitmaps of 12 KB in base64 to a request
    found = squares(40)
    np.testing.assert_allclose(embedder.embed(found), expected(found), atol=1e-6)
    assert sum(endpoint.asked) == 40
    assert max(endpoint.asked) == 6


def test_connections_are_kept(endpoint):
    embedder = build(read_timeout=20, query_timeout=20, patience=20)
    for _ in range(5):
        embedder.embed(squares(2))
    assert len(endpoint.seen) == 6
    assert endpoint.connections == 1


def test_a_picture_larger_than_a_request_is_refused(endpoint):
    with pytest.raises(EmbedderError, match="SAGEMAKER_REQUEST_BYTES") as told:
        build(request_bytes=10_000).embed(squares(2))
    assert not told.value.permanent


# What the model is ------------------------------------------------------------------------------------------


def test_the_endpoint_is_asked_for_its_model_once(endpoint):
    embedder = build()
    with ThreadPoolExecutor(4) as threads:
        names = set(threads.map(lambda _: embedder.fingerprint, range(8)))
    assert names == {f"{scripted.MANIFEST.fingerprint}-p{PREPROCESSING_VERSION}"}
    assert (embedder.size, embedder.dimensions) == (64, 192)
    assert endpoint.seen == [0]


def test_a_new_process_knows_the_model_from_the_cache(endpoint):
    known = build().fingerprint
    endpoint.script.extend([scripted.error(503, "ServiceUnavailable")] * 9)
    assert build().fingerprint == known


def test_an_unknown_model_is_unavailable_and_not_asked_for_at_every_call(endpoint):
    endpoint.script.extend([scripted.error(503, "ServiceUnavailable")] * 99)
    embedder = build(attempts=2)
    for _ in range(5):
        with pytest.raises(EmbedderUnavailable, match="does not answer now"):
            _ = embedder.fingerprint
    assert len(endpoint.seen) == 2


def test_a_replaced_model_is_discovered_in_time(endpoint, monkeypatch):
    monkeypatch.setattr(discovery, "FRESH", 0)
    with override_settings(EMBEDDERS={"default": {"BACKEND": BACKEND, "OPTIONS": {"endpoint": scripted.NAME}}}):
        held = embedders["default"]
        before = held.fingerprint
        endpoint.manifest = scripted.OTHER
        assert held.fingerprint == before  # it was asked, and stays what it was
        assert held.fingerprint == before
        assert embedders["default"] is not held
        assert embedders["default"].fingerprint == f"{scripted.OTHER.fingerprint}-p{PREPROCESSING_VERSION}"


def test_a_known_model_is_kept_while_the_endpoint_is_unavailable(endpoint, monkeypatch):
    monkeypatch.setattr(discovery, "FRESH", 0)
    embedder = build()
    before = embedder.fingerprint
    endpoint.script.extend([scripted.dropped] * 9)
    assert embedder.fingerprint == before
    asked = len(endpoint.seen)
    assert embedder.fingerprint == before
    assert len(endpoint.seen) == asked  # not for a while
    assert not embedder.outdated


def test_an_answer_of_another_model_makes_the_embedder_outdated(endpoint):
    with override_settings(EMBEDDERS={"default": {"BACKEND": BACKEND, "OPTIONS": {"endpoint": scripted.NAME}}}):
        held = embedders["default"]
        held.embed(squares(2))
        endpoint.manifest = scripted.OTHER
        with pytest.raises(EmbedderError, match=r"wait; .* “manage\.py rebuild_index”") as told:
            held.embed(squares(2))
        assert not told.value.permanent
        assert scripted.OTHER.fingerprint in str(told.value)
        assert embedders["default"].fingerprint.startswith(scripted.OTHER.fingerprint)
        with pytest.raises(EmbedderError, match="rebuild_index"):
            held.embed(squares(2))  # whoever holds the former one goes on being refused


@pytest.mark.parametrize(
    "fault",
    [
        scripted.changed(lambda answer: answer.pop("manifest", None)),
        scripted.changed(lambda answer: answer.update(manifest={"architecture": "grid"})),
    ],
)
def test_an_endpoint_without_a_manifest_is_refused(endpoint, fault):
    endpoint.script.append(fault)
    with pytest.raises(EmbedderError, match=r"does not say which model it has: .*endpoint\.export"):
        build().warm()


class LostCache(DummyCache):
    """A cache whose server is away."""

    def get(self, *args, **options):
        raise OSError("The cache is away.")

    def set(self, *args, **options):
        raise OSError("The cache is away.")


def test_a_failing_cache_is_logged_and_does_not_stop_the_search(endpoint, settings, caplog):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.LostCache"}}
    build().warm()
    assert "The cache is away." in caplog.text


# Faults that pass -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        scripted.error(429, "ThrottlingException"),
        scripted.error(400, "ThrottlingException"),
        scripted.error(429, "ModelNotReadyException"),
        scripted.error(500, "InternalFailure"),
        scripted.error(503, "ServiceUnavailable"),
        scripted.error(530, "InternalDependencyException"),
        scripted.model_error(500, "out of memory"),
        scripted.model_error(503, "busy"),
        scripted.model_error(429, "busy"),
        scripted.dropped,
        scripted.cut_off,
        lambda handler, _answer: handler.answer(502, b"<html>Bad gateway</html>", Content_Type="text/html"),
    ],
)
def test_temporary_faults_are_retried(endpoint, fault):
    embedder = build(attempts=3)
    embedder.warm()
    endpoint.seen.clear()
    endpoint.script.extend([fault, fault])
    found = squares(3)
    np.testing.assert_allclose(embedder.embed(found), expected(found), atol=1e-6)
    assert endpoint.asked == [3, 3, 3]


def test_a_time_out_is_retried(endpoint):
    embedder = build(read_timeout=3, patience=30)
    embedder.warm()
    endpoint.script.append(scripted.hanging)
    found = squares(3)
    np.testing.assert_allclose(embedder.embed(found), expected(found), atol=1e-6)


@pytest.mark.parametrize("fault", [scripted.error(429, "ThrottlingException"), scripted.dropped, scripted.hanging])
def test_lasting_faults_end_after_the_configured_attempts(endpoint, fault):
    embedder = build(attempts=2)
    embedder.warm()
    embedder.read_timeout = 0.3
    endpoint.seen.clear()
    endpoint.always = fault
    with pytest.raises(EmbedderUnavailable, match=f"The endpoint {scripted.NAME} does not answer now"):
        embedder.embed(squares(3))
    # The server may note a request after it was given up.
    until = time.monotonic() + 10
    while len(endpoint.asked) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert endpoint.asked == [3, 3]


def test_patience_may_end_before_the_attempts(endpoint):
    embedder = build(attempts=1000, patience=0.3)
    embedder.warm()
    endpoint.always = scripted.error(429, "ThrottlingException")
    began = time.monotonic()
    with pytest.raises(EmbedderUnavailable):
        embedder.embed(squares(3))
    assert time.monotonic() - began < 5


def test_a_request_deadline_shortens_the_time_out(endpoint):
    embedder = build(read_timeout=30, query_timeout=30, patience=60)
    embedder.warm()
    embedder.query_timeout = 2
    endpoint.always = scripted.hanging
    began = time.monotonic()
    with request_deadline(), pytest.raises(EmbedderUnavailable, match="timeout"):
        embedder.embed(squares(1))
    assert time.monotonic() - began < 8


def test_after_a_time_out_the_breaker_refuses_shoppers_at_once(endpoint, monkeypatch):
    monkeypatch.setattr(breaker, "REST", 60.0)
    embedder = build(query_timeout=20, attempts=1)
    embedder.warm()
    embedder.query_timeout = 1.0
    endpoint.script.append(scripted.hanging)
    with request_deadline(), pytest.raises(EmbedderUnavailable, match="timeout"):
        embedder.embed(squares(1))
    asked = len(endpoint.seen)
    with request_deadline(), pytest.raises(EmbedderUnavailable, match="timeout"):
        embedder.embed(squares(1))
    assert len(endpoint.seen) == asked
    embedder.embed(squares(1))  # nobody waits for this
    embedder._breaker._refuses_until = 0.0  # the minute is over
    embedder.query_timeout = 20.0
    for _ in range(2):
        with request_deadline():
            embedder.embed(squares(1))
    assert len(endpoint.seen) == asked + 3


def test_an_immediate_failure_does_not_open_the_breaker(endpoint):
    embedder = build(attempts=1)
    embedder.warm()
    endpoint.script.append(scripted.error(429, "ThrottlingException"))
    with request_deadline(), pytest.raises(EmbedderUnavailable):
        embedder.embed(squares(1))
    with request_deadline():
        embedder.embed(squares(1))


def test_calls_within_a_request_share_one_deadline(endpoint):
    embedder = build(query_timeout=4, attempts=5)
    endpoint.script.append(lambda handler, answer: (time.sleep(1.5), scripted.fine(handler, answer)))  # the manifest
    endpoint.always = scripted.hanging
    with request_deadline():
        ends = embedder._quickly(5).until
        assert embedder.size == 64
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(squares(1))
        assert embedder._quickly(5).until == ends
    assert len(endpoint.asked) <= 2


def test_a_single_picture_without_a_deadline_has_the_patience_of_a_batch(endpoint):
    embedder = build(query_timeout=20)
    embedder.warm()
    embedder.query_timeout = 0.3
    endpoint.script.append(lambda handler, answer: (time.sleep(1), scripted.fine(handler, answer)))
    found = squares(1)
    np.testing.assert_allclose(embedder.embed(found), expected(found), atol=1e-6)


def test_a_busy_model_is_asked_again_whether_a_picture_is_to_blame(endpoint):
    embedder = build(concurrency=1)
    embedder.warm()
    endpoint.bad = BAD
    endpoint.script.extend([scripted.model_error(400, "no"), scripted.error(429, "ThrottlingException")])
    with pytest.raises(PicturesRejected) as told:
        embedder.embed(squares(8, (3,)))
    assert set(told.value.reasons) == {3}


def test_a_refused_connection_is_unavailable(endpoint, monkeypatch):
    scripted.use("http://127.0.0.1:9", monkeypatch)  # discard: nothing listens
    with pytest.raises(EmbedderUnavailable, match="Could not connect"):
        build(attempts=2).warm()


# Answers that are none --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (scripted.one_row_too_few, r"rows of the shape \(2, 192\), not \(3, 192\)"),
        (scripted.one_number_too_many, r"rows of the shape \(3, 193\), not \(3, 192\)"),
        (scripted.not_a_number, "not JSON"),
        (scripted.null, "rows of numbers"),
        (scripted.text, "rows of numbers"),
        (scripted.all_text, "rows of numbers"),
        (scripted.true, "rows of numbers"),
        (scripted.enormous, "numbers|not JSON"),
        (scripted.zeros, "zero, infinite or not numbers"),
        (scripted.words, "rows of numbers"),
        (scripted.a_list, "without the model's fingerprint"),
        (scripted.html, "not JSON"),
        (scripted.without_model, "without the model's fingerprint"),
    ],
)
def test_a_malformed_answer_is_a_temporary_error(endpoint, fault, sentence):
    embedder = build()
    embedder.warm()
    endpoint.seen.clear()
    endpoint.script.append(fault)
    with pytest.raises(EmbedderError, match=sentence) as told:
        embedder.embed(squares(3))
    assert not told.value.permanent
    assert endpoint.asked == [3]
    assert not embedder.outdated
    embedder.embed(squares(3))


# Pictures that the model refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 413, 415, 500])
@pytest.mark.parametrize("bad", [(0,), (31,), (13,), (4, 5, 29), tuple(range(32))])
def test_bad_pictures_are_found_and_the_others_embedded(endpoint, status, bad):
    embedder = build(attempts=2)
    embedder.warm()
    endpoint.bad, endpoint.bad_status = BAD, status
    found = squares(32, bad)
    with pytest.raises(PicturesRejected, match="rejects this picture: This is no image") as told:
        embedder.embed(found)
    assert set(told.value.reasons) == set(bad)
    good = [place for place in range(32) if place not in bad]
    np.testing.assert_allclose(told.value.vectors[good], expected(found)[good], atol=1e-6)


def test_one_bad_picture_of_thirty_two_costs_few_requests(endpoint):
    embedder = build(concurrency=1)
    embedder.warm()
    endpoint.seen.clear()
    endpoint.bad = BAD
    with pytest.raises(PicturesRejected):
        embedder.embed(squares(32, (13,)))
    # Once together, a probe, twice at each of five halvings, and a probe before it is blamed.
    assert len(endpoint.asked) == 1 + 1 + 2 * 5 + 1


def test_a_bad_picture_alone_is_refused(endpoint):
    endpoint.bad = BAD
    with pytest.raises(PicturesRejected) as told:
        build().embed(squares(1, (0,)))
    assert set(told.value.reasons) == {0}
    assert told.value.permanent


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("n", [1, 3])
def test_no_picture_is_blamed_if_the_model_rejects_a_grey_one(endpoint, status, n):
    embedder = build(attempts=2)
    embedder.warm()
    endpoint.seen.clear()
    endpoint.always = scripted.model_error(status, "The model has fallen over")
    with pytest.raises(EmbedderUnavailable, match=r"even a plain grey picture.*fallen over"):
        embedder.embed(squares(n))
    assert endpoint.asked == ([n, 1] if status == 400 else [n, n, 1])


def test_no_picture_is_blamed_if_the_model_fails_during_the_bisection(endpoint):
    embedder = build(concurrency=1)
    embedder.warm()
    endpoint.bad = BAD
    fine = [scripted.model_error(400, "no"), scripted.fine]  # the batch, and the probe
    endpoint.script.extend(fine + [scripted.model_error(500, "ill")] * 99)
    with pytest.raises(EmbedderUnavailable):
        embedder.embed(squares(8))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_other_statuses_blame_no_picture(endpoint, status):
    embedder = build()
    embedder.warm()
    endpoint.script.append(scripted.model_error(status, "Not here"))
    with pytest.raises(EmbedderError, match="Not here") as told:
        embedder.embed(squares(2))
    assert not told.value.permanent


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_refusal_that_aws_s_container_answers_with_500_is_recognised(endpoint, status):
    embedder = build(attempts=5)
    embedder.warm()
    endpoint.seen.clear()
    endpoint.script.append(scripted.model_error(500, f'{{"error": "{status}: This is no image."}}'))
    with pytest.raises(PicturesRejected, match=r"rejects this picture: This is no image\.$"):
        embedder.embed(squares(1))
    assert endpoint.asked == [1, 1]  # and the probe


@pytest.mark.parametrize("message", ['{"error": "This is no image"}', "This is no image", '{"error": 5}', "[1]", ""])
def test_the_model_s_message_is_unwrapped(endpoint, message):
    endpoint.bad = BAD
    embedder = build()
    embedder.warm()
    endpoint.script.append(scripted.model_error(400, message))
    with pytest.raises(PicturesRejected) as told:
        embedder.embed(squares(1))
    said = "This is no image" if "image" in message else message or "Received 400"
    assert str(told.value) == f"The model rejects this picture: {said}."


# AWS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (scripted.error(403, "AccessDeniedException", "not authorized"), "Allow them sagemaker:InvokeEndpoint"),
        (scripted.error(403, "ExpiredTokenException", "expired"), "Renew them"),
        (scripted.error(403, "UnrecognizedClientException", "invalid"), "Renew them"),
        (scripted.error(400, "ValidationError", "Endpoint x of account y not found."), r"y not found\. Check that"),
        (scripted.error(413, "", "too long"), "SAGEMAKER_REQUEST_BYTES"),
    ],
)
def test_configuration_errors_are_not_retried(endpoint, fault, sentence):
    embedder = build()
    embedder.warm()
    endpoint.seen.clear()
    endpoint.script.append(fault)
    with pytest.raises(EmbedderError, match=sentence) as told:
        embedder.embed(squares(2))
    assert not isinstance(told.value, EmbedderUnavailable)
    assert endpoint.asked == [2]


CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SERVER = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict.fromkeys((SERVER, *CREDENTIALS)), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY"),
        ({SERVER: None, "AWS_DEFAULT_REGION": None}, "set AWS_DEFAULT_REGION"),
        ({"AWS_PROFILE": "shop"}, "with this AWS configuration: .*shop"),
        ({SERVER: "localhost"}, "with this AWS configuration: .*localhost"),
    ],
    ids=["no credentials", "half of the credentials", "no region", "unknown profile", "invalid URL"],
)
def test_wrong_aws_configuration_is_refused_with_what_to_do(endpoint, monkeypatch, changes, sentence):
    for name, value in changes.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(EmbedderError, match=sentence):
        build().warm()


def test_your_own_server_needs_neither_credentials_nor_a_region(endpoint, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", *CREDENTIALS):
        monkeypatch.delenv(name)
    found = squares(2)
    np.testing.assert_allclose(build().embed(found), expected(found), atol=1e-6)


# Options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [("encoding", "jpeg"), ("read_timeout", -1), ("backoff", -1)]
    + [
        (name, 0)
        for name in ("request_bytes", "concurrency", "attempts", "connect_timeout", "query_timeout", "patience")
    ],
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(ImproperlyConfigured):
        build(**{option: value})


@pytest.mark.parametrize("name", ["a", "shop-model", "A--1", "x" * 63])
def test_valid_endpoint_names_pass_the_check(name):
    assert SageMakerEmbedder("test", endpoint=name).check() == []


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "https://shop.example", "x" * 64])
def test_invalid_endpoint_names_fail_the_check(name):
    [message] = SageMakerEmbedder("test", endpoint=name).check()
    assert "not an endpoint name" in message.msg
    assert message.hint


# Processes --------------------------------------------------------------------------------------------------


def test_a_forked_child_has_its_own_connections_and_answers_alike(endpoint):
    script = f"""
import os, django
from django.conf import settings
django.setup()
settings.CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}}
import numpy as np
from search.vision.embedders.sagemaker import SageMakerEmbedder
embedder = SageMakerEmbedder("test", endpoint={scripted.NAME!r})
squares = np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3), np.uint8)
vectors = embedder.embed(squares)
children = []
for _ in range(2):
    if not (child := os.fork()):
        os._exit(0 if np.allclose(embedder.embed(squares), vectors) else 1)
    children.append(child)
assert np.allclose(embedder.embed(squares), vectors)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603
    assert done.stdout.strip() == "[0, 0]"
