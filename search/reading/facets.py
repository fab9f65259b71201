"""What a search leaves to choose from, as the page shows it: the index counts, the database names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from django.db.models import Q
from django.utils.translation import gettext as _

from catalogue.facets import Choice, Facet, PriceRange
from catalogue.models import Brand
from catalogue.tree import CategoryTree
from search.reading.ranking import Search
from search.vision import colours

Errors: TypeAlias = Mapping[str, tuple[str, ...]]
"""What is wrong with the values that were given, by facet."""


@dataclass(frozen=True)
class Narrowing:
    """The filters of a search with how many products each choice would leave."""

    #: products that meet all of the criteria
    products: int
    category: Facet
    colour: Facet
    brand: Facet
    in_stock: Facet
    price: PriceRange

    @property
    def facets(self) -> list[Facet]:
        return [self.category, self.colour, self.brand, self.in_stock]


def narrowing(search: Search, errors: Errors | None = None) -> Narrowing:
    """Count what a search could be narrowed to: in as many queries whatever the catalogue's size."""
    found, criteria = search.facets(), search.refinement.criteria

    def facet(name: str, label: str, choices: list[Choice]) -> Facet:
        return Facet(name, label, choices, (errors or {}).get(name, ()))

    tree = CategoryTree.load()
    totals = tree.totals(found.categories)
    brands = Brand.objects.visible().filter(Q(pk__in=found.brands) | Q(slug__in=criteria.brand))
    return Narrowing(
        found.products,
        facet(
            "category",
            _("Category"),
            [
                Choice(category.slug, category.name, totals[category.pk], category.slug in criteria.category, depth)
                for category, depth in tree.below()
            ],
        ),
        facet(
            "colour",
            _("Colour"),
            [
                Choice(name, colours.label(name), found.colours.get(name, 0), name in criteria.colour, swatch=swatch)
                for name, swatch in colours.SWATCHES.items()
            ],
        ),
        facet(
            "brand",
            _("Brand"),
            [
                Choice(brand.slug, brand.name, found.brands.get(brand.pk, 0), brand.slug in criteria.brand)
                for brand in brands
            ],
        ),
        facet(
            "in_stock", _("Availability"), [Choice("true", _("In stock"), found.in_stock, chosen=criteria.in_stock)]
        ),
        PriceRange(*(found.prices or (None, None))),
    )
