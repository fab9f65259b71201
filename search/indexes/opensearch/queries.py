"""How the cluster is asked: filters, nearest neighbours, and what there is to choose from."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from search.indexes.base import Facets, Filter
from search.indexes.opensearch.mapping import milliseconds
from search.indexes.rows import cents

Json = dict[str, Any]

MOST = 10_000
"""Neighbours that OpenSearch looks for, and rows that it gives, at one time at the most; values of a facet, too."""

_PRODUCTS = 40_000
_PRODUCTS_OF_A_VALUE = 3_000
"""Up to so many products are counted one by one, of all and of each value; beyond, within a percent. Each value takes
16 KB of the node's memory for it; 40,000 would take 256."""

#: One row of an answer: score, photo, product, and the length of the document's vector. Values to sort by come along
#: with each hit, and are read from columns.
ROW: list[Json] = [{"_score": "desc"}, {"photo_id": "asc"}, {"product_id": "asc"}, {"length": "asc"}]

_BARE: Json = {"_source": False, "stored_fields": "_none_", "track_total_hits": False}


def matching(where: Filter | None) -> Json:
    """The query that finds what a filter admits, without a score."""
    conditions = [] if where is None else _conditions(where)
    return {"bool": {"filter": conditions}} if conditions else {"match_all": {}}


def nearest(vector: npt.NDArray[np.float32], wide: int, size: int, where: Filter | None) -> Json:
    """The `size` best of the `wide` nearest that a graph leads to."""
    clause: Json = {"vector": vector, "k": wide}
    if where is not None and (conditions := _conditions(where)):
        clause["filter"] = {"bool": {"filter": conditions}}
    return {**_BARE, "size": size, "sort": ROW, "query": {"knn": {"vector": clause}}}


def exactly(vector: npt.NDArray[np.float32], size: int, where: Filter | None, after: list[Any] | None) -> Json:
    """The `size` best of all that match, each compared; `after` is the last row that is known already."""
    script = {
        "lang": "knn",
        "source": "knn_score",
        "params": {"field": "vector", "query_value": vector, "space_type": "innerproduct"},
    }
    query = {"script_score": {"query": matching(where), "script": script}}
    asked = {**_BARE, "size": size, "sort": ROW, "query": query}
    return asked if after is None else {**asked, "search_after": after}


def exact_score(score: float) -> float:
    """The inner product that a score of `exactly` stands for; scores are never negative."""
    return score - 1 if score >= 1 else 1 - 1 / score


def generations(size: int, after: int | None) -> Json:
    """Photos with their versions, ascending."""
    asked = {**_BARE, "size": size, "version": True, "sort": [{"photo_id": "asc"}], "query": {"match_all": {}}}
    return asked if after is None else {**asked, "search_after": [after]}


def choices(where: Filter) -> Json:
    """What a filter leaves to choose from: `facets` reads the answer."""
    unpriced = replace(where, price_min=None, price_max=None)
    stocked = replace(where, in_stock=True)
    # What all of them ask for is asked once.
    shared = Filter(visible_at=where.visible_at, exclude_products=where.exclude_products)
    return {
        "size": 0,
        "track_total_hits": False,
        "query": matching(shared),
        "aggs": {
            "products": {"filter": matching(where), "aggs": {"count": _counted(_PRODUCTS)}},
            "categories": _values("category_id", replace(where, categories=None)),
            "brands": _values("brand_id", replace(where, brands=None)),
            "colours": _values("colours", replace(where, colours=None)),
            "in_stock": {"filter": matching(stocked), "aggs": {"count": _counted(_PRODUCTS)}},
            "prices": {
                "filter": matching(unpriced),
                "aggs": {"lowest": {"min": {"field": "price"}}, "highest": {"max": {"field": "price"}}},
            },
        },
    }


def facets(answer: Json) -> Facets:
    """What the answer to `choices` says."""
    found = answer["aggregations"]
    lowest, highest = (found["prices"][name]["value"] for name in ("lowest", "highest"))
    return Facets(
        products=found["products"]["count"]["value"],
        categories={int(value): count for value, count in _counts(found["categories"])},
        brands={int(value): count for value, count in _counts(found["brands"])},
        colours=dict(_counts(found["colours"])),
        in_stock=found["in_stock"]["count"]["value"],
        prices=None if lowest is None else (Decimal(int(lowest)) / 100, Decimal(int(highest)) / 100),
    )


def _conditions(where: Filter) -> list[Json]:
    conditions: list[Json] = []
    for name, values in (("category_id", where.categories), ("brand_id", where.brands), ("colours", where.colours)):
        if values is not None:
            conditions.append({"terms": {name: sorted(values)}})
    price = {}
    if where.price_min is not None:
        price["gte"] = cents(where.price_min, ROUND_CEILING)
    if where.price_max is not None:
        price["lte"] = cents(where.price_max, ROUND_FLOOR)
    if price:
        conditions.append({"range": {"price": price}})
    if where.in_stock:
        conditions.append({"term": {"in_stock": True}})
    if where.visible_at is not None:
        moment = milliseconds(where.visible_at)
        conditions.append({"range": {"visible_from": {"lte": moment}}})
        conditions.append({"range": {"visible_until": {"gt": moment}}})
    if where.exclude_products:
        conditions.append({"bool": {"must_not": [{"terms": {"product_id": sorted(where.exclude_products)}}]}})
    return conditions


def _counted(precision: int) -> Json:
    return {"cardinality": {"field": "product_id", "precision_threshold": precision}}


def _values(name: str, where: Filter) -> Json:
    values = {"terms": {"field": name, "size": MOST}, "aggs": {"count": _counted(_PRODUCTS_OF_A_VALUE)}}
    return {"filter": matching(where), "aggs": {"values": values}}


def _counts(found: Json) -> list[tuple[str, int]]:
    return [(bucket["key"], bucket["count"]["value"]) for bucket in found["values"]["buckets"]]
