"""What a document is in OpenSearch, and what its index is like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR
from typing import Any, Literal

import numpy as np
import orjson

from search.indexes.base import Document
from search.indexes.rows import cents, finite
from search.models import IndexVersion

Engine = Literal["lucene", "faiss"]
Space = Literal["cosine", "l2"]

_SPACES: dict[Space, str] = {"cosine": "cosinesimil", "l2": "l2"}

_GC_DELETES = "1h"
"""How long OpenSearch remembers a deletion, so that a late write does not bring a photo back. By default it is 60 s;
a worker's claim may take minutes. After that, the ledger is looked at once more (`ledger._repeat_newer`)."""

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Graph:
    """How vectors are searched; of an HNSW graph, the neighbours of a node and the width it is built with."""

    engine: Engine = "lucene"
    space: Space = "cosine"
    m: int = 16
    ef_construction: int = 128

    def inner_product(self, score: float, query: float, document: float) -> float:
        """The inner product that a score stands for; the lengths of the query and the document are known."""
        if self.space == "cosine":
            return (2 * score - 1) * query * document
        return (query * query + document * document - (1 / score - 1)) / 2


def body(version: IndexVersion, graph: Graph, shards: int, settings: dict[str, Any], alias: str) -> dict[str, Any]:
    """What makes a version's index. `alias` is what documents are written to."""
    keyword, number = {"type": "keyword"}, {"type": "long"}
    moment = {"type": "date", "format": "epoch_millis"}
    return {
        "settings": {
            "index": {"knn": True, "number_of_shards": shards, "gc_deletes": _GC_DELETES, **settings},
        },
        "mappings": {
            # Whose it is, and what its scores mean even when the site's options have changed.
            "_meta": {"created": version.created.isoformat(), "engine": graph.engine, "space": graph.space},
            # All that is ever read of a document is in its columns, and the database has the rest.
            "_source": {"enabled": False},
            "dynamic": "strict",
            "properties": {
                "photo_id": number,
                "product_id": number,
                "category_id": keyword,
                "brand_id": keyword,
                "colours": keyword,
                "price": number,
                "in_stock": {"type": "boolean"},
                "visible_from": moment,
                "visible_until": moment,
                "length": {"type": "float", "index": False},
                "vector": {
                    "type": "knn_vector",
                    "dimension": version.width,
                    "method": {
                        "name": "hnsw",
                        "engine": graph.engine,
                        "space_type": _SPACES[graph.space],
                        "parameters": {"m": graph.m, "ef_construction": graph.ef_construction},
                    },
                },
            },
        },
        "aliases": {alias: {"is_write_index": True}},
    }


def upserting(document: Document, width: int) -> bytes:
    """The two lines of a bulk request that write a document, unless one of its generation or a higher one is there.

    ValueError for a vector of another width, or one that is not finite or has no length.
    """
    vector = finite(document.vector, width)[:width]
    length = math.sqrt(float(vector @ vector))
    if not length:
        raise ValueError("A vector without length cannot be compared; embed the picture again.")
    action = {"index": {"_id": str(document.photo_id), "version": document.generation, "version_type": "external"}}
    fields = {
        "photo_id": document.photo_id,
        "product_id": document.product_id,
        "category_id": document.category_id,
        "brand_id": document.brand_id,
        "colours": document.colours,
        "price": None if document.price is None else cents(document.price, ROUND_FLOOR),
        "in_stock": document.in_stock,
        "visible_from": 0 if document.visible_from is None else milliseconds(document.visible_from),
        "visible_until": milliseconds(document.visible_until or _NEVER),
        "length": np.float32(length),
        "vector": np.ascontiguousarray(vector),
    }
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY))


def deleting(photo_id: int, generation: int) -> bytes:
    """The line of a bulk request that deletes a photo, unless a higher generation is there."""
    # The deletion of the same generation may come twice; a document of it must not come after.
    action = {"delete": {"_id": str(photo_id), "version": generation, "version_type": "external_gte"}}
    return orjson.dumps(action) + b"\n"


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return math.floor(moment.timestamp() * 1000)
