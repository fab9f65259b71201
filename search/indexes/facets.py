"""What a filter leaves to choose from: products counted by category, brand, colour, stock and price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self

import numpy as np

from search.indexes.base import Facets, Filter
from search.indexes.rows import Booleans, Int64s, Rows
from search.vision.colours import NAMES


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """The products of an index's rows: n photos of p products, so that each product is counted once.

    Category, brand, price and stock are a product's own: any photo of it tells them.
    """

    rows: Rows
    #: int64 (n,): which product a row is of, from 0 to p - 1
    place: Int64s
    #: int64 (p,): a row of each product
    first: Int64s

    @classmethod
    def of(cls, parts: Sequence[Rows]) -> Self:
        rows = (
            parts[0] if len(parts) == 1 else Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        )
        _products, first, place = np.unique(rows.product_id, return_index=True, return_inverse=True)
        return cls(rows, place, first)

    def facets(self, where: Filter) -> Facets:
        everything = self.rows.matching(where)
        matching = self._having(everything)

        def without(given: bool, **absent: bool | None) -> Booleans:
            """The products that match where one condition is taken away: the same, if it was not given."""
            return self._having(self.rows.matching(replace(where, **absent))) if given else matching  # type: ignore[arg-type]

        categories = without(where.categories is not None, categories=None)
        brands = without(where.brands is not None, brands=None)
        priced = without(where.price_min is not None or where.price_max is not None, price_min=None, price_max=None)
        stocked = without(where.in_stock, in_stock=False)
        prices = self.rows.price[self.first][priced]
        prices = prices[prices >= 0]
        return Facets(
            products=int(np.count_nonzero(matching)),
            categories=_counts(self.rows.category_id[self.first][categories]),
            brands=_counts(self.rows.brand_id[self.first][brands]),
            colours=self._colours(
                everything if where.colours is None else self.rows.matching(replace(where, colours=None))
            ),
            in_stock=int(np.count_nonzero(stocked & self.rows.in_stock[self.first])),
            prices=(Decimal(int(prices.min())) / 100, Decimal(int(prices.max())) / 100) if len(prices) else None,
        )

    def _having(self, mask: Booleans) -> Booleans:
        """Which products have a photo of a mask: bool (p,)."""
        having = np.zeros(len(self.first), np.bool_)
        having[self.place[mask]] = True
        return having

    def _colours(self, mask: Booleans) -> dict[str, int]:
        """A colour is a photo's: a product has those of all its photos."""
        places, colours = self.place[mask], self.rows.colours[mask]
        counts = {}
        for bit, name in enumerate(NAMES):
            having = np.zeros(len(self.first), np.bool_)
            having[places[(colours & np.uint32(1 << bit)) != 0]] = True
            if count := int(np.count_nonzero(having)):
                counts[name] = count
        return counts


def _counts(column: Int64s) -> dict[int, int]:
    """How often each number comes, those that stand for nothing aside."""
    values, counts = np.unique(column[column >= 0], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
