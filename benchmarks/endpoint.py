"""How fast the endpoint server is, what its ways add to the model, and what that makes of the write path.

    python -m benchmarks.endpoint [FOLDER] [--package model.tar.gz] [--json]

The package is ResNet50 with random weights unless one is given: speed does not depend on what it has learnt. FOLDER,
photos in one folder a class, adds the write path of 500 of them. The ways that are compared take turns within one
run; servers that are not asked stand idle. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import processor
from benchmarks.server import ALONE, PATIENCE, ROOT, CommandFailed, Site, free_port

NAME = "benchmark"
CLIENTS = 8
BATCH = 16
PHOTOS = 500
WAITING = 64
#: What counts as no slower: rates of a shared machine vary by as much from round to round.
AS_FAST = 0.95


@dataclass(frozen=True)
class EndpointServer:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What points the site at it."""
        return {"SAGEMAKER_ENDPOINT_NAME": NAME, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url}

    def memory_mb(self, field: str) -> int:
        """A line of the process's status on Linux: VmRSS now, VmHWM at most so far."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) // 1024
        raise CommandFailed(f"This system does not say {field} of a process.")


@contextmanager
def serve(package: Path, engine: str, *options: str) -> Iterator[EndpointServer]:
    """The endpoint server on a free port of this machine alone, answering; it has ended afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "endpoint.server", "--model", str(package), "--engine", engine]
    process = subprocess.Popen([*command, "--port", str(port), *options], cwd=ROOT, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("The endpoint server did not start.")
            time.sleep(0.1)
        yield EndpointServer(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.client.OK
    return False


# Single images ----------------------------------------------------------------------------------------------


def images_per_second(server: EndpointServer, clients: int, body: bytes, seconds: float) -> float:
    """Clients that each send one image after another on a connection of their own."""
    end = time.perf_counter() + seconds
    counts = [0] * clients

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        with contextlib.closing(connection):
            while time.perf_counter() < end:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/x-image"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != http.client.OK:
                    raise CommandFailed(f"The endpoint answered {answer.status}: {content[:200]!r}")
                counts[number] += 1

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))
    return sum(counts) / (time.perf_counter() - started)


def throughput(package: Path, body: bytes, rounds: int, seconds: float) -> dict[str, dict[int, float]]:
    """Images a second of each way of serving, by the number of clients: medians of rounds that take turns."""
    ways = {
        "openvino": ("openvino",),
        "openvino, not gathered": ("openvino", "--batch", "1"),
        "tensorflow": ("tensorflow",),
    }
    taken: dict[str, dict[int, list[float]]] = {way: {1: [], CLIENTS: []} for way in ways}
    with ExitStack() as stack:
        servers = {way: stack.enter_context(serve(package, *options)) for way, options in ways.items()}
        for round_number in range(rounds + 1):
            for way, server in servers.items():
                for clients, found in taken[way].items():
                    rate = images_per_second(server, clients, body, seconds)
                    if round_number:  # the first still allocates
                        found.append(rate)
    return {way: {n: statistics.median(found) for n, found in by.items()} for way, by in taken.items()}


# Batches of the site's embedder -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Overhead:
    """Milliseconds an image in a batch of 16: by the site's embedder through HTTP, and by the model alone."""

    embedder: float
    model: float

    @property
    def share(self) -> float:
        return self.embedder / self.model - 1


def overhead(package: Path, rounds: int, scratch: Path) -> Overhead:
    import django
    from django.core.management import call_command

    os.environ |= {"DJANGO_SETTINGS_MODULE": "visualsearch.settings", "DATA_DIR": str(scratch)}
    django.setup()
    call_command("createcachetable")  # where the embedder keeps what the endpoint is
    from search.vision.embedders.openvino import OpenVinoEmbedder
    from search.vision.embedders.sagemaker import SageMakerEmbedder

    with serve(package, "openvino") as server:
        os.environ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = server.url
        through = SageMakerEmbedder("benchmark", endpoint=NAME)
        alone = OpenVinoEmbedder("benchmark", package=package).compile().create_infer_request()
        squares = photographs(through.size)
        ways: dict[str, Callable[[], object]] = {
            "embedder": lambda: through.embed(squares),
            "model": lambda: alone.infer([squares], share_inputs=True),
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds + 2):
            for way, call in ways.items():
                started = time.perf_counter()
                call()
                taken[way].append(1000 * (time.perf_counter() - started) / BATCH)
    return Overhead(*(statistics.median(taken[way][2:]) for way in ("embedder", "model")))


def photographs(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Squares with edges and texture, uint8 (BATCH, size, size, 3): the cost of PNG depends on what they show."""
    from skimage import data

    names = ("astronaut", "coffee", "chelsea", "rocket")
    pictures = [Image.fromarray(getattr(data, name)()).convert("RGB").resize((size, size)) for name in names]
    return np.stack([np.asarray(pictures[i % len(names)].rotate(15 * i)) for i in range(BATCH)])


# The write path ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WritePath:
    """Seconds for the photos: this project's whole way, and the calls alone of the sample's."""

    photos: int
    ours: float
    sample: float

    @property
    def factor(self) -> float:
        return self.sample / self.ours


def write_path(package: Path, folder: Path) -> WritePath:
    """Photos read, normalised, embedded through OpenVINO, fitted and indexed; against raw files one after another.

    The sample's way stops at the answer: neither its colours nor its index are counted against it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen = _some(folder, Path(scratch) / "photos")
        site = Site(Path(scratch) / "data", ALONE | {"SAGEMAKER_ENDPOINT_NAME": "", "EMBEDDER_PACKAGE": ""})
        site.prepare()
        site.run("manage.py", "import_catalogue", str(Path(scratch) / "photos"))
        with serve(package, "openvino") as server:
            through = Site(site.data_dir, {**site.variables, **server.variables})
            started = time.perf_counter()
            through.run("manage.py", "rebuild_index", "--force")  # random weights find little
            ours = time.perf_counter() - started
        with serve(package, "tensorflow") as server:
            sample = _one_by_one(server, chosen)
    return WritePath(len(chosen), ours, sample)


def _some(folder: Path, target: Path) -> list[Path]:
    """Every nth photo of the folder, copied with its class."""
    photos = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    step = max(1, len(photos) // PHOTOS)
    chosen = []
    for photo in photos[::step][:PHOTOS]:
        copy = target / photo.parent.name / photo.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, copy)
        chosen.append(copy)
    return chosen


def _one_by_one(server: EndpointServer, photos: Sequence[Path]) -> float:
    import boto3

    client = boto3.client("sagemaker-runtime", endpoint_url=server.url, region_name="eu-west-1", **_keys())
    for photo in photos[:3]:
        client.invoke_endpoint(EndpointName=NAME, ContentType="application/x-image", Body=photo.read_bytes())
    started = time.perf_counter()
    for photo in photos:
        answer = client.invoke_endpoint(EndpointName=NAME, ContentType="application/x-image", Body=photo.read_bytes())
        json.loads(answer["Body"].read())
    return time.perf_counter() - started


def _keys() -> dict[str, str]:
    return {"aws_access_key_id": "none", "aws_secret_access_key": "none"}


# Memory -----------------------------------------------------------------------------------------------------


def memory(package: Path) -> tuple[int, int, dict[int, int]]:
    """Megabytes idle and at most, while 64 clients at once send as much as a request may have; answers by status."""
    square = bmp(np.zeros((224, 224, 3), np.uint8))
    one = b'{"b64":"' + base64.b64encode(square) + b'"}'
    body = b'{"instances":[' + b",".join([one] * ((6_291_456 - 20) // (len(one) + 1))) + b"]}"
    statuses: dict[int, int] = {}
    lock = threading.Lock()
    with serve(package, "openvino") as server:
        idle = server.memory_mb("VmRSS")

        def ask(_number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
            with contextlib.closing(connection):
                try:
                    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                    status = connection.getresponse().status
                except OSError:  # refused while the body was under way
                    status = 0
            with lock:
                statuses[status] = statuses.get(status, 0) + 1

        with ThreadPoolExecutor(WAITING) as pool:
            list(pool.map(ask, range(WAITING)))
        return idle, server.memory_mb("VmHWM"), statuses


def bmp(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "BMP")
    return out.getvalue()


# All of it --------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--package", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way has its turn (3)")
    parser.add_argument("--seconds", type=float, default=6, help="of each turn (6)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # With --json what is known so far goes elsewhere.
    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    say(processor())
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        package = options.package or _export(scratch)
        rates = throughput(package, bmp(photographs(224)[0]), options.rounds, options.seconds)
        say(f"\nSingle images, images/s          1 client  {CLIENTS} clients")
        for way, by in rates.items():
            say(f"{way:<30}  {by[1]:>9.1f}  {by[CLIENTS]:>9.1f}")
        added = overhead(package, options.rounds * 5, scratch)
        say(
            f"\nA batch of {BATCH}, ms an image: {added.embedder:.2f} through HTTP and boto3, {added.model:.2f} by "
            f"the model alone: {added.share:+.1%} (target below 15 %)",
        )
        idle, peak, statuses = memory(package)
        say(
            f"Memory under {WAITING} clients with 6 MB each: {idle} MB idle, {peak} MB at most; answers {statuses}",
        )
        written = write_path(package, options.folder) if options.folder else None
        if written:
            say(
                f"{written.photos} photos: {written.ours:.1f} s, the sample's way {written.sample:.1f} s",
            )
    bf16 = _in_bf16()
    gathered, alone = rates["openvino"], rates["openvino, not gathered"]
    targets = {
        "OpenVINO against TensorFlow": (gathered[CLIENTS] / rates["tensorflow"][CLIENTS], 2.5 if bf16 else 1.3),
        **{f"gathering against not, {n} clients": (gathered[n] / alone[n], AS_FAST) for n in gathered},
        **({"write path against the sample's": (written.factor, 3.0 if bf16 else 1.6)} if written else {}),
    }
    result = {
        "processor": processor(),
        "images_per_second": rates,
        "overhead": {**vars(added), "share": added.share},
        "memory_mb": {"idle": idle, "peak": peak, "answers": statuses},
        "write_path": {**vars(written), "factor": written.factor} if written else None,
    }
    if options.json:
        print(json.dumps(result))
    for what, (factor, target) in targets.items():
        say(f"{what}: {factor:.2f} times (target {target})")
    met = [factor >= target for factor, target in targets.values()]
    sys.exit(not all([*met, added.share <= 0.15]))


def _in_bf16() -> bool:
    """Whether the servers on OpenVINO compute in bf16: more is expected of them then."""
    from openvino import Core

    from modelarchive.precision import prefers_bf16

    return prefers_bf16(Core())


def _export(folder: Path) -> Path:
    """ResNet50 with random weights, made by a process of its own: TensorFlow stays out of this one."""
    command = [sys.executable, "-m", "endpoint.export", "--architecture", "resnet50", "--weights", "none"]
    subprocess.run([*command, "--output", str(folder)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder / "model.tar.gz"


if __name__ == "__main__":
    main()
