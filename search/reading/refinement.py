"""How a shopper shapes a search: part of the address, never of the query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from django.utils import timezone

from catalogue import filters
from catalogue.models import Brand
from catalogue.tree import CategoryTree
from search.indexes.base import Filter
from search.vision.pictures import Box
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT

#: Products that a search wants more like, and as many that it wants less like. Each link of its page repeats them.
MOST_WISHES = 20


@dataclass(frozen=True)
class Criteria(filters.Criteria):
    """Which products a shopper wants to see. Colours are known of photos only: the index alone can ask for them."""

    colour: tuple[str, ...] = ()

    def where(self, exclude: Iterable[int] = ()) -> Filter:
        """The same for the index, which also keeps out products that cannot be seen now."""
        return Filter(
            categories=frozenset(CategoryTree.load().ids(self.category)) if self.category else None,
            brands=frozenset(Brand.objects.filter(slug__in=self.brand).values_list("pk", flat=True))
            if self.brand
            else None,
            colours=frozenset(self.colour) if self.colour else None,
            price_min=self.price_min,
            price_max=self.price_max,
            in_stock=self.in_stock,
            visible_at=timezone.now(),
            exclude_products=frozenset(exclude),
        )

    def parameters(self) -> list[tuple[str, str]]:
        return [*super().parameters(), *(("colour", name) for name in self.colour)]


@dataclass(frozen=True)
class Refinement:
    """The box, the slider, the filters, and the products to look more or less like."""

    box: Box | None = None
    colour_weight: float = DEFAULT_COLOUR_WEIGHT
    criteria: Criteria = field(default_factory=Criteria)
    like: tuple[str, ...] = ()
    dislike: tuple[str, ...] = ()

    def wishing(self, skus: Iterable[str]) -> Self:
        """The same, with only products of these SKUs liked and disliked."""
        kept = frozenset(skus)
        like, dislike = (tuple(sku for sku in wish if sku in kept) for wish in (self.like, self.dislike))
        return replace(self, like=like, dislike=dislike)
