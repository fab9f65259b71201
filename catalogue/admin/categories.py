"""Categories and brands."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from catalogue.admin.forms import CategoryForm
from catalogue.models import Brand, Category


def indented(category: Any) -> str:
    """A category's name, indented by its depth; it needs its tree fields."""
    return "\u2003" * int(category.tree_depth) + str(category.name)


class TreeChangeList(ChangeList):
    """Lists categories below their parents."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        return ["tree_ordering"]


@admin.register(Category)
class CategoryAdmin(ModelAdmin):
    form = CategoryForm
    list_display = ("indented_name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        queryset: Any = super().get_queryset(request)
        return queryset.with_tree_fields()  # type: ignore[no-any-return]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TreeChangeList

    @admin.display(description=_("name"))
    def indented_name(self, category: Any) -> str:
        return indented(category)


@admin.register(Brand)
class BrandAdmin(ModelAdmin):
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
