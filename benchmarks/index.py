"""How long the embedded index takes to search, against merely reading the bytes of its vectors.

    python -m benchmarks.index [--rows 100000] [--width 400] [--rounds 50] [--json]

One query from one thread. The ways are timed in turn, so that whatever else the machine does slows all of them
alike; the figures are medians. Ratios to the reading travel better between machines than milliseconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import numpy as np

from benchmarks.machine import processor

if TYPE_CHECKING:
    from search.indexes.rows import Rows

HITS = 10
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one way, and their ratio to reading the vectors' bytes."""

    way: str
    milliseconds: float
    ratio: float


def rows(count: int, width: int) -> Rows:
    """Made-up documents: the odd ones in stock, one in a hundred of brand 1, all but one in a hundred visible."""
    from search.indexes.rows import Rows

    rng = np.random.default_rng(0)
    vector = np.empty((count, width), np.float16)
    for start in range(0, count, 10_000):  # float32 for all of them would be the peak of the memory
        block = rng.standard_normal((min(10_000, count - start), width), np.float32)
        vector[start : start + len(block)] = block * np.sqrt(2 / width)
    ids = np.arange(1, count + 1)
    return Rows(
        photo_id=ids,
        generation=np.ones(count, np.int64),
        product_id=ids,
        category_id=np.full(count, -1),
        brand_id=np.where(rng.random(count) < 0.01, 1, 2),
        colours=np.zeros(count, np.uint32),
        price=np.full(count, -1),
        in_stock=rng.random(count) < 0.5,
        visible_from=np.where(rng.random(count) < 0.01, MOMENT.timestamp() + 1, -np.inf),
        visible_until=np.full(count, np.inf),
        vector=vector,
    )


def measure(count: int, width: int, rounds: int) -> list[Timing]:
    """Time a search of all, and of the documents that each of a few filters leaves."""
    from search.indexes.base import Filter
    from search.indexes.segments import Contents

    held = rows(count, width)
    contents = Contents.of(0, held)
    words = held.vector.reshape(-1).view(np.uint64)
    queries = np.random.default_rng(1).standard_normal((rounds, width), np.float32)

    def search(where: Filter | None, k: int = HITS) -> Callable[[int], Any]:
        return lambda turn: contents.search(queries[turn], k, where)

    ways: dict[str, Callable[[int], Any]] = {
        "reading the bytes": lambda _: words.sum(),
        "search": search(None),
        "search, 500 hits": search(None, 500),
        "search, 99 % match": search(Filter(visible_at=MOMENT)),
        "search, 50 % match": search(Filter(in_stock=True)),
        "search, 50 % match, 500 hits": search(Filter(in_stock=True), 500),
        "search, 1 % match": search(Filter(brands=frozenset({1}))),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way, call in ways.items():
            start = time.perf_counter()
            call(turn)
            seconds[way].append(time.perf_counter() - start)
    reading = statistics.median(seconds["reading the bytes"])
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    return [Timing(way, median * 1_000, median / reading) for way, median in medians.items()]


def files(count: int, width: int) -> dict[str, float]:
    """Seconds to write all documents into a file and to load them from it, ready to be searched."""
    from search.indexes.segments import Contents
    from search.indexes.snapshots import Snapshot, SnapshotFolder, Tombstones

    with tempfile.TemporaryDirectory() as name:
        folder = SnapshotFolder(Path(name))
        snapshot = Snapshot(rows(count, width), Tombstones.of([]))
        start = time.perf_counter()
        folder.publish(folder.write(snapshot), 1)
        written = time.perf_counter()
        Contents.of(1, folder.load(1, width).rows)
        return {"write": written - start, "load": time.perf_counter() - written}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=400, help="a multiple of 4")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()

    timings = measure(options.rows, options.width, options.rounds)
    seconds = files(options.rows, options.width)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    if options.json:
        figures = {"rows": options.rows, "width": options.width, "processor": processor()}
        figures |= {"timings": [asdict(timing) for timing in timings], "file_seconds": seconds, "peak_mib": peak}
        print(json.dumps(figures, indent=2))
        return
    print(f"{options.rows:,} rows of {options.width} float16, one query, one thread, on {processor()}\n")
    for timing in timings:
        print(f"{timing.way:<30} {timing.milliseconds:8.2f} ms   {timing.ratio:5.2f} x reading")
    print(
        f"\nfile: written in {seconds['write']:.2f} s, loaded in {seconds['load']:.2f} s; peak memory {peak:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
