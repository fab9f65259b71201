from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from botocore.exceptions import ClientError
from starlette.requests import Request

from endpoint import decoding, engines
from endpoint.application import Application, Limits
from endpoint.engines import EngineError
from modelarchive import archive, inference
from tests.endpoint.serving import (
    ROOT,
    Address,
    MeanColour,
    Process,
    cosines,
    drawn,
    encoded,
    instances,
    plain,
    running,
    serving,
)
from tests.waiting import until

RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.fixture(scope="module")
def server(model_package: Path) -> Iterator[Process]:
    with serving(model_package) as process:
        yield process


@pytest.fixture
def engine() -> Iterator[MeanColour]:
    engine = MeanColour()
    yield engine
    engine.release()


@pytest.fixture
def start(engine: MeanColour) -> Iterator[Callable[..., Address]]:
    """Run the application with a small model, in this process."""
    with ExitStack() as stack:

        def started(limits: Limits | None = None, **options: Any) -> Address:
            return stack.enter_context(running(Application(lambda: engine, limits, **options)))

        yield started
        engine.release()


def invoke(address: Address, body: bytes, content_type: str = "application/x-image", **more: Any) -> Any:
    return address.client().invoke_endpoint(EndpointName="shop", Body=body, ContentType=content_type, **more)


def answer(response: Any) -> Any:
    data = response["Body"].read() if isinstance(response, dict) else response.data
    return json.loads(data)


def failure(address: Address, body: bytes, content_type: str = "application/x-image") -> ClientError:
    with pytest.raises(ClientError) as caught:
        invoke(address, body, content_type)
    return caught.value


def together(calls: list[Callable[[], Any]]) -> list[Future[Any]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [pool.submit(call) for call in calls]


def raw(address: Address, head: str, body: bytes = b"") -> socket.socket:
    """A connection with a request sent over it that clients would not send."""
    host, port = address.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    lines = ["POST /invocations HTTP/1.1", "Host: localhost", "Content-Type: application/x-image", head, "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


# What it answers


def test_an_image_is_answered_with_its_row_and_the_model_s_fingerprint(server: Process, model_package: Path) -> None:
    images = drawn(1)
    response = invoke(server, encoded(images[0]))
    assert response["ContentType"] == "application/json"
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ResponseMetadata"]["RequestId"]
    found = answer(response)
    assert set(found) == {"predictions", "model"}
    assert found["model"] == archive.read_manifest(model_package).fingerprint
    with archive.unpacked(model_package) as opened:
        expected = engines.load("openvino", opened).embed(np.stack([np.asarray(image) for image in images]))
    assert cosines(found["predictions"], expected).min() > 0.9999


def test_several_images_are_answered_with_rows_in_their_order(server: Process) -> None:
    images = [encoded(image) for image in drawn(20)]
    rows = answer(invoke(server, instances(images), "application/json"))["predictions"]
    assert len(rows) == 20
    assert cosines(rows[17:18], answer(invoke(server, images[17]))["predictions"]).min() > 0.999
    assert cosines(rows[17:18], rows[3:4]).max() < 0.999


def test_the_plain_address_answers_the_same(server: Process) -> None:
    image = encoded(drawn(1)[0], "JPEG", quality=90)
    response = server.post(image)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert answer(response) == answer(invoke(server, image))


def test_an_image_of_another_size_is_squashed(server: Process) -> None:
    large = drawn(1, side=700)[0]
    row = answer(invoke(server, encoded(large)))["predictions"]
    square = decoding.square(encoded(large), 224)
    assert cosines(row, answer(invoke(server, encoded(square)))["predictions"]).min() > 0.9999


def test_the_whole_manifest_comes_when_it_is_asked_for(server: Process, model_package: Path) -> None:
    image = encoded(drawn(1)[0])
    manifest = json.loads(archive.read_manifest(model_package).to_json())
    assert answer(invoke(server, image, CustomAttributes="manifest=true"))["manifest"] == manifest
    asked = {"X-Amzn-SageMaker-Custom-Attributes": "manifest"}
    assert answer(server.post(image, **asked))["manifest"] == manifest


# What it refuses


@pytest.mark.parametrize(
    ("body", "content_type", "status", "sentence"),
    [
        (b"", "application/x-image", 400, "The body is empty"),
        (b"no image", "application/x-image", 400, "The image cannot be decoded as JPEG, PNG, BMP or GIF."),
        (b"{", "application/json", 400, "The body is not JSON"),
        (b'{"instances": [{"b64": "!"}]}', "application/json", 400, "instances[0] is not valid base64"),
        (instances([plain(RED), b"no image"]), "application/json", 400, "instances[1] cannot be decoded"),
        (instances([b"x"]), "application/json", 400, "instances[0] cannot be decoded"),
        (instances([plain(RED)] * 65), "application/json", 413, "These are 65 images; at most 64"),
        (plain(RED), "image/png", 415, "The content type has to be application/x-image"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(
    server: Process, body: bytes, content_type: str, status: int, sentence: str
) -> None:
    response = server.post(body, content_type)
    assert response.status == status
    assert answer(response)["error"].startswith(sentence)

    error = failure(server, body, content_type)
    assert type(error).__name__ == "ModelError"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error.response["OriginalStatusCode"] == status
    assert json.loads(error.response["OriginalMessage"])["error"].startswith(sentence)
    assert error.response["LogStreamArn"].endswith("/shop")
    assert sentence.replace('"', "") in str(error)


def test_a_body_beyond_the_limit_is_refused(server: Process) -> None:
    body = bytes(inference.BODY_BYTES + 1)
    assert server.post(body).status == 413
    error = failure(server, body)
    assert error.response["Error"]["Code"] == "413"
    assert "larger than 6,291,456 bytes" in str(error)


def test_a_body_beyond_the_limit_that_names_no_length_is_refused(server: Process) -> None:
    response = server.post(iter([bytes(1_000_000)] * 8))  # sent in chunks
    assert response.status == 413
    assert response.headers["Connection"] == "close"


def test_one_undecodable_image_fails_alone(server: Process) -> None:
    images = [encoded(image) for image in drawn(8)]
    images[5] = images[5][:100]
    client = server.client()

    def call(image: bytes) -> Callable[[], Any]:
        return lambda: client.invoke_endpoint(EndpointName="shop", Body=image, ContentType="application/x-image")

    futures = together([call(image) for image in images])
    failed = [future.exception() for future in futures]
    assert [error is not None for error in failed] == [False] * 5 + [True] + [False] * 2
    assert isinstance(failed[5], ClientError)
    assert failed[5].response["OriginalStatusCode"] == 400
    assert all(len(answer(future.result())["predictions"]) == 1 for future in futures if not future.exception())


def test_connections_are_kept_after_errors(server: Process) -> None:
    image = encoded(drawn(1)[0])
    statuses = []
    with urllib3.HTTPConnectionPool("127.0.0.1", int(server.url.rpartition(":")[2]), maxsize=1) as pool:
        for body in (image, b"no image", image, bytes(inference.BODY_BYTES + 1), image):
            statuses.append(
                pool.urlopen("POST", "/invocations", body, {"Content-Type": "application/x-image"}).status
            )
        assert pool.num_connections == 1
    assert statuses == [200, 400, 200, 413, 200]


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/invocations", 405), ("/endpoints/shop", 404)])
def test_other_addresses_and_methods_are_refused(server: Process, path: str, status: int) -> None:
    assert server.get(path).status == status


def test_a_failing_model_is_a_server_s_error(start: Callable[..., Address], engine: MeanColour) -> None:
    address = start()
    response = address.post(plain(MeanColour.failing))
    assert response.status == 500
    assert answer(response) == {"error": "The model failed: out of colours"}
    error = failure(address, plain(MeanColour.failing))
    assert error.response["OriginalStatusCode"] == 500
    assert "Received server error (500) from primary" in str(error)


def test_a_row_of_nan_is_an_error(start: Callable[..., Address], engine: MeanColour) -> None:
    address = start()
    assert address.post(plain(MeanColour.no_number)).status == 500
    assert address.post(plain(RED)).status == 200


def test_an_unexpected_exception_is_an_internal_failure(
    start: Callable[..., Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = start()

    def mistaken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(decoding, "square", mistaken)
    assert type(failure(address, plain(RED))).__name__ == "InternalFailure"
    assert address.post(plain(RED)).status == 500
    assert address.metric("endpoint_requests_total", status="500") == 2


def test_another_endpoint_name_is_refused_if_one_is_set(start: Callable[..., Address]) -> None:
    address = start(name="shop")
    assert answer(invoke(address, plain(RED)))["model"]
    with pytest.raises(ClientError, match="Endpoint other of account 000000000000 not found") as caught:
        address.client().invoke_endpoint(EndpointName="other", Body=plain(RED), ContentType="application/x-image")
    assert type(caught.value).__name__ == "ValidationError"


# What it holds


def test_waiting_requests_are_batched(start: Callable[..., Address], engine: MeanColour) -> None:
    address = start()
    engine.hold()
    colours = [(n, 1, 1) for n in range(9)]
    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(address.post, plain(colours[0]))]
        until(lambda: engine.batches)
        futures += [pool.submit(address.post, plain(colour)) for colour in colours[1:]]
        until(lambda: address.metric("endpoint_pictures_waiting") == 8)
        engine.release()
        rows = [answer(future.result())["predictions"] for future in futures]
    assert [row[0] for row in rows] == [list(colour) for colour in colours]
    assert engine.batches == [1, 8]
    assert address.metric("endpoint_batch_pictures_bucket", le="4.0") == 1
    assert address.metric("endpoint_batch_pictures_bucket", le="8.0") == 2
    assert address.metric("endpoint_pictures_total") == 9
    assert address.metric("endpoint_requests_total", status="200") == 9
    for name in ("request", "decode"):
        assert address.metric(f"endpoint_{name}_seconds_count") == 9
    assert address.metric("endpoint_model_seconds_count") == 2


def test_beyond_the_queue_requests_are_refused_before_their_body_is_read(
    start: Callable[..., Address], engine: MeanColour
) -> None:
    address = start(Limits(requests=2))
    engine.hold()
    with ThreadPoolExecutor(2) as pool:
        admitted = [pool.submit(address.post, plain(RED)) for _ in range(2)]
        until(lambda: address.metric("endpoint_requests_admitted") == 2)

        with raw(address, "Content-Length: 1000000") as connection:  # and none of them is sent
            assert connection.recv(10_000).startswith(b"HTTP/1.1 503 ")
        response = address.post(plain(RED))
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert answer(response)["error"].startswith("2 requests are being answered already.")
        error = failure(address, plain(RED))
        assert type(error).__name__ == "ServiceUnavailable"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503

        engine.release()
        assert [future.result().status for future in admitted] == [200, 200]
    assert address.post(plain(RED)).status == 200
    assert address.metric("endpoint_requests_admitted") == 0
    assert address.metric("endpoint_requests_total", status="503") == 3


def test_a_length_beyond_the_limit_is_refused_before_anything_is_sent(start: Callable[..., Address]) -> None:
    with raw(start(Limits(body=1000)), "Content-Length: 1001") as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 413 ")


def test_a_slow_request_times_out(start: Callable[..., Address], engine: MeanColour) -> None:
    address = start(Limits(seconds=3))  # within which the first has to reach the model
    engine.hold()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(address.post, plain(RED))
        until(lambda: engine.batches)
        error = failure(address, plain(BLUE))
        assert type(error).__name__ == "ServiceUnavailable"
        assert "no answer within 3 s" in str(error)
        assert first.result().status == 503
        assert address.metric("endpoint_requests_admitted") == 0
        assert address.metric("endpoint_pictures_waiting") == 0
        ping = address.get("/ping")
        assert (ping.status, answer(ping)["error"]) == (503, "The model has not answered for 3 s.")
    engine.release()
    until(lambda: address.get("/ping").status == 200)
    assert engine.batches == [1]  # nobody waited for the second any longer


def test_a_missing_body_times_out(start: Callable[..., Address]) -> None:
    address = start(Limits(seconds=0.3))
    with raw(address, "Content-Length: 100", b"begun") as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 503 ")


def test_a_disconnected_client_leaves_the_queue(start: Callable[..., Address], engine: MeanColour) -> None:
    address = start()
    engine.hold()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(address.post, plain(RED))
        until(lambda: engine.batches)
        body = plain(BLUE)
        with raw(address, f"Content-Length: {len(body)}", body):
            until(lambda: address.metric("endpoint_pictures_waiting") == 1)
        until(lambda: address.metric("endpoint_pictures_waiting") == 0)
        assert address.metric("endpoint_requests_admitted") == 1
        engine.release()
        assert first.result().status == 200
    assert engine.batches == [1]
    assert address.metric("endpoint_requests_total", status="499") == 1


def test_bodies_of_disconnected_clients_are_freed(engine: MeanColour, monkeypatch: pytest.MonkeyPatch) -> None:
    free, bodies = threading.Event(), Counter[str]()
    square = decoding.square

    def held(*arguments: Any) -> Any:
        assert free.wait(timeout=120)
        return square(*arguments)

    class Body(bytes):
        def __del__(self) -> None:
            bodies["gone"] += 1

    class Counting(Application):
        async def _body(self, request: Request) -> bytes:
            bodies["come"] += 1
            return Body(await super()._body(request))

    monkeypatch.setattr(decoding, "square", held)
    threads = os.cpu_count() or 1
    image = plain(RED)
    with running(Counting(lambda: engine)) as address:
        for count in range(1, threads + 20):
            with raw(address, f"Content-Length: {len(image)}", image):
                until(lambda count=count: bodies["come"] == count)
        # Those in the threads are there, and count; they are known to have gone when the threads are done with them.
        until(lambda: bodies["gone"] == 19)
        assert address.metric("endpoint_requests_admitted") == threads
        free.set()
        until(lambda: address.metric("endpoint_requests_total", status="499") == threads + 19)
        assert address.metric("endpoint_requests_admitted") == 0
        assert bodies["gone"] == threads + 19
        assert address.post(image).status == 200
    assert engine.batches == [1]


def test_a_client_that_disconnects_while_sending_is_forgotten(start: Callable[..., Address]) -> None:
    address = start()
    with raw(address, "Content-Length: 100", b"begun"):
        until(lambda: address.metric("endpoint_requests_admitted") == 1)
    until(lambda: address.metric("endpoint_requests_total", status="499") == 1)
    assert address.metric("endpoint_requests_admitted") == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_memory_does_not_grow_with_the_clients(model_package: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    pictures = [encoded(noise, "BMP")] * 31
    body = instances(pictures)
    assert inference.BODY_BYTES - 250_000 < len(body) <= inference.BODY_BYTES
    with serving(model_package, "--queue", "4") as process:
        # OpenVINO allocates for each size of a batch when it first comes: none may be new in what is measured.
        for count in (*range(1, 17), 31):
            assert process.post(instances(pictures[:count]), "application/json").status == 200
        before = process.peak
        futures = together([lambda: process.post(body, "application/json").status] * 48)
        statuses = [future.result() for future in futures]
        grown = process.peak - before
    assert set(statuses) == {200, 503}
    # Four bodies; in each thread that decodes, three copies of one and its squares; four batches of squares.
    threads = os.cpu_count() or 1
    bound = 4 * len(body) + threads * (3 * len(body) + 31 * noise.nbytes) + 4 * 16 * noise.nbytes
    # As much again as the heap may lose between its pieces; all 48 bodies at once would be 300 MB.
    assert grown < bound + 60_000_000


# How it starts and stops


def test_it_is_not_ready_before_the_model_is_loaded() -> None:
    loaded = threading.Event()

    def load() -> MeanColour:
        assert loaded.wait(timeout=60)
        return MeanColour()

    with running(Application(load), ready=False) as address:
        assert address.get("/ping").status == 503
        assert address.post(plain(RED)).status == 503
        error = failure(address, plain(RED))
        assert type(error).__name__ == "ModelNotReadyException"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        loaded.set()
        until(lambda: address.get("/ping").status == 200)
        assert address.post(plain(RED)).status == 200


def answers(address: Address) -> bool:
    try:
        return bool(address.get("/ping").status)
    except urllib3.exceptions.HTTPError:
        return False


def test_a_ping_tries_a_failed_model_again(
    start: Callable[..., Address], engine: MeanColour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoint.application._PING_SECONDS", 60)  # on a busy machine this model takes long, too
    address = start()
    engine.broken = True
    assert address.get("/ping").status == 200  # nothing is asked of a model that has not failed
    assert address.post(plain(RED)).status == 500
    ping = address.get("/ping")
    assert (ping.status, answer(ping)["error"]) == (503, "The model does not answer: out of colours")
    engine.broken = False
    assert address.get("/ping").status == 200


def test_a_model_that_does_not_load_ends_the_server() -> None:
    begun = threading.Event()

    def load() -> MeanColour:
        assert begun.wait(timeout=60)
        raise EngineError("It is not there.")

    application = Application(load)
    with running(application, ready=False) as address:
        assert answers(address)
        begun.set()
        until(lambda: not answers(address))
    assert str(application.failure) == "It is not there."


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "nothing.tar.gz"], "There is no model package nothing.tar.gz"),
        (["--model", "tests"], "tests has no code/manifest.json"),
    ],
)
def test_without_a_model_the_command_ends_with_a_sentence(options: list[str], sentence: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "endpoint.server", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)  # noqa: S603, PLW1510
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_what_was_admitted_is_answered_before_the_server_ends(model_package: Path) -> None:
    body = encoded(drawn(1)[0])
    with serving(model_package, "--grace", "60") as process, ExitStack() as stack:
        head = f"Content-Length: {len(body)}\r\nConnection: close"
        connections = [stack.enter_context(raw(process, head, body[:100])) for _ in range(3)]
        until(lambda: process.metric("endpoint_requests_admitted") == 3)
        process.process.send_signal(signal.SIGTERM)
        until(lambda: process.get("/ping").status == 503)
        for connection in connections:
            connection.sendall(body[100:])
        for connection in connections:
            with connection.makefile("rb") as received:
                status, _, content = received.read().partition(b"\r\n\r\n")
            assert status.startswith(b"HTTP/1.1 200 ")
            assert len(json.loads(content)["predictions"]) == 1
        assert process.process.wait(timeout=60) == 0


def test_a_stopping_server_refuses_requests_until_it_ends(engine: MeanColour) -> None:
    application = Application(lambda: engine)
    with ThreadPoolExecutor(2) as pool:
        with running(application, grace=60) as address:
            engine.hold()
            first = pool.submit(address.post, plain(RED))
            until(lambda: engine.batches)
            stopping = pool.submit(_stop_later, application, address, engine)
        assert first.result().status == 200
        assert stopping.result() == (503, 503)


def _stop_later(application: Application, address: Address, engine: MeanColour) -> tuple[int, int]:
    until(lambda: address.get("/ping").status == 503)
    statuses = address.get("/ping").status, address.post(plain(BLUE)).status
    engine.release()
    return statuses


def test_shutdown_does_not_wait_for_a_hanging_model(engine: MeanColour) -> None:
    application = Application(lambda: engine)
    with ThreadPoolExecutor(1) as pool:
        with running(application, grace=0.2) as address:
            engine.hold()
            first = pool.submit(address.post, plain(RED))
            until(lambda: engine.batches)
        assert first.result().status == 500  # uvicorn's own answer to what it cancels
        engine.release()


def test_tensorflow_serves_an_unpacked_package_as_a_container_is_started(
    server: Process, model_package: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    with archive.unpacked(model_package) as opened:
        shutil.copytree(opened.folder, tmp_path, dirs_exist_ok=True)
    images = instances([encoded(image) for image in drawn(3)])
    with serving(
        tmp_path, "serve", environment={"ENDPOINT_ENGINE": "tensorflow", "ENDPOINT_NAME": "shop"}
    ) as process:
        ours = answer(invoke(server, images, "application/json"))
        theirs = answer(invoke(process, images, "application/json"))
        with pytest.raises(ClientError, match="not found"):
            process.client().invoke_endpoint(EndpointName="x", Body=b"x", ContentType="application/x-image")
    assert ours["model"] == theirs["model"]
    assert cosines(ours["predictions"], theirs["predictions"]).min() >= 0.999


@pytest.mark.parametrize(
    "options",
    [
        ["--batch", "0"],
        ["--wait", "-1"],
        ["--timeout", "inf"],
        ["--engine", "onnx"],
        ["--precision", "f16"],
        ["begin"],
    ],
)
def test_an_invalid_option_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from endpoint.server import main

    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
