"""How long the in-process model takes, and what the code around it adds.

    python -m benchmarks.embedder [--json]

The ways are timed in turn, so that whatever else the machine does slows all of them alike; the figures are
medians, in milliseconds a call. Ratios travel better between machines than milliseconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import django
import numpy as np

from benchmarks.machine import has_bf16, processor

if TYPE_CHECKING:
    from modelarchive.precision import Precision

BATCHES = (1, 16)


@dataclass(frozen=True)
class Timing:
    """Milliseconds to embed one batch: by `embed`, as search calls it, and by the compiled graph alone."""

    precision: str
    batch: int
    embed: float
    graph: float

    @property
    def ratio(self) -> float:
        return self.embed / self.graph


def measure(rounds: int) -> list[Timing]:
    """Time each precision that the processor has, for one picture and for a batch of them."""
    from search.vision.embedders.openvino import OpenVinoEmbedder

    precisions: tuple[Precision, ...] = ("f32", "bf16") if has_bf16() else ("f32",)
    embedders = {
        precision: OpenVinoEmbedder("benchmark", precision=precision, batch_size=max(BATCHES))
        for precision in precisions
    }
    graphs = {precision: embedder.compile().create_infer_request() for precision, embedder in embedders.items()}
    timings = []
    for batch in BATCHES:
        size = embedders["f32"].size
        squares = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
        ways: dict[Any, Callable[[], object]] = {}
        for precision in precisions:
            ways[precision, "embed"] = partial(embedders[precision].embed, squares)
            ways[precision, "graph"] = partial(graphs[precision].infer, [squares], share_inputs=True)
        medians = _medians(ways, rounds)
        timings += [Timing(p, batch, medians[p, "embed"], medians[p, "graph"]) for p in precisions]
    return timings


def _medians(ways: dict[Any, Callable[[], object]], rounds: int) -> dict[Any, float]:
    taken: dict[Any, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, call in ways.items():
            started = time.perf_counter()
            call()
            taken[way].append(1000 * (time.perf_counter() - started))
    # The first round still allocates.
    return {way: statistics.median(times[1:]) for way, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=30, help="how often each way is timed (30)")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()
    timings = measure(options.rounds)
    if options.json:
        rows = [{**vars(timing), "ratio": timing.ratio} for timing in timings]
        print(json.dumps({"processor": processor(), "unit": "ms", "timings": rows}))
        return
    print(f"{processor()}; medians of {options.rounds} interleaved rounds, ms a call")
    print("precision  batch    embed    graph  embed/graph")
    for t in timings:
        print(f"{t.precision:<9}  {t.batch:>5}  {t.embed:>7.2f}  {t.graph:>7.2f}  {t.ratio:>11.3f}")
    embed = {(t.precision, t.batch): t.embed for t in timings}
    for batch in BATCHES:
        if ("bf16", batch) in embed:
            factor = embed["f32", batch] / embed["bf16", batch]
            print(f"Batch {batch}: f32 takes {factor:.2f} times as long as bf16.")


if __name__ == "__main__":
    main()
