from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from endpoint.batching import Batcher
from endpoint.engines import EngineError
from endpoint.metrics import Metrics
from tests.endpoint.serving import MeanColour

Story = Callable[[MeanColour, Batcher], Awaitable[None]]


def play(story: Story, *, size: int = 4, wait: float = 0.0) -> MeanColour:
    """Run a story with a batcher that feeds a model, and return that model."""
    engine = MeanColour()

    async def whole() -> None:
        batcher = Batcher(engine, Metrics(), size=size, wait=wait)
        work = asyncio.create_task(batcher.run())
        try:
            async with asyncio.timeout(60):
                await story(engine, batcher)
        finally:
            engine.release()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(whole())
    return engine


def square(*colour: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 3), colour, np.uint8)


def squares(*reds: int) -> list[NDArray[np.uint8]]:
    return [square(red, 1, 1) for red in reds]


async def held(engine: MeanColour, batcher: Batcher) -> asyncio.Task[NDArray[np.float32]]:
    """Have the model be busy with one picture."""
    engine.hold()
    first = asyncio.create_task(batcher.embed(squares(1)))
    while not engine.batches:
        await asyncio.sleep(0.001)
    return first


def reds(rows: NDArray[np.float32]) -> list[float]:
    return rows[:, 0].tolist()


def test_each_request_gets_its_own_rows_in_their_order() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        answers = await asyncio.gather(*(batcher.embed(squares(*range(n, 2 * n))) for n in range(1, 20)))
        assert [reds(rows) for rows in answers] == [list(range(n, 2 * n)) for n in range(1, 20)]
        assert all(rows.dtype == np.float32 for rows in answers)

    engine = play(story)
    assert sum(engine.batches) == sum(range(1, 20))
    assert max(engine.batches) == 4


def test_an_idle_model_starts_at_once() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        for _ in range(3):
            await batcher.embed(squares(1))

    assert play(story).batches == [1, 1, 1]


def test_pictures_that_arrive_while_the_model_is_busy_form_the_next_batch() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = await held(engine, batcher)
        others = [asyncio.create_task(batcher.embed(squares(n))) for n in range(6)]
        await asyncio.sleep(0.01)
        engine.release()
        await asyncio.gather(first, *others)

    assert play(story).batches == [1, 4, 2]


def test_a_large_request_is_spread_over_batches() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        assert reds(await batcher.embed(squares(*range(10)))) == list(range(10))

    assert play(story).batches == [4, 4, 2]


def test_an_incomplete_batch_waits() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        began = time.monotonic()
        await batcher.embed(squares(1))
        assert time.monotonic() - began >= 0.1

    assert play(story, wait=0.1).batches == [1]


def test_pictures_that_arrive_while_a_batch_waits_join_it() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.embed(squares(1)))
        await asyncio.sleep(0.05)
        await asyncio.gather(first, batcher.embed(squares(2, 3, 4)))  # full now, else it waited beyond the story

    assert play(story, wait=600).batches == [4]


def test_a_full_batch_does_not_wait() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        await batcher.embed(squares(1, 2, 3, 4))

    assert play(story, wait=600).batches == [4]  # longer than the story may take


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = await held(engine, batcher)
        gone = asyncio.create_task(batcher.embed(squares(1, 2, 3)))
        stays = asyncio.create_task(batcher.embed(squares(7)))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        engine.release()
        assert reds(await stays) == [7]
        await first

    assert play(story).batches == [1, 1]


def test_a_cancelled_request_does_not_shorten_the_wait_of_others() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        gone = asyncio.create_task(batcher.embed(squares(1)))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await batcher.embed(squares(2))  # waits from its own arrival
        assert time.monotonic() - began >= 2

    assert play(story, wait=2).batches == [1]


def test_a_row_of_nan_fails_only_its_own_request() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = await held(engine, batcher)
        good = asyncio.create_task(batcher.embed(squares(5)))
        bad = asyncio.create_task(batcher.embed([square(9, 1, 1), square(*MeanColour.no_number)]))
        await asyncio.sleep(0.01)
        engine.release()
        assert reds(await good) == [5]
        with pytest.raises(EngineError, match="no number"):
            await bad
        await first
        assert not batcher.failed

    assert play(story).batches == [1, 3]


def test_a_failed_batch_fails_its_requests_and_the_next_is_embedded() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = await held(engine, batcher)
        # The second batch fails; the request that reaches into the third does too, and leaves the queue.
        failing = [asyncio.create_task(batcher.embed([square(*MeanColour.failing)] * n)) for n in (2, 4)]
        await asyncio.sleep(0.01)
        engine.release()
        for task in failing:
            with pytest.raises(RuntimeError, match="out of colours"):
                await task
        assert batcher.failed
        assert reds(await batcher.embed(squares(3))) == [3]
        assert not batcher.failed
        await first

    assert play(story).batches == [1, 4, 1]


def test_room_blocks_while_four_batches_wait() -> None:
    async def story(engine: MeanColour, batcher: Batcher) -> None:
        first = await held(engine, batcher)
        waiting = asyncio.create_task(batcher.embed(squares(*range(15))))
        await asyncio.sleep(0.01)
        await batcher.room()
        last = asyncio.create_task(batcher.embed(squares(1)))
        await asyncio.sleep(0.01)
        room = asyncio.create_task(batcher.room())
        await asyncio.sleep(0.05)
        assert not room.done()
        engine.release()
        await asyncio.gather(room, waiting, last, first)

    play(story)
