"""The index on OpenSearch: filling it, what a search costs beside the node's own work, recall, and against memory.

    python -m tests.servers opensearch -- python -m benchmarks.opensearch [FOLDER] [--rows 1000 10000 100000]
        [--queries 100] [--widths 64 128 256 512 1024] [--json] [--picture docs/growth.svg]

Vectors are those of a folder's photos (one folder a class), or made-up ones, with noise: see `neighbours`. What is in
OpenSearch under other names is not touched. Times are medians of one client on the same machine as the node.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import numpy as np
from numpy.typing import NDArray

from benchmarks import growth, neighbours
from benchmarks.machine import processor
from benchmarks.neighbours import SLIDER, Blocks, Floats

if TYPE_CHECKING:
    from search.indexes.base import Document, Filter, Hit
    from search.indexes.opensearch.index import OpenSearchIndex

Search = Callable[[Floats, int, "Filter | None"], "list[Hit]"]

K = 10
PAGE = 550  # what a page of results asks for
CLAIM = 256  # documents of a call, as the write path makes them
FILLED = 10_000
BRANDS = 100
CHUNK = 200  # of the plain way to fill it


@dataclass(frozen=True)
class Found:
    """What searches of one kind gave: recall of the nearest ten, and milliseconds."""

    rows: int
    index: str
    width: int
    slider: float
    matching: str
    recall: float
    worst: float
    milliseconds: float
    #: the node's own, by its account
    took: float


@dataclass(frozen=True)
class Filled:
    way: str
    seconds: float
    #: of these, Python's before anything is sent
    encoding: float
    #: as the node counts them, of all its threads
    indexing: float


@dataclass(frozen=True)
class Held:
    rows: int
    index: str
    mebibytes: float


@dataclass(frozen=True, eq=False)
class Trial:
    """Queries with their filters, and the documents that are really the nearest."""

    asked: Floats
    where: list[Filter | None]
    truth: list[set[int]]


class Clock:
    """Milliseconds of searches, and what the node says of them."""

    def __init__(self, index: OpenSearchIndex) -> None:
        self.took: list[float] = [0]
        cluster = index.cluster
        search = cluster.search

        def noted(path: str, body: Any) -> Any:
            answer = search(path, body)
            self.took[-1] += answer.get("took", 0)
            return answer

        cluster.search = noted  # type: ignore[method-assign]

    def time(self, search: Search, vector: Floats, k: int, where: Filter | None) -> tuple[float, list[Hit]]:
        self.took.append(0)
        start = time.perf_counter()
        answer = search(vector, k, where)
        return (time.perf_counter() - start) * 1_000, answer


def documents(rows: Floats, blocks: Blocks) -> list[Document]:
    from search.indexes.base import Document

    return [
        Document(photo, 1, row, photo, int(group), photo % BRANDS)
        for photo, (row, group) in enumerate(zip(rows, blocks.group, strict=True), start=1)
    ]


@contextmanager
def opened(width: int, **options: Any) -> Iterator[OpenSearchIndex]:
    """An index of nobody else, gone afterwards."""
    from search.indexes.opensearch.backend import OpenSearchBackend
    from search.models import IndexVersion

    hosts = os.environ["OPENSEARCH_URL"].split(",")
    backend = OpenSearchBackend(
        "opensearch", hosts=hosts, prefix=f"benchmark-{secrets.token_hex(4)}", timeout=60, **options
    )
    index = backend.open(IndexVersion(pk=1, width=width, state=IndexVersion.State.BUILDING))
    index.create()
    try:
        yield index
    finally:
        index.drop()


def fill(index: OpenSearchIndex, stored: Sequence[Document]) -> Filled:
    """As the write path does."""
    from search.indexes.opensearch import mapping

    start = time.perf_counter()
    for document in stored:
        mapping.upserting(document, index.version.width)
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    for place in range(0, len(stored), CLAIM):
        index.upsert(stored[place : place + CLAIM])
    return Filled("backend", time.perf_counter() - start, encoding, _indexing(index))


def fill_plainly(index: OpenSearchIndex, stored: Sequence[Document]) -> Filled:
    """As opensearch-py's documentation does: `helpers.bulk`, with vectors as lists of floats."""
    from opensearchpy import OpenSearch, helpers

    client = OpenSearch(os.environ["OPENSEARCH_URL"].split(","), timeout=60)
    start = time.perf_counter()
    encoded = [_source(document) for document in stored]
    for source in encoded:
        json.dumps(source)
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    actions = (
        {
            "_index": index.name,
            "_id": document.photo_id,
            "_version": 1,
            "_version_type": "external",
            "_source": _source(document),
        }
        for document in stored
    )
    helpers.bulk(client, actions, chunk_size=CHUNK)
    return Filled("helpers.bulk", time.perf_counter() - start, encoding, _indexing(index))


def _source(document: Document) -> dict[str, Any]:
    return {
        "photo_id": document.photo_id,
        "product_id": document.product_id,
        "category_id": document.category_id,
        "brand_id": document.brand_id,
        "in_stock": document.in_stock,
        "visible_from": 0,
        "visible_until": 253402214400000,
        "length": 2**0.5,
        "vector": document.vector.tolist(),
    }


def _indexing(index: OpenSearchIndex) -> float:
    stats = index.cluster.request("GET", f"/{index.name}/_stats/indexing")
    return float(stats["_all"]["primaries"]["indexing"]["index_time_in_millis"]) / 1_000


def filling(blocks: Blocks, count: int, rounds: int = 2) -> list[Filled]:
    """Both ways in turn, each into a new index."""
    rows = blocks.noisy(count, seed=1)
    vectors = rows.documents()
    stored = documents(vectors, rows)
    ways: list[Callable[[OpenSearchIndex, Sequence[Document]], Filled]] = [fill, fill_plainly]
    filled: list[Filled] = []
    for _turn in range(rounds):
        for way in ways:
            with opened(vectors.shape[1]) as index:
                filled.append(way(index, stored))
    return filled


def searching(
    blocks: Blocks, count: int, queries: int, widths: Sequence[int]
) -> tuple[list[Found], list[Held], dict[str, dict[str, float]]]:
    """Recall, times and memory of both indexes with so many rows; and what a search costs beside the node's work."""
    rows = blocks.noisy(count, seed=1)
    asking = blocks.noisy(queries, seed=2)
    vectors = rows.documents()
    everything = np.ones(count, np.bool_)
    brand = np.arange(1, count + 1) % BRANDS
    found: list[Found] = []
    with opened(vectors.shape[1]) as index:
        fill(index, documents(vectors, rows))
        index.activate()
        clock = Clock(index)
        held = [
            Held(count, "opensearch, files", _stored(index) / 2**20),
            Held(count, "opensearch, heap of the node", _heap(index) / 2**20),
        ]
        contents, memory = in_memory(vectors, rows, brand)
        held.append(Held(count, "embedded, vectors", memory / 2**20))
        for slider in SLIDER:
            asked = asking.queries(slider)
            for matching in ("all", "1 %"):
                among = [everything if matching == "all" else brand == turn % BRANDS for turn in range(queries)]
                truth = [neighbours.best(vectors, one, some, K) for one, some in zip(asked, among, strict=True)]
                where = [_only(None if matching == "all" else turn % BRANDS) for turn in range(queries)]
                trial = Trial(asked, where, truth)
                for width in widths:
                    index.wide = width
                    found.append(
                        _measured(
                            clock,
                            index.search,
                            trial,
                            rows=count,
                            index="opensearch",
                            width=width,
                            slider=slider,
                            matching=matching,
                        )
                    )
                found.append(
                    _measured(
                        clock,
                        _of_memory(contents),
                        trial,
                        rows=count,
                        index="embedded",
                        width=0,
                        slider=slider,
                        matching=matching,
                    )
                )
        index.wide = 512
        beside = {f"k = {k}": _beside(clock, index, asking.queries(SLIDER[1]), k) for k in (K, PAGE)}
    return found, held, beside


def in_memory(vectors: Floats, blocks: Blocks, brand: NDArray[np.int64]) -> tuple[Any, int]:
    """The same rows in the embedded index, and the bytes of its vectors."""
    from search.indexes.rows import Rows
    from search.indexes.segments import Contents

    count = len(vectors)
    ids = np.arange(1, count + 1)
    packed = np.stack([padded(row).astype(np.float16) for row in vectors])
    held = Rows(
        photo_id=ids,
        generation=np.ones(count, np.int64),
        product_id=ids,
        category_id=blocks.group,
        brand_id=brand,
        colours=np.zeros(count, np.uint32),
        price=np.full(count, -1),
        in_stock=np.ones(count, np.bool_),
        visible_from=np.full(count, -np.inf),
        visible_until=np.full(count, np.inf),
        vector=packed,
    )
    return Contents.of(0, held), packed.nbytes


def padded(row: Floats) -> Floats:
    from search.indexes.rows import finite

    return finite(row, len(row))


def _only(brand: int | None) -> Filter | None:
    from search.indexes.base import Filter

    return None if brand is None else Filter(brands=frozenset({brand}))


def _of_memory(contents: Any) -> Search:
    return lambda vector, k, where: contents.search(padded(vector), k, where)


def _measured(clock: Clock, search: Search, trial: Trial, **what: Any) -> Found:
    search(trial.asked[0], K, trial.where[0])
    times, recalls = [], []
    for vector, where, expected in zip(trial.asked, trial.where, trial.truth, strict=True):
        passed, hits = clock.time(search, vector, K, where)
        times.append(passed)
        recalls.append(len(expected & {hit.photo_id for hit in hits}) / len(expected))
    return Found(
        recall=statistics.mean(recalls),
        worst=min(recalls),
        milliseconds=statistics.median(times),
        took=statistics.median(clock.took[-len(times) :]),
        **what,
    )


def _beside(clock: Clock, index: OpenSearchIndex, asked: Floats, k: int) -> dict[str, float]:
    """Medians of a search's milliseconds, of the node's own, and of what is over those."""
    times = [clock.time(index.search, vector, k, None)[0] for vector in asked]
    took = clock.took[-len(times) :]
    return {
        "search": statistics.median(times),
        "took": statistics.median(took),
        "over": statistics.median(whole - own for whole, own in zip(times, took, strict=True)),
    }


def _stored(index: OpenSearchIndex) -> int:
    stats = index.cluster.request("GET", f"/{index.name}/_stats/store")
    return int(stats["_all"]["primaries"]["store"]["size_in_bytes"])


def _heap(index: OpenSearchIndex) -> int:
    nodes = index.cluster.request("GET", "/_nodes/stats/jvm")["nodes"].values()
    return sum(int(node["jvm"]["mem"]["heap_used_in_bytes"]) for node in nodes)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def report(figures: dict[str, Any]) -> str:
    """All of it as Markdown."""
    parts = [f"{figures['source']}, {figures['width']} numbers each. {figures['processor']}.", ""]
    parts.append(
        table(
            ["filling", "documents", "seconds", "of these, encoding in Python", "indexing, as the node counts"],
            [
                [
                    one["way"],
                    f"{figures['filled']:,}",
                    *(f"{one[name]:.1f}" for name in ("seconds", "encoding", "indexing")),
                ]
                for one in figures["filling"]
            ],
        )
    )
    for count, kinds in figures["beside"].items():
        parts += ["", f"{int(count):,} documents, width 512, milliseconds at the median:", ""]
        parts.append(
            table(
                ["asked for", "search", "the node's took", "over it"],
                [[k, *(f"{one[name]:.1f}" for name in ("search", "took", "over"))] for k, one in kinds.items()],
            )
        )
    parts += ["", f"Recall of the nearest {K}:", ""]
    parts.append(
        table(
            ["documents", "index", "width", "slider", "match", "recall", "worst", "ms", "took"],
            [
                [
                    f"{one['rows']:,}",
                    one["index"],
                    str(one["width"] or "exact"),
                    f"{one['slider']:g}",
                    one["matching"],
                    f"{one['recall']:.3f}",
                    f"{one['worst']:.1f}",
                    f"{one['milliseconds']:.1f}",
                    f"{one['took']:.0f}",
                ]
                for one in figures["searching"]
            ],
        )
    )
    parts += ["", "Memory and files, MiB:", ""]
    held = [[f"{one['rows']:,}", one["index"], f"{one['mebibytes']:,.0f}"] for one in figures["held"]]
    parts.append(table(["documents", "what", "MiB"], held))
    return "\n".join(parts)


def lines(found: Sequence[Found]) -> dict[str, list[tuple[int, float]]]:
    """What the picture shows: the default width, the default slider, no filter."""
    return {
        name: sorted(
            (one.rows, one.milliseconds)
            for one in found
            if one.index == name and one.width in {0, 512} and one.slider == SLIDER[1] and one.matching == "all"
        )
        for name in ("embedded", "opensearch")
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="benchmarks.opensearch"
    )
    parser.add_argument("folder", nargs="?", type=Path, help="classes of photos; made-up vectors without")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--filled", type=int, default=FILLED, help="documents to fill an index with, 0 for none")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--picture", type=Path, help="where to draw how times grow")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if "OPENSEARCH_URL" not in os.environ:
        parser.error("OPENSEARCH_URL names no node: see the first line above.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()
    blocks = neighbours.of_folder(options.folder) if options.folder else neighbours.made_up()
    figures: dict[str, Any] = {
        "processor": processor(),
        "source": f"Vectors around {len(blocks.group):,} {'photos' if options.folder else 'made-up ones'}",
        "width": blocks.style.shape[1] + blocks.colour.shape[1],
        "filled": options.filled,
        "filling": [asdict(one) for one in filling(blocks, options.filled)] if options.filled else [],
        "beside": {},
        "searching": [],
        "held": [],
    }
    everything: list[Found] = []
    for count in options.rows:
        print(f"{count:,} documents", file=sys.stderr)
        found, held, beside = searching(blocks, count, options.queries, options.widths)
        everything += found
        figures["searching"] += [asdict(one) for one in found]
        figures["held"] += [asdict(one) for one in held]
        figures["beside"][str(count)] = beside
    if options.picture and len(options.rows) > 1:
        options.picture.write_text(growth.draw(lines(everything)), encoding="utf-8")
    print(json.dumps(figures, indent=2) if options.json else report(figures))


if __name__ == "__main__":
    main()
