"""Filters of the list of products."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from catalogue.admin.categories import indented
from catalogue.models import Category, Product


class CategoryFilter(DropdownFilter):
    """Products of a category and its descendants."""

    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        categories = Category.objects.with_tree_fields()
        return [(str(category.pk), indented(category)) for category in categories]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = {str(choice) for choice, _label in self.lookup_choices} & {self.value()}
        if not chosen:
            return queryset
        # Evaluated first: the tree's query cannot be a subquery, as an action's updates need it.
        below = Category.objects.get(pk=chosen.pop()).descendants(include_self=True)
        return queryset.filter(category__in=list(below.values_list("pk", flat=True)))


class YesNoFilter(admin.SimpleListFilter):
    """Products that are, or are not, in a subset, which is a method of the queryset."""

    subset: str
    labels: ClassVar[tuple[Any, Any]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return list(zip(("yes", "no"), self.labels, strict=True))

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "yes":
                return getattr(queryset, self.subset)()
            case "no":
                return queryset.exclude(pk__in=getattr(Product.objects.order_by(), self.subset)().values("pk"))
        return queryset


class VisibleFilter(YesNoFilter):
    title = _("visibility")
    labels = (_("Visible now"), _("Hidden"))
    parameter_name = "visible"
    subset = "visible"


class InStockFilter(YesNoFilter):
    title = _("stock")
    labels = (_("In stock"), _("Sold out"))
    parameter_name = "in_stock"
    subset = "in_stock"


class HasPhotosFilter(YesNoFilter):
    title = _("photos")
    labels = (_("With photos"), _("Without a photo"))
    parameter_name = "photos"
    subset = "with_photos"
