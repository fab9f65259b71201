"""How much one process takes on at a time, and from whom.

Requests that find no free thread wait in one queue for each client, and threads go to the clients in turn: a client
that sends many requests delays its own, not those of others. What would wait too long is refused at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass


class Overloaded(Exception):
    """There is no room for this request now; it may be tried again after `RETRY_AFTER` seconds."""


RETRY_AFTER = 5
"""Seconds. Longer than most queues take to empty, and short enough for somebody to wait."""


@dataclass(frozen=True)
class Limits:
    """What one process takes on. A client is one address, or one network of IPv6."""

    #: requests that wait for a thread
    waiting: int = 256
    #: of them, those of one client: the crowd of an office behind one address
    waiting_of_client: int = 96
    #: seconds that a request waits for a thread
    patience: float = 10.0
    #: requests whose bodies are being received: fewer than connections, of which pages and probes need some
    receiving: int = 600
    #: of them, those of one client
    receiving_of_client: int = 96
    #: bytes of request bodies in temporary files, which are being received or wait
    bodies: int = 1_000_000_000
    #: of them, those of one client: two dozen of the largest pictures
    bodies_of_client: int = 256_000_000


class Admission:
    """The threads of one process and who waits for them. To be used within one event loop.

    threads: how many requests are answered at once.
    """

    def __init__(self, threads: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._free = threads
        self._waiting = 0
        # Clients in the order of their turns; whoever gets a thread goes to the end.
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._receiving: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()

    def check(self, client: str) -> None:
        """Raise Overloaded if a request of this client would be refused now. Asked before its body is read."""
        mine = len(self._queues.get(client, ()))
        if self._waiting >= self.limits.waiting or mine >= self.limits.waiting_of_client:
            raise Overloaded

    @asynccontextmanager
    async def thread(self, client: str) -> AsyncIterator[None]:
        """The right to use one thread. Raises Overloaded if too many wait, or if it takes too long."""
        if self._free:
            self._free -= 1
        else:
            self.check(client)
            await self._turn(client)
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self, client: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(client, deque())
        queue.append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(self.limits.patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the turn came just as the wait ended
            elif turn in queue:
                queue.remove(turn)
                self._waiting -= 1
                if not queue:
                    del self._queues[client]
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise

    def _pass_on(self) -> None:
        """A thread is free: the next client's oldest request gets it."""
        while self._queues:
            client, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues.move_to_end(client)
            else:
                del self._queues[client]
            if not turn.done():  # as one is that has just been given up
                turn.set_result(None)
                return
        self._free += 1

    @contextmanager
    def receiving(self, client: str) -> Iterator[None]:
        """The right to send a body. Raises Overloaded if too many are being received."""
        _count(self._receiving, client, 1, self.limits.receiving_of_client, self.limits.receiving)
        try:
            yield
        finally:
            _count(self._receiving, client, -1)

    def keep(self, client: str, count: int) -> None:
        """Note that `count` more bytes of a client's bodies are in files. Raises Overloaded if there is no room."""
        _count(self._bodies, client, count, self.limits.bodies_of_client, self.limits.bodies)

    def drop(self, client: str, count: int) -> None:
        """Note that `count` of these bytes are gone."""
        _count(self._bodies, client, -count)


def _count(counter: Counter[str], client: str, amount: int, most: int = 0, most_of_all: int = 0) -> None:
    """Count for a client and for all of them (the key ""). Raises Overloaded if there would be more than the most."""
    if amount > 0 and (counter[client] + amount > most or counter[""] + amount > most_of_all):
        raise Overloaded
    for key in (client, ""):
        counter[key] += amount
        if not counter[key]:
            del counter[key]
