"""Similar products on the catalogue's pages: the catalogue itself does not know of search."""

from __future__ import annotations

import logging

from django import template

from catalogue.models import Product
from search import querying
from search.exceptions import NotIndexed, SearchError
from search.querying import Result

logger = logging.getLogger(__name__)
register = template.Library()


@register.simple_tag
def similar_products(product: Product, size: int) -> list[Result]:
    """Products like a product, best first; none where search cannot say, since the page has more to show."""
    try:
        return querying.similar_to(product, size)
    except NotIndexed:
        return []
    except SearchError as error:
        logger.warning("No similar products of %s could be shown: %s", product.sku, error)
        return []
