"""A server with the address of SageMaker's runtime that can be told to misbehave, request by request."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modelarchive.manifest import Manifest
from tests.aws import account

NAME = "shop-model"
MANIFEST = Manifest("grid", "ab" * 32, "mean", 64, 192)
OTHER = Manifest("grid", "cd" * 32, "mean", 64, 192)

Fault = Callable[["Handler", dict[str, Any]], None]
"""Answers a request in its own way; it is given the answer that would be right."""


def rows(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The model: the mean colours of an 8 x 8 grid, not of unit length."""
    cells = squares.reshape(-1, 8, 8, 8, 8, 3).mean(axis=(2, 4), dtype=np.float32).reshape(-1, 192)
    return cells + 1


@dataclass
class Endpoint:
    """What the server is told, and what it has seen."""

    manifest: Manifest = MANIFEST
    #: of the next requests, one each
    script: deque[Fault] = field(default_factory=deque)
    #: of all requests that ask for embeddings
    always: Fault | None = None
    #: a picture that has this colour in its middle is refused, with the status
    bad: tuple[int, int, int] | None = None
    bad_status: int = 400
    #: how many pictures each request has had; those for the manifest are 0
    seen: list[int] = field(default_factory=list)
    #: how many connections were accepted
    connections: int = 0
    url: str = ""
    #: set when the server ends: nothing waits longer
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def asked(self) -> list[int]:
        """How many pictures each request has had that did not ask for the manifest."""
        return [count for count in self.seen if count]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def setup(self) -> None:
        super().setup()
        self.endpoint.connections += 1

    def do_POST(self) -> None:
        endpoint = self.endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == f"/endpoints/{NAME}/invocations"
        squares = np.stack([decoded(instance["b64"]) for instance in body["instances"]])
        whole = self.headers.get("X-Amzn-SageMaker-Custom-Attributes") == "manifest=true"
        endpoint.seen.append(0 if whole else len(squares))
        answer: dict[str, Any] = {"predictions": rows(squares).tolist(), "model": endpoint.manifest.fingerprint}
        if whole:
            answer["manifest"] = asdict(endpoint.manifest)
        if endpoint.script:
            endpoint.script.popleft()(self, answer)
        elif endpoint.always and not whole:
            endpoint.always(self, answer)
        elif endpoint.bad and (squares[:, 32, 32] == endpoint.bad).all(axis=1).any():
            model_error(endpoint.bad_status, "This is no image")(self, answer)
        else:
            self.answer(200, json.dumps(answer).encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def decoded(text: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
        return np.asarray(image.convert("RGB").resize((MANIFEST.size, MANIFEST.size)))


# Faults -----------------------------------------------------------------------------------------------------


def fine(handler: Handler, answer: dict[str, Any]) -> None:
    handler.answer(200, json.dumps(answer).encode())


def error(status: int, code: str, message: str = "Try again") -> Fault:
    """An error of the runtime itself."""

    def fault(handler: Handler, answer: dict[str, Any]) -> None:
        handler.answer(status, json.dumps({"Message": message}).encode(), x_amzn_ErrorType=code)

    return fault


def model_error(status: int, message: str) -> Fault:
    """What the runtime makes of an error that the model's container answers with."""

    def fault(handler: Handler, answer: dict[str, Any]) -> None:
        body = {"Message": f"Received {status}", "OriginalStatusCode": status, "OriginalMessage": message}
        handler.answer(424, json.dumps(body).encode(), x_amzn_ErrorType="ModelError")

    return fault


def hanging(handler: Handler, answer: dict[str, Any]) -> None:
    handler.endpoint.ended.wait(10)
    handler.close_connection = True


def cut_off(handler: Handler, answer: dict[str, Any]) -> None:
    """Half of an answer, and the connection is closed."""
    body = json.dumps(answer).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def dropped(handler: Handler, answer: dict[str, Any]) -> None:
    """No answer at all, and the connection is closed."""
    handler.close_connection = True


def html(handler: Handler, answer: dict[str, Any]) -> None:
    handler.answer(200, b"<html><body>Sign in</body></html>", Content_Type="text/html")


def changed(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The right answer but for one thing."""

    def fault(handler: Handler, answer: dict[str, Any]) -> None:
        change(answer)
        fine(handler, answer)

    return fault


one_row_too_few = changed(lambda answer: answer["predictions"].pop())
one_number_too_many = changed(lambda answer: [row.append(0.5) for row in answer["predictions"]])
#: as Python writes it, which is no JSON, and as other libraries do
not_a_number = changed(lambda answer: answer["predictions"][0].__setitem__(3, float("nan")))
null = changed(lambda answer: answer["predictions"][0].__setitem__(3, None))
zeros = changed(lambda answer: answer.update(predictions=[[0.0] * len(row) for row in answer["predictions"]]))
text = changed(lambda answer: answer["predictions"][0].__setitem__(3, "1.5"))
all_text = changed(lambda answer: answer.update(predictions=[list(map(str, row)) for row in answer["predictions"]]))
true = changed(lambda answer: answer["predictions"][0].__setitem__(3, True))
enormous = changed(lambda answer: answer["predictions"][0].__setitem__(3, 10**400))
words = changed(lambda answer: answer.update(predictions="none"))
a_list = changed(lambda answer: answer.clear())
without_model = changed(lambda answer: answer.pop("model"))
another_model = changed(lambda answer: answer.update(model=OTHER.fingerprint))


# The server -------------------------------------------------------------------------------------------------


@contextmanager
def served() -> Iterator[Endpoint]:
    """The server on a free port of the loopback interface, with a thread for each connection."""
    endpoint = Endpoint()
    handler = type("ScriptedHandler", (Handler,), {"endpoint": endpoint})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        endpoint.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.ended.set()
            server.shutdown()
            thread.join()


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead boto3 to a server, and to nothing of the developer's own."""
    account(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
