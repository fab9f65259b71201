"""SageMaker's contract over HTTP: GET /ping, POST /invocations, and the runtime's own address; GET /metrics beside.

Memory is bounded. At most `Limits.requests` requests are admitted; others are refused before their body is read.
Each has a body of at most `Limits.body` bytes, which goes once it is decoded. As many requests are decoded at a time
as there are cores, and none while four batches of pictures wait: so at most 4 batches and `inference.IMAGES` pictures
per core are squares, of 150,528 bytes at 224 pixels. With the defaults and two cores:

    64 bodies of 6.3 MB                                    403 MB
    copies of a body being parsed, 3 for each of 2          38 MB
    4 x 16 + 2 x 64 squares, and a batch in the model       31 MB
    one image of 50 million pixels being decoded           450 MB
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from endpoint import decoding, faults
from endpoint.batching import Batcher
from endpoint.engines import Engine
from endpoint.faults import Fault
from endpoint.metrics import Metrics
from modelarchive import inference

logger = logging.getLogger(__name__)

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"

_PING_SECONDS = 1.5
"""How long a ping waits for a model that has failed; SageMaker waits for 2 s."""

_DRAINED_BYTES = 64_000_000
"""Of a refused request with more, or of unknown length, the rest is not read: its connection is closed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The limits of one server."""

    #: requests that are admitted at a time
    requests: int = 64
    #: bytes of a body
    body: int = inference.BODY_BYTES
    #: seconds from a request's head to its answer; SageMaker's own limit
    seconds: float = 60.0


class Application:
    """An ASGI application that serves one model; it is loaded in the background when the application starts.

    load: returns the engine. It is called in a thread; its exception is kept in `failure`.
    batch, wait: see `Batcher`.
    name: the endpoint's; None takes any.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        limits: Limits | None = None,
        *,
        batch: int = 16,
        wait: float = 0.0,
        name: str | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.engine: Engine | None = None
        self.failure: Exception | None = None
        self.admitted = 0
        self._load = load
        self._batch = batch
        self._wait = wait
        self._name = name
        self._batcher: Batcher | None = None
        self._stopping = False
        self._answer: dict[str, Any] = {}
        self._manifest: dict[str, Any] = {}
        threads = os.cpu_count() or 1
        self._decoders = ThreadPoolExecutor(threads, "decoder")
        self._decoding = asyncio.Semaphore(threads)
        self._routes = Starlette(
            routes=[
                Route("/ping", self._ping),
                Route("/metrics", self._metrics_page),
                Route("/invocations", self._invoked, methods=["POST"]),
                Route("/endpoints/{name}/invocations", self._invoked, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._routes(scope, receive, send)

    def stop(self) -> None:
        """Refuse new requests and pings; admitted requests are still answered."""
        self._stopping = True

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(self._serve())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _serve(self) -> None:
        try:
            engine = await asyncio.to_thread(self._loaded)
        except Exception as error:
            self.failure = error
            return
        self._answer = {"model": engine.manifest.fingerprint}
        self._manifest = json.loads(engine.manifest.to_json())
        self._batcher = Batcher(engine, self.metrics, size=self._batch, wait=self._wait)
        self.engine = engine
        await self._batcher.run()

    def _loaded(self) -> Engine:
        engine = self._load()
        # The first batch takes longer than others, and shows whether the model answers at all.
        for count in {1, self._batch}:
            engine.embed(_black(engine, count))
        return engine

    async def _ping(self, request: Request) -> Response:
        try:
            await self._check()
        except Fault as fault:
            return faults.plain(fault)
        return JSONResponse({})

    async def _check(self) -> None:
        engine, batcher = self._ready()
        if batcher.began is not None and time.monotonic() - batcher.began > self.limits.seconds:
            raise faults.Unavailable(f"The model has not answered for {self.limits.seconds:g} s.")
        if batcher.failed:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await batcher.embed(list(_black(engine, 1)))
            except Exception as error:
                raise faults.Unavailable(f"The model does not answer: {error}") from error

    async def _metrics_page(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _invoked(self, request: Request) -> Response:
        began = time.perf_counter()
        name = request.path_params.get("name")
        try:
            response = await self._answered(request, name)
        except Fault as fault:
            response = _refusal(request, fault, name)
        except ClientDisconnect:
            # Nobody reads it; web servers log this status.
            response = Response(status_code=499)
        except Exception:
            logger.exception("A request failed")
            response = _refusal(request, faults.InternalFailure("The server failed; its log says more."), name)
        if name is not None:
            response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        self.metrics.requests.labels(response.status_code).inc()
        self.metrics.request_seconds.observe(time.perf_counter() - began)
        return response

    async def _answered(self, request: Request, name: str | None) -> Response:
        if self._name is not None and name is not None and name != self._name:
            raise faults.UnknownEndpoint(f"Endpoint {name} of account {faults.ACCOUNT} not found.")
        engine, batcher = self._ready()
        content_type = request.headers.get("content-type")
        size = engine.manifest.size
        with self._admission():
            try:
                async with asyncio.timeout(self.limits.seconds) as limit:
                    # From here on the request is admitted, and answered even if the server stops.
                    work = self._rows(batcher, size, await self._body(request), content_type)
                    rows = await _unless_gone(request, work)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise faults.TooSlow(f"There was no answer within {self.limits.seconds:g} s. Try again.") from error
            except inference.Refused as refused:
                raise faults.Refused(refused) from refused
        answer = {"predictions": rows, **self._answer}
        if inference.wants_manifest(request.headers.get(ATTRIBUTES)):
            answer["manifest"] = self._manifest
        headers = {} if name is None else {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
        body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, headers=headers, media_type=inference.JSON)

    def _ready(self) -> tuple[Engine, Batcher]:
        if self._stopping:
            raise faults.Stopping("This server is being stopped. Try again.")
        if self.engine is None or self._batcher is None:
            raise faults.NotReady("The model is being loaded. Try again in a moment.")
        return self.engine, self._batcher

    @contextmanager
    def _admission(self) -> Iterator[None]:
        if self.admitted >= self.limits.requests:
            raise faults.Overloaded(f"{self.admitted} requests are being answered already. Try again in a moment.")
        self.admitted += 1
        self.metrics.admitted.set(self.admitted)
        try:
            yield
        finally:
            self.admitted -= 1
            self.metrics.admitted.set(self.admitted)

    async def _body(self, request: Request) -> bytes:
        too_large = faults.BodyTooLarge(inference.too_large(self.limits.body).sentence)
        if _declared_bytes(request) > self.limits.body:
            raise too_large
        chunks, count = [], 0
        async for chunk in request.stream():
            count += len(chunk)
            if count > self.limits.body:
                raise too_large
            chunks.append(chunk)
        return b"".join(chunks)

    async def _rows(self, batcher: Batcher, size: int, body: bytes, content_type: str | None) -> NDArray[np.float32]:
        abandoned = threading.Event()
        async with self._decoding:
            await batcher.room()
            work = asyncio.get_running_loop().run_in_executor(
                self._decoders, self._squares, body, content_type, size, abandoned
            )
            try:
                squares = await asyncio.shield(work)
            finally:
                # A thread cannot be cancelled: until it has decoded its image, the body stays in memory and counts.
                abandoned.set()
                await asyncio.wait([work])
        del body  # as large as the squares, which may wait for long
        try:
            return await batcher.embed(squares)
        except Exception as error:
            raise faults.ModelFailed(f"The model failed: {error}") from error

    def _squares(
        self, body: bytes, content_type: str | None, size: int, abandoned: threading.Event
    ) -> list[NDArray[np.uint8]]:
        with self.metrics.decode_seconds.time():
            images = inference.pictures(body, content_type)
            alone = images == [body]
            squares = []
            for index, image in enumerate(images):
                if abandoned.is_set():
                    break
                squares.append(decoding.square(image, size, "The image" if alone else f"instances[{index}]"))
            return squares


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; if the client disconnects, cancel it and raise ClientDisconnect."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(request: Request, fault: Fault, name: str | None) -> Response:
    response = faults.plain(fault) if name is None else faults.runtime(fault, name)
    # A short body is read and discarded: a client that is still sending sees the answer only then.
    if not 0 <= _declared_bytes(request) <= _DRAINED_BYTES:
        response.headers["Connection"] = "close"
    return response


def _declared_bytes(request: Request) -> int:
    """-1 if the request names no length, as chunked ones do."""
    try:
        return int(request.headers.get("content-length", -1))
    except ValueError:
        return -1


def _black(engine: Engine, count: int) -> NDArray[np.uint8]:
    size = engine.manifest.size
    return np.zeros((count, size, size, 3), np.uint8)
