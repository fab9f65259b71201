"""Pictures of several requests -> batches for the model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endpoint.engines import Engine, EngineError
from endpoint.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Request:
    """Pictures that came together; they may be spread over batches."""

    rows: NDArray[np.float32]
    left: int
    answer: asyncio.Future[NDArray[np.float32]]

    def fill(self, index: int, row: NDArray[np.float32]) -> None:
        self.rows[index] = row
        self.left -= 1
        if not self.left and not self.answer.done():
            self.answer.set_result(self.rows)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False)
class _Picture:
    request: _Request
    index: int
    square: NDArray[np.uint8]


class Batcher:
    """Passes pictures to the model in order, as many at a time as are waiting.

    An idle model starts at once. Pictures that arrive while it is busy are its next batch.

    size: the most pictures of a batch.
    wait: seconds that a batch that is not full waits for more.
    """

    def __init__(self, engine: Engine, metrics: Metrics, *, size: int = 16, wait: float = 0.0) -> None:
        self._engine = engine
        self._metrics = metrics
        self._size = size
        self._wait = wait
        self._pending: deque[_Picture] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "model")
        #: whether the last batch failed
        self.failed = False
        #: when the batch that is in the model began, by `time.monotonic`; None while it is idle
        self.began: float | None = None

    async def embed(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Squares of the model's size -> float32 (n, dimensions). When cancelled they leave the queue.

        Raises EngineError.
        """
        rows = np.empty((len(squares), self._engine.manifest.dimensions), np.float32)
        request = _Request(rows, len(squares), asyncio.get_running_loop().create_future())
        self._pending.extend(_Picture(request, index, square) for index, square in enumerate(squares))
        self._changed()
        try:
            return await request.answer
        finally:
            if request.left:
                self._drop()

    async def room(self) -> None:
        """Block while four batches of pictures wait: decoding more would not help."""
        while len(self._pending) >= 4 * self._size:
            self._taken.clear()
            await self._taken.wait()

    async def run(self) -> None:
        """Feed the model until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                batch = await self._gathered()
                self.began = time.monotonic()
                try:
                    rows = await loop.run_in_executor(self._thread, self._embed, [p.square for p in batch])
                except Exception as error:
                    logger.exception("A batch of %d images failed", len(batch))
                    self.failed = True
                    self._fail(batch, error)
                else:
                    self.failed = False
                    self._deliver(batch, rows)
                self.began = None
                self._drop()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _gathered(self) -> list[_Picture]:
        deadline: float | None = None
        while len(self._pending) < self._size:
            if not self._pending:
                deadline = None
            elif deadline is None:
                deadline = time.monotonic() + self._wait
            if deadline is not None and time.monotonic() >= deadline:
                break
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline and deadline - time.monotonic()):
                    await self._arrived.wait()
        batch = [self._pending.popleft() for _ in range(min(self._size, len(self._pending)))]
        self._changed()
        return batch

    def _embed(self, squares: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        with self._metrics.model_seconds.time():
            return self._engine.embed(np.stack(squares))

    def _deliver(self, batch: list[_Picture], rows: NDArray[np.float32]) -> None:
        self._metrics.batches.observe(len(batch))
        self._metrics.pictures.inc(len(batch))
        for picture, row in zip(batch, rows, strict=True):
            if np.isfinite(row).all():
                picture.request.fill(picture.index, row)
            else:
                picture.request.fail(EngineError("The model answers an image with something that is no number."))

    def _fail(self, batch: list[_Picture], error: Exception) -> None:
        for picture in batch:
            picture.request.fail(error)

    def _drop(self) -> None:
        """Forget pictures of requests that have failed or whose client has gone."""
        self._pending = deque(picture for picture in self._pending if not picture.request.answer.done())
        self._changed()

    def _changed(self) -> None:
        self._metrics.waiting.set(len(self._pending))
        self._arrived.set()
        if len(self._pending) < 4 * self._size:
            self._taken.set()
