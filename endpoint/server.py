"""Serve a model package over HTTP, with SageMaker's contract for containers and the address of its runtime.

    python -m endpoint.server --model model.tar.gz|FOLDER [--engine openvino|tensorflow]

Each option can be given by the environment as well: ENDPOINT_ENGINE, ENDPOINT_BODY_BYTES and so on. SageMaker unpacks
the package at /opt/ml/model, which is the default, and starts containers with the word “serve”.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import uvicorn

from endpoint import engines
from modelarchive import archive, inference

if TYPE_CHECKING:
    import socket

    from endpoint.application import Application

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays: longer than clients keep theirs, so that the client closes it."""


class Server(uvicorn.Server):
    """Announces a loaded model, ends when loading fails, and answers all admitted requests before it stops.

    grace: seconds that admitted requests are waited for. SageMaker kills a container 30 s after SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, application: Application, grace: float = 25.0) -> None:
        super().__init__(config)
        self._application = application
        self._grace = grace
        self._announced = False

    async def on_tick(self, counter: int) -> bool:
        if self._application.engine and not self._announced:
            self._announced = True
            self._announce()
        return await super().on_tick(counter) or self._application.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.stop()
        end = time.monotonic() + self._grace
        # It keeps listening meanwhile, so that pings and new requests get a 503.
        while self._application.admitted and not self.force_exit and time.monotonic() < end:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    def _announce(self) -> None:
        engine = self._application.engine
        assert engine is not None  # noqa: S101
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(f"{engine.manifest.fingerprint} on {engine.name} ({engine.precision}): {address}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from PIL import Image

    from endpoint.application import Application, Limits

    # Images of that size are refused anyway; the log needs no warning.
    warnings.simplefilter("error", Image.DecompressionBombWarning)

    def load() -> engines.Engine:
        with archive.unpacked(options.model) as opened:
            return engines.load(options.engine, opened, options.precision, options.threads)

    limits = Limits(options.queue, options.body_bytes, options.timeout)
    application = Application(load, limits, batch=options.batch, wait=options.wait / 1000, name=options.name)
    config = uvicorn.Config(
        application,
        host=options.host,
        port=options.port,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    # uvicorn shuts down at SIGTERM and raises the signal again afterwards, which must not end the process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Server(config, application, options.grace).run()
    except KeyboardInterrupt:
        return 130
    if application.failure is None:
        return 0
    if not isinstance(application.failure, (engines.EngineError, archive.ArchiveError, OSError)):
        raise application.failure
    print(application.failure, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m endpoint.server", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def add(name: str, default: Any, text: str, **more: Any) -> None:
        given = os.environ.get(f"ENDPOINT_{name.upper().replace('-', '_')}", default)
        parser.add_argument(f"--{name}", default=given, help=f"{text} ({default})", **more)

    # Defaults that are texts go through `type` as well, and so do the environment's.
    parser.add_argument("serve", nargs="?", choices=["serve"], help=argparse.SUPPRESS)
    add("model", "/opt/ml/model", "a package, or the folder that one was unpacked to", type=Path)
    add("engine", "openvino", "what runs the model", choices=get_args(engines.EngineName))
    add("precision", "auto", "auto is bf16 where that is faster", choices=get_args(engines.Precision))
    add("threads", "0", "threads of the model; 0 is one per core", type=_number(0))
    add("host", "127.0.0.1", "the address to listen on")
    add("port", "8080", "0 chooses a free one", type=_number(0))
    add("name", None, "the only endpoint name that is accepted; by default all are", metavar="NAME")
    add("batch", "16", "the maximum of images in a batch", type=_number(1))
    add("wait", "0", "milliseconds that an incomplete batch waits for more images", type=_seconds, metavar="MS")
    add("queue", "64", "concurrent requests; others are refused", type=_number(1))
    add("body-bytes", str(inference.BODY_BYTES), "bytes of a request", type=_number(1))
    add("timeout", "60", "seconds until a request times out", type=_seconds)
    add("grace", "25", "seconds that admitted requests have when the server stops", type=_seconds)
    return parser


def _number(least: int) -> Any:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is too small; at least {least}")
        return int(text)

    return number


def _seconds(text: str) -> float:
    if not 0 <= float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a duration")
    return float(text)


if __name__ == "__main__":
    sys.exit(main())
