"""The home page's tiles: top categories, each with a photo of a new product."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Subquery

from catalogue.models import Category, Product, ProductImage
from catalogue.tree import CategoryTree


@dataclass(frozen=True)
class Tile:
    category: Category
    cover: ProductImage


def tiles(tree: CategoryTree) -> list[Tile]:
    """The top categories that have a photo to show. Three queries."""
    photographed = Product.objects.visible().filter(Exists(ProductImage.objects.filter(product=OuterRef("pk"))))
    of_category = photographed.filter(category=OuterRef("pk")).order_by("-created", "-pk")
    newest = (
        Category.objects.order_by()
        .annotate(newest=Subquery(of_category.values("pk")[:1]))
        .filter(newest__isnull=False)
        .values_list("pk", "newest")
    )
    by_category = dict(newest)
    products = Product.objects.prefetch_related("photos").in_bulk(by_category.values())
    shown: list[Tile] = []
    for top in tree.children():
        branch = (by_category.get(pk) for pk in tree.ids([top.slug]))
        found = [products[pk] for pk in branch if pk in products]
        if found and (cover := max(found, key=lambda product: (product.created, product.pk)).cover):
            shown.append(Tile(top, cover))
    return shown
