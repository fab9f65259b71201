"""The catalogue's figures on the admin's start page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from catalogue.models import Product, ProductImage


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, its label, and the list that it counts."""

    label: str
    count: int
    link: str


def overview(request: HttpRequest) -> dict[str, Any]:
    """The figures, or first steps for an empty shop; empty if staff may not see products. Two queries."""
    if not (request.user.has_perm("catalogue.view_product") or request.user.has_perm("catalogue.change_product")):
        return {}
    if not Product.objects.exists():
        return {"first_steps": first_steps(request)}
    return {"catalogue_figures": figures()}


def first_steps(request: HttpRequest) -> dict[str, bool]:
    """Which ways to fill an empty shop the user may take."""
    return {"may_add": request.user.has_perm("catalogue.add_product"), "may_import": may_import(request)}


def may_import(request: HttpRequest) -> bool:
    """Whether the user may write all that an import writes: products, photos, categories and brands."""
    return bool(
        request.user.has_perms(
            [
                "catalogue.add_product",
                "catalogue.change_product",
                "catalogue.add_productimage",
                "catalogue.change_productimage",
                "catalogue.delete_productimage",
                "catalogue.add_category",
                "catalogue.add_brand",
            ]
        )
    )


def figures() -> list[Figure]:
    products = Product.objects.order_by()
    photos = ProductImage.objects.filter(product=OuterRef("pk"))
    counts = products.aggregate(
        all=Count("pk"),
        visible=Count("pk", filter=Q(pk__in=products.visible().values("pk"))),
        without=Count("pk", filter=~Exists(photos)),
        sold_out=Count("pk", filter=Q(stock=0)),
    )
    address = reverse("admin:catalogue_product_changelist")
    return [
        Figure(_("Products"), counts["all"], address),
        Figure(_("Visible now"), counts["visible"], f"{address}?visible=yes"),
        Figure(_("Without a photo"), counts["without"], f"{address}?photos=no"),
        Figure(_("Sold out"), counts["sold_out"], f"{address}?in_stock=no"),
    ]
