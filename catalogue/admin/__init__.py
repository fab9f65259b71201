"""The catalogue in Django's admin. `search.admin` adds the state of each photo in the index."""

from catalogue.admin.categories import BrandAdmin, CategoryAdmin
from catalogue.admin.photos import ProductImageAdmin, ProductImageInline
from catalogue.admin.products import ProductAdmin

__all__ = ["BrandAdmin", "CategoryAdmin", "ProductAdmin", "ProductImageAdmin", "ProductImageInline"]
