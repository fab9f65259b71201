"""What is sold: categories, brands, products and their photos.

Database constraints enforce the rules, whichever way a row is written. Every change of a photo, or of a photo's
product, ends in `signals.announce`.
"""

from catalogue.models.categories import Category
from catalogue.models.imports import ImportJob
from catalogue.models.photos import (
    ProductImage,
    ProductImageQuerySet,
    remove_unused,
    remove_unused_after_commit,
    unused,
)
from catalogue.models.products import Brand, BrandQuerySet, Product, ProductQuerySet, default_currency

__all__ = [
    "Brand",
    "BrandQuerySet",
    "Category",
    "ImportJob",
    "Product",
    "ProductImage",
    "ProductImageQuerySet",
    "ProductQuerySet",
    "default_currency",
    "remove_unused",
    "remove_unused_after_commit",
    "unused",
]
