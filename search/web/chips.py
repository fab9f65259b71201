"""What a search is narrowed and steered by, each with the address of the search without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from catalogue.facets import Facet
from catalogue.filters import without
from catalogue.models import Product, ProductImage
from search.models import Query
from search.reading.refinement import Refinement
from search.web.cards import address


@dataclass(frozen=True)
class Chip:
    label: str
    #: the address of the search without it
    without: str
    swatch: str = ""
    photo: ProductImage | None = None


def chips(query: Query, refinement: Refinement, facets: Iterable[Facet], wished: Iterable[Product]) -> list[Chip]:
    """A chip for the box, for each filter and for each product that is liked or disliked."""
    made = [Chip(label, address(query, changed), swatch) for label, changed, swatch in _filters(refinement, facets)]
    return made + [_wish(query, refinement, product) for product in wished]


def _filters(refinement: Refinement, facets: Iterable[Facet]) -> Iterator[tuple[str, Refinement, str]]:
    """The label of each filter, the refinement without it, and a swatch for colours."""

    def but(**criteria: Any) -> Refinement:
        return replace(refinement, criteria=replace(refinement.criteria, **criteria))

    if refinement.box is not None:
        yield _("Part of the picture"), replace(refinement, box=None), ""
    for facet in facets:
        chosen = getattr(refinement.criteria, facet.name)
        for choice in facet.choices:
            if choice.chosen:
                rest = without(chosen, choice.value) if isinstance(chosen, tuple) else False
                yield choice.label, but(**{facet.name: rest}), choice.swatch
    if label := prices(refinement.criteria.price_min, refinement.criteria.price_max):
        yield label, but(price_min=None, price_max=None), ""


def prices(low: Decimal | None, high: Decimal | None) -> str:
    """A range of prices in words; empty where neither end is given."""
    if low is None and high is None:
        return ""
    if low is None:
        return _("Up to %(high)s") % {"high": _amount(high)}
    if high is None:
        return _("From %(low)s") % {"low": _amount(low)}
    return _("%(low)s to %(high)s") % {"low": _amount(low), "high": _amount(high)}


def _amount(price: Decimal | None) -> str:
    return number_format(price or 0, force_grouping=True)


def wished_products(refinement: Refinement) -> list[Product]:
    """The products that are liked or disliked, those that shoppers may see; one query if there are any."""
    skus = [*refinement.like, *refinement.dislike]
    return list(Product.objects.visible().filter(sku__in=skus).prefetch_related("photos")) if skus else []


def _wish(query: Query, refinement: Refinement, product: Product) -> Chip:
    words = _("More like %(title)s") if product.sku in refinement.like else _("Less like %(title)s")
    changed = replace(
        refinement,
        like=without(refinement.like, product.sku),
        dislike=without(refinement.dislike, product.sku),
    )
    return Chip(words % {"title": product.title}, address(query, changed), photo=product.cover)
