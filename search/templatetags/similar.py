"""Similar products and colours on the catalogue's pages: the catalogue itself does not know of search."""

from __future__ import annotations

import logging

from django import template

from catalogue.models import Product
from search.exceptions import SearchError
from search.reading.alternatives import Alternatives, alternatives, colours_of
from search.vision import colours

logger = logging.getLogger(__name__)
register = template.Library()


@register.simple_tag
def product_alternatives(product: Product) -> Alternatives:
    """The rows beside a product; empty ones where search cannot say, since the page has more to show."""
    try:
        return alternatives(product)
    except SearchError as error:
        logger.warning("Nothing like %s could be shown: %s", product.sku, error)
        return Alternatives()


@register.simple_tag
def product_colours(product: Product) -> list[tuple[str, str]]:
    """A product's colours as (label, "#rrggbb"), the foremost first."""
    return [(colours.label(name), colours.SWATCHES[name]) for name in colours_of(product) if name in colours.SWATCHES]


@register.filter
def colour_label(name: str) -> str:
    """A colour's name in the reader's language; nothing for a name that is none."""
    return colours.label(name) if name in colours.SWATCHES else ""


@register.filter
def colour_swatch(name: str) -> str:
    """The “#rrggbb” that stands for a colour."""
    return colours.SWATCHES.get(name, "")
