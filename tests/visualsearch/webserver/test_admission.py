"""Who gets a thread, and when; what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from visualsearch.webserver.admission import Admission, Limits, Overloaded


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Requests:
    """Requests that hold a thread until the test ends them."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.served: list[str] = []
        self._end: dict[str, asyncio.Event] = {}

    async def __call__(self, name: str) -> None:
        """`name` begins with its client."""
        self._end[name] = asyncio.Event()
        async with self.admission.thread(name[0]):
            self.served.append(name)
            await self._end[name].wait()

    async def end(self, name: str) -> None:
        self._end[name].set()
        await settled()


def test_clients_take_turns_regardless_of_how_much_they_send() -> None:
    async def scenario() -> None:
        requests = Requests(Admission(1))
        tasks = [asyncio.create_task(requests(name)) for name in ("a1", "a2", "a3", "a4", "b1", "c1")]
        await settled()
        for name in ("a1", "a2", "b1", "c1", "a3", "a4"):
            assert requests.served[-1] == name
            await requests.end(name)
        await asyncio.gather(*tasks)

    run(scenario)


def test_no_more_threads_are_used_than_configured() -> None:
    async def scenario() -> None:
        requests = Requests(Admission(2))
        tasks = [asyncio.create_task(requests(f"{client}1")) for client in "abcd"]
        await settled()
        assert requests.served == ["a1", "b1"]
        for name in ("a1", "b1", "c1", "d1"):
            await requests.end(name)
        await asyncio.gather(*tasks)
        assert requests.served == ["a1", "b1", "c1", "d1"]

    run(scenario)


@pytest.mark.parametrize(
    ("limits", "refused"), [(Limits(waiting=2), "b"), (Limits(waiting_of_client=2), "a")], ids=["all", "one client"]
)
def test_what_does_not_fit_in_the_queue_is_refused_at_once(limits: Limits, refused: str) -> None:
    async def scenario() -> None:
        admission = Admission(1, limits)
        requests = Requests(admission)
        tasks = [asyncio.create_task(requests(name)) for name in ("a1", "a2", "a3")]
        await settled()
        with pytest.raises(Overloaded):
            admission.check(refused)
        with pytest.raises(Overloaded):
            await requests(f"{refused}4")
        if limits.waiting > 2:
            admission.check("b")  # another client's still fit
        for name in ("a1", "a2", "a3"):
            await requests.end(name)
        await asyncio.gather(*tasks)
        admission.check(refused)

    run(scenario)


def test_a_request_that_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    async def scenario() -> None:
        admission = Admission(1, Limits(patience=0.01))
        requests = Requests(admission)
        first = asyncio.create_task(requests("a1"))
        await settled()
        with pytest.raises(Overloaded):
            await requests("b1")
        await requests.end("a1")
        await first
        async with admission.thread("c"):
            pass  # the thread is free again

    run(scenario)


def test_a_request_given_up_at_its_turn_passes_the_thread_on() -> None:
    async def scenario() -> None:
        requests = Requests(Admission(1))
        first = asyncio.create_task(requests("a1"))
        await settled()
        second, third = asyncio.create_task(requests("b1")), asyncio.create_task(requests("c1"))
        await settled()
        requests._end["a1"].set()
        await asyncio.sleep(0)  # its thread is passed to b1, which has not noticed yet
        second.cancel()
        await settled()
        assert requests.served == ["a1", "c1"]
        await requests.end("c1")
        await asyncio.gather(first, third)
        async with requests.admission.thread("d"):
            pass

    run(scenario)


def test_bodies_of_one_client_and_of_all_are_bounded() -> None:
    admission = Admission(1, Limits(bodies=100, bodies_of_client=60))
    admission.keep("a", 60)
    with pytest.raises(Overloaded):
        admission.keep("a", 1)
    admission.keep("b", 40)
    with pytest.raises(Overloaded):
        admission.keep("c", 1)
    admission.drop("a", 60)
    admission.keep("c", 60)


def test_request_bodies_are_bounded_per_client_and_in_total() -> None:
    admission = Admission(1, Limits(receiving=3, receiving_of_client=2))
    with admission.receiving("a"), admission.receiving("a"):
        with pytest.raises(Overloaded), admission.receiving("a"):
            pytest.fail("more than one client's")
        with admission.receiving("b"), pytest.raises(Overloaded), admission.receiving("c"):
            pytest.fail("more than all")
    with admission.receiving("a"):
        pass
