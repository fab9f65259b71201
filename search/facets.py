"""What a search leaves to choose from, as the page shows it: the index counts, the database names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from catalogue.facets import Choice, Facet
from catalogue.models import Brand, Category
from search import colours, querying
from search.models import IndexVersion, Query
from search.querying import Criteria, Refinement


@dataclass(frozen=True)
class Narrowing:
    """The filters of a search with how many products each choice would leave."""

    #: products that meet all of the criteria
    products: int
    facets: list[Facet]
    in_stock: int
    #: the lowest and the highest price there is to choose from
    prices: tuple[Decimal, Decimal] | None


def narrowing(query: Query, refinement: Refinement, version: IndexVersion | None = None) -> Narrowing:
    """Count what a search could be narrowed to, in a version of the index (the live one by default).

    In as many queries whatever the catalogue's size.
    """
    found = querying.facets(query, refinement, version)
    criteria = refinement.criteria
    brands = Brand.objects.filter(pk__in=found.brands) | Brand.objects.filter(slug__in=criteria.brand)
    facets = [
        Facet("category", _("Category"), categories(found.categories, criteria)),
        Facet("colour", _("Colour"), named_colours(found.colours, criteria)),
        Facet(
            "brand",
            _("Brand"),
            [
                Choice(brand.slug, brand.name, found.brands.get(brand.pk, 0), brand.slug in criteria.brand)
                for brand in brands
            ],
        ),
    ]
    return Narrowing(found.products, facets, found.in_stock, found.prices)


def categories(counts: Mapping[int, int], criteria: Criteria) -> list[Choice]:
    """The tree of categories; each counts the products below it too."""
    tree = list(Category.objects.with_tree_fields())
    totals: Counter[int] = Counter()
    for category in tree:
        for place in category.tree_path:
            totals[place] += counts.get(category.pk, 0)
    return [
        Choice(
            category.slug,
            category.name,
            totals[category.pk],
            category.slug in criteria.category,
            depth=category.tree_depth,
        )
        for category in tree
    ]


def named_colours(counts: Mapping[str, int], criteria: Criteria) -> list[Choice]:
    return [
        Choice(name, colours.label(name), counts.get(name, 0), name in criteria.colour, swatch=swatch)
        for name, swatch in colours.SWATCHES.items()
    ]
