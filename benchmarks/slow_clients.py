"""Slow clients against the production server: what a shopper at another address notices.

    python -m benchmarks.slow_clients [--clients 500] [--seconds 20] [--addresses 1]

Half of the clients ask for a large file again and again and read nothing; the other half send a picture at 22 kB/s.
A client that is cut off comes back after `BACK_AFTER` seconds. Prints the 50th and 95th percentile of a shopper's
home page without and with them, their ratio, and how long the liveness probe takes meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.attacks import Shop, Visits, running_shop
from benchmarks.machine import processor

BYTES_A_SECOND = 22_000
BACK_AFTER = 2.0
ESTABLISHED = 1
"""A connection's state in Linux's TCP_INFO."""

LARGEST = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


async def _reader(shop: Shop, source: str) -> None:
    """Ask for a large file several times on one connection and read nothing, for as long as the server lets it."""
    request = f"GET {LARGEST} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError), socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.bind((source, 0))
            await loop.sock_connect(client, ("127.0.0.1", shop.port))
            await loop.sock_sendall(client, request * 4)
            while client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED:
                await asyncio.sleep(0.5)
        await asyncio.sleep(BACK_AFTER)


async def _writer(shop: Shop, source: str) -> None:
    """Send a picture of 10 MB at 22 kB/s."""
    fields = ("Host: localhost", "Content-Type: image/jpeg", "Content-Length: 10000000")
    head = "\r\n".join(["POST /api/v1/search/ HTTP/1.1", *fields, "", ""])
    while True:
        with contextlib.suppress(OSError):
            _reply, writer = await asyncio.open_connection("127.0.0.1", shop.port, local_addr=(source, 0))
            with contextlib.closing(writer):
                writer.write(head.encode())
                while not writer.is_closing():
                    writer.write(bytes(BYTES_A_SECOND // 2))
                    await writer.drain()
                    await asyncio.sleep(0.5)
        await asyncio.sleep(BACK_AFTER)


@contextmanager
def slow_clients(shop: Shop, readers: int, writers: int, addresses: int = 1) -> Iterator[None]:
    """So many of each for the block, spread over addresses of the loopback."""
    loop = asyncio.new_event_loop()

    async def all_of_them() -> None:
        kinds = [_reader] * readers + [_writer] * writers
        sources = (f"127.0.1.{1 + index % addresses}" for index in range(len(kinds)))
        await asyncio.gather(*(kind(shop, source) for kind, source in zip(kinds, sources, strict=True)))

    def run() -> None:
        with contextlib.closing(loop), contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    task = loop.create_task(all_of_them())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=500, help="of each kind")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--addresses", type=int, default=1, help="that they come from")
    options = parser.parse_args()
    print(processor())
    wait = threading.Event().wait
    with tempfile.TemporaryDirectory() as folder, running_shop(Path(folder), products=60) as shop:
        with shop.shopper() as usual, shop.shopper("/healthz", "127.0.0.3") as usual_probe:
            wait(options.seconds)
        with slow_clients(shop, options.clients, options.clients, options.addresses):
            wait(5)  # until all of them have come
            with shop.cost() as cost, shop.shopper() as visits, shop.shopper("/healthz", "127.0.0.3") as probe:
                wait(options.seconds)
    _print("home page, no attack", usual)
    _print(f"home page, {options.clients} readers and {options.clients} writers", visits)
    _print("probe, no attack", usual_probe)
    _print("probe, under attack", probe)
    print(f"ratio of the 95th percentiles: {visits.p95 / usual.p95:.2f}")
    print(f"processor: {cost.processor_seconds:.1f} s; peak memory: {cost.peak_megabytes:.0f} MB")


def _print(name: str, visits: Visits) -> None:
    middle = statistics.median(visits.seconds) * 1000
    print(f"{name}: p50 {middle:.0f} ms, p95 {visits.p95 * 1000:.0f} ms, {len(visits.failures)} failures")


if __name__ == "__main__":
    main()
