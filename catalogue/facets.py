"""The facets of a list of products, with the number of products for each choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Max, Min, Q
from django.utils.translation import gettext as _

from catalogue.filters import Criteria
from catalogue.models import Brand, Category, Product, ProductQuerySet
from catalogue.tree import CategoryTree

#: Choices of a facet that are shown at once; the others are folded away.
SHOWN = 8


@dataclass(frozen=True)
class Choice:
    """A value of a facet and the number of its products."""

    value: str
    label: str
    count: int
    chosen: bool
    depth: int = 0
    #: "#rrggbb"
    swatch: str = ""


@dataclass(frozen=True)
class Facet:
    """A filter: its query parameter and its choices."""

    name: str
    label: str
    choices: list[Choice]
    #: Messages about invalid values
    errors: tuple[str, ...] = ()

    @property
    def offered(self) -> list[Choice]:
        """Choices with products, and chosen ones, which shoppers must be able to undo."""
        return [choice for choice in self.choices if choice.count or choice.chosen]

    @property
    def first(self) -> list[Choice]:
        return self.offered[:SHOWN]

    @property
    def rest(self) -> list[Choice]:
        return self.offered[SHOWN:]

    @property
    def unfolded(self) -> bool:
        """Whether a chosen value is among the folded choices."""
        return any(choice.chosen for choice in self.rest)


@dataclass(frozen=True)
class PriceRange:
    """The lowest and highest price in a list; None if no product has a price."""

    low: Decimal | None = None
    high: Decimal | None = None
    #: "" if products have different ones
    currency: str = ""


@dataclass(frozen=True)
class Facets:
    """All facets of a list of products. The counts of each one apply the other filters, not its own."""

    category: Facet
    brand: Facet
    in_stock: Facet
    price: PriceRange

    @classmethod
    def of(
        cls,
        criteria: Criteria,
        tree: CategoryTree,
        within: Category | None = None,
        errors: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Facets:
        """The facets of a category under these criteria. Four queries, or five if a chosen brand has no product."""
        asked = criteria.conditions(tree)
        all_of_it = Product.objects.visible().order_by()
        if within is not None:
            all_of_it = all_of_it.filter(category__in=tree.ids([within.slug]))

        def without(facet: str) -> ProductQuerySet:
            return all_of_it.filter(*(condition for name, condition in asked.items() if name != facet))

        wrong = errors or {}
        return cls(
            Facet(
                "category",
                _("Category"),
                _categories(without("category"), criteria.category, tree, within),
                wrong.get("category", ()),
            ),
            Facet("brand", _("Brand"), _brands(without("brand"), criteria.brand), wrong.get("brand", ())),
            Facet("in_stock", _("Availability"), _stock(without("in_stock"), criteria), wrong.get("in_stock", ())),
            _prices(without("price")),
        )


def _categories(
    products: ProductQuerySet, chosen: tuple[str, ...], tree: CategoryTree, within: Category | None
) -> list[Choice]:
    counts = dict(products.values_list("category").annotate(Count("pk")))
    totals = tree.totals(counts, within)
    return [
        Choice(category.slug, category.name, totals[category.pk], category.slug in chosen, depth)
        for category, depth in tree.below(within)
    ]


def _brands(products: ProductQuerySet, chosen: tuple[str, ...]) -> list[Choice]:
    counted = products.filter(brand__isnull=False).values_list("brand__slug", "brand__name").annotate(Count("pk"))
    choices = [Choice(slug, name, count, slug in chosen) for slug, name, count in counted]
    if empty := set(chosen) - {choice.value for choice in choices}:
        named = Brand.objects.visible().filter(slug__in=empty).values_list("slug", "name")
        choices += [Choice(slug, name, 0, chosen=True) for slug, name in named]
    return sorted(choices, key=lambda choice: choice.label.casefold())


def _stock(products: ProductQuerySet, criteria: Criteria) -> list[Choice]:
    return [Choice("true", _("In stock"), products.in_stock().count(), criteria.in_stock)]


def _prices(products: ProductQuerySet) -> PriceRange:
    with_price = Q(price__isnull=False)
    found = products.aggregate(
        low=Min("price"),
        high=Max("price"),
        one=Min("currency", filter=with_price),
        other=Max("currency", filter=with_price),
    )
    currency = found["one"] if found["one"] == found["other"] else None
    return PriceRange(found["low"], found["high"], currency or "")
