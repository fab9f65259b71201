"""The documents of an embedded index as columns, and the filters that look at them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.indexes.base import Document, Filter
from search.vision.colours import NAMES

Int64s = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

_LANES = 16

_NONE = -1
"""Stands for no category, no brand and no price: none of them is ever negative."""


_FEW = 16
"""Up to so many numbers numpy compares with each in turn, a fifth of the time that its table takes for one."""


class Rows(NamedTuple):
    """n documents, ascending by photo id, each photo once: a column for each thing that is known of them."""

    photo_id: Int64s
    generation: Int64s
    product_id: Int64s
    #: -1 for none
    category_id: Int64s
    #: -1 for none
    brand_id: Int64s
    #: bit i is set where the document has the colour `colours.NAMES[i]`
    colours: npt.NDArray[np.uint32]
    #: hundredths of the currency, for exact comparison; -1 for none
    price: Int64s
    in_stock: Booleans
    #: seconds since 1970, -inf for none
    visible_from: npt.NDArray[np.float64]
    #: seconds since 1970, inf for none
    visible_until: npt.NDArray[np.float64]
    #: float16 (n, `padded` width), C-contiguous
    vector: npt.NDArray[np.float16]

    @classmethod
    def empty(cls, width: int) -> Rows:
        return cls.of([], width)

    @classmethod
    def of(cls, stored: Sequence[tuple[int, int, bytes, Mapping[str, Any]]], width: int) -> Rows:
        """Rows of stored (photo id, generation, `pack`ed vector, `attributes`), each photo once, in any order."""
        stored = sorted(stored, key=lambda row: row[0])
        columns: dict[str, npt.NDArray[Any]] = {
            "photo_id": np.array([row[0] for row in stored], np.int64),
            "generation": np.array([row[1] for row in stored], np.int64),
            "vector": np.frombuffer(b"".join(bytes(row[2]) for row in stored), "<f2").reshape(
                len(stored), padded(width)
            ),
        }
        for name, (dtype, absent) in _ATTRIBUTES.items():
            values = (row[3][name] for row in stored)
            columns[name] = np.array([absent if value is None else value for value in values], dtype)
        return cls(**columns)

    def take(self, which: Booleans | npt.NDArray[np.intp]) -> Rows:
        """Some of the rows, by a mask or by their places."""
        return Rows(**{name: column[which] for name, column in self._asdict().items()})

    def merged(self, other: Rows) -> Rows:
        """These rows and those of another, which are of other photos."""
        ranks = np.argsort(np.argsort(np.concatenate([self.photo_id, other.photo_id])))
        ours, theirs = np.split(ranks, [len(self.photo_id)])

        columns: dict[str, npt.NDArray[Any]] = {}
        for name, column in self._asdict().items():
            columns[name] = np.empty((len(ranks), *column.shape[1:]), column.dtype)
            columns[name][ours], columns[name][theirs] = column, getattr(other, name)
        return Rows(**columns)

    def matching(self, where: Filter) -> Booleans:
        """Which rows a filter admits: bool (n,)."""
        mask = np.ones(len(self.photo_id), np.bool_)
        if where.categories is not None:
            mask &= _among(self.category_id, where.categories)
        if where.brands is not None:
            mask &= _among(self.brand_id, where.brands)
        if where.colours is not None:
            mask &= (self.colours & np.uint32(_mask_of(where.colours))) != 0
        if where.price_min is not None or where.price_max is not None:
            mask &= self.price != _NONE
        if where.price_min is not None:
            mask &= self.price >= cents(where.price_min, ROUND_CEILING)
        if where.price_max is not None:
            mask &= self.price <= cents(where.price_max, ROUND_FLOOR)
        if where.in_stock:
            mask &= self.in_stock
        if where.visible_at is not None:
            moment = where.visible_at.timestamp()
            mask &= (self.visible_from <= moment) & (self.visible_until > moment)
        if where.exclude_products:
            mask &= ~_among(self.product_id, where.exclude_products)
        return mask


_ATTRIBUTES: dict[str, tuple[type[np.generic], Any]] = {
    "product_id": (np.int64, None),
    "category_id": (np.int64, _NONE),
    "brand_id": (np.int64, _NONE),
    "colours": (np.uint32, None),
    "price": (np.int64, _NONE),
    "in_stock": (np.bool_, None),
    "visible_from": (np.float64, -math.inf),
    "visible_until": (np.float64, math.inf),
}
"""What is stored of a document beside its vector: the column's dtype, and what stands for nothing there."""


def attributes(document: Document) -> dict[str, Any]:
    """What filters ask of a document, as JSON knows it."""
    return {
        "product_id": document.product_id,
        "category_id": document.category_id,
        "brand_id": document.brand_id,
        "colours": _mask_of(document.colours),
        "price": None if document.price is None else cents(document.price, ROUND_FLOOR),
        "in_stock": document.in_stock,
        "visible_from": _seconds(document.visible_from),
        "visible_until": _seconds(document.visible_until),
    }


def padded(width: int) -> int:
    """The width at which rows are kept: faiss's vectorised kernels take sixteen numbers at a time.

    For any other width they do not come into play: a search of rows 381 wide took thirty times as long as one of
    rows 384 wide (AMD EPYC, family 26 model 17, faiss 1.15).
    """
    return -(-width // _LANES) * _LANES


def pack(vector: npt.ArrayLike, width: int) -> bytes:
    """A document's vector as little-endian float16, with zeros up to the `padded` width.

    ValueError where it is not of shape (width,), or has a number that is not finite or beyond float16 (65,504).
    """
    with np.errstate(over="ignore"):  # told below
        packed = finite(vector, width).astype("<f2")
    if not np.isfinite(packed).all():
        raise ValueError("A vector has a number too large for float16; give it unit length before it is indexed.")
    return packed.tobytes()


def finite(vector: npt.ArrayLike, width: int) -> npt.NDArray[np.float32]:
    """The vector as float32, with zeros up to the `padded` width. ValueError if it is not finite and (width,)."""
    values = np.asarray(vector, np.float32)
    if values.shape != (width,):
        raise ValueError(f"A vector of shape {values.shape} met an index of width {width}; embed the picture again.")
    if not np.isfinite(values).all():
        raise ValueError("A vector has a number that is not finite; embed the picture again.")
    return np.pad(values, (0, padded(width) - width))


def _mask_of(names: Iterable[str]) -> int:
    # A name that is not in NAMES has no bit: as a filter it matches nothing.
    return sum(1 << NAMES.index(name) for name in set(names) if name in NAMES)


def cents(price: Decimal, rounding: str) -> int:
    """A price in hundredths of its currency, for exact comparison."""
    return int((price * 100).to_integral_value(rounding))


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _among(column: Int64s, numbers: frozenset[int]) -> Booleans:
    few = len(numbers) <= _FEW
    return np.isin(column, np.fromiter(numbers, np.int64, len(numbers)), kind="sort" if few else None)
