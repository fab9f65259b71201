"""Model packages and servers for tests: the real server in a process, or in a thread with another engine."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
import numpy as np
import urllib3
import uvicorn
from botocore.config import Config
from numpy.typing import NDArray
from PIL import Image

from endpoint.application import Application
from endpoint.engines import Engine
from endpoint.server import Server
from modelarchive.manifest import Manifest
from tests import drawing
from tests.waiting import until

ROOT = Path(__file__).parents[2]
EXPORT = ("--architecture", "mobilenetv2", "--weights", "none", "--pooling", "gem")


def export(folder: Path) -> Path:
    """Make a package as the options say: of MobileNetV2 with random weights, the smallest there is."""
    command = [sys.executable, "-m", "endpoint.export", *EXPORT, "--output", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    return folder / "model.tar.gz"


@dataclass
class Address:
    """Where a server listens."""

    url: str

    def client(self, **config: Any) -> Any:
        """The runtime of boto3; without retries of its own unless the configuration says so."""
        return boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id="anyone",
            aws_secret_access_key="anything",
            config=Config(**{"retries": {"total_max_attempts": 1}, "max_pool_connections": 100, **config}),
        )

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request("GET", self.url + path)

    def post(self, body: Any, content_type: str = "application/x-image", **headers: str) -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request(
                "POST", f"{self.url}/invocations", body=body, headers={"Content-Type": content_type, **headers}
            )

    def metric(self, name: str, **labels: str) -> float:
        """One number of /metrics; 0 where it is not there."""
        pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
        wanted = f"{name}{{{pairs}}}" if pairs else name
        for line in self.get("/metrics").data.decode().splitlines():
            if line.rpartition(" ")[0] == wanted:
                return float(line.rpartition(" ")[2])
        return 0.0


@dataclass
class Process(Address):
    """A server in a process of its own."""

    process: subprocess.Popen[str]

    @property
    def peak(self) -> int:
        """The most bytes that it has ever had in memory (Linux)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError


@contextmanager
def serving(model: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Process]:
    """`python -m endpoint.server` on a free port of the loopback interface, once its model answers."""
    command = [sys.executable, "-W", "error", "-m", "endpoint.server", "--model", str(model), "--port", "0", *options]
    variables = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, env=variables)  # noqa: S603
    try:
        yield Process(_announced(process), process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _output(process).close()


def _announced(process: subprocess.Popen[str]) -> str:
    line = _output(process).readline()  # comes when the model is there; empty when the process has ended
    if not line:
        raise RuntimeError(f"The server has ended with {process.wait()}.")
    return line.split()[-1]


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


class MeanColour(Engine):
    """A real, small model: the mean of each channel of 8 x 8 pixels. It can be held up, and has two bad colours."""

    name = "mean colour"
    precision = "f32"
    #: of such pixels the rows are no numbers
    no_number = (250, 0, 250)
    #: with such pixels the batch fails
    failing = (0, 250, 250)

    def __init__(self) -> None:
        super().__init__(Manifest("mean-colour", "0" * 64, "mean", 8, 3))
        #: the batches that were begun, without those of a server's start
        self.batches: list[int] = []
        #: whether every batch fails
        self.broken = False
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Answer nothing until `release`."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def _rows(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        if squares.any():
            self.batches.append(len(squares))
        self._free.wait(timeout=120)
        if self.broken or (squares[:, 0, 0] == self.failing).all(axis=1).any():
            raise RuntimeError("out of colours")
        rows: NDArray[np.float32] = squares.mean(axis=(1, 2), dtype=np.float32)
        rows[(squares[:, 0, 0] == self.no_number).all(axis=1)] = np.nan
        return rows


@contextmanager
def running(application: Application, grace: float = 5.0, *, ready: bool = True) -> Iterator[Address]:
    """An application under uvicorn in a thread, once it listens and, if `ready`, its model answers."""
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1)
    server = Server(config, application, grace)
    listener = socket.create_server(("127.0.0.1", 0))
    address = Address(f"http://127.0.0.1:{listener.getsockname()[1]}")
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        until(lambda: server.started and (application.engine or not ready))
        yield address
    finally:
        server.should_exit = True
        thread.join()


def encoded(image: Image.Image | NDArray[np.uint8], file_format: str = "PNG", **options: Any) -> bytes:
    """A file that loses nothing, unless the format does."""
    return drawing.encoded(
        image if isinstance(image, Image.Image) else Image.fromarray(image), file_format, **options
    )


def plain(colour: tuple[int, int, int], side: int = 8) -> bytes:
    """An image of one colour."""
    return encoded(Image.new("RGB", (side, side), colour))


def drawn(count: int, side: int = 224) -> list[Image.Image]:
    """Different garments."""
    kinds, colours = ("shirt", "trousers", "dress", "hat"), ("#b03030", "#2040a0", "#208040", "#d0a020", "#303030")
    return [
        drawing.picture(kinds[index % 4], colours[index % 5], seed=index).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for index in range(count)
    ]


def instances(images: Sequence[bytes]) -> bytes:
    """The body of a request with several images."""
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}).encode()


def cosines(one: Any, other: Any) -> NDArray[np.float64]:
    """Row by row."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    cosine: NDArray[np.float64] = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return cosine
