"""A list of products as described by its URL: filters, order and page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.paginator import Page, Paginator
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from catalogue.facets import Facets
from catalogue.filters import Criteria, FilterForm, without
from catalogue.models import Category, Product, ProductQuerySet
from catalogue.templatetags.money import money
from catalogue.tree import CategoryTree

PAGE_SIZE = 24


class Sort(models.TextChoices):
    """The order of a list. Products without a price always come last."""

    NEWEST = "newest", gettext_lazy("Newest first")
    CHEAPEST = "price_up", gettext_lazy("Price, low to high")
    DEAREST = "price_down", gettext_lazy("Price, high to low")
    NAME = "name", pgettext_lazy("order", "Name")

    def apply(self, products: ProductQuerySet) -> ProductQuerySet:
        newest = ["-created", "-pk"]
        match self:
            case Sort.CHEAPEST:
                return products.order_by(F("price").asc(nulls_last=True), *newest)
            case Sort.DEAREST:
                return products.order_by(F("price").desc(nulls_last=True), *newest)
            case Sort.NAME:
                return products.order_by(Lower("title"), *newest)
        return products.order_by(*newest)


class ListForm(FilterForm):
    """Validates the filters and order of a list from its URL."""

    sort = forms.ChoiceField(
        required=False,
        choices=Sort.choices,
        error_messages={"invalid_choice": gettext_lazy("Products cannot be sorted like this. Choose another order.")},
    )

    #: The names of the fields in error messages.
    LABELS = {
        "category": gettext_lazy("Category"),
        "brand": gettext_lazy("Brand"),
        "price_min": gettext_lazy("Price from"),
        "price_max": gettext_lazy("Price to"),
        "in_stock": gettext_lazy("Availability"),
        "sort": gettext_lazy("Sort by"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = self.LABELS[name]

    @property
    def usable(self) -> Criteria:
        """The criteria, without invalid ones."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "sort" and value is not None}
        return Criteria(**given)

    @property
    def order(self) -> Sort:
        return Sort(self.cleaned_data.get("sort") or Sort.NEWEST)


@dataclass(frozen=True)
class Chip:
    """An active filter, and the URL of the list without it."""

    label: str
    without: str


@dataclass(frozen=True)
class Listing:
    """A list of the products of a category, or of all, at `path`."""

    path: str
    tree: CategoryTree
    category: Category | None
    criteria: Criteria
    sort: Sort
    facets: Facets

    @classmethod
    def read(cls, form: ListForm, path: str, tree: CategoryTree, category: Category | None) -> Listing:
        """The list that a form describes. Invalid filters are left out, with a message beside their facet."""
        form.full_clean()
        criteria = form.usable
        errors = {name: tuple(map(str, sentences)) for name, sentences in form.errors.items()}
        facets = Facets.of(criteria, tree, category, errors)
        return cls(path, tree, category, criteria, form.order, facets)

    @property
    def plain(self) -> bool:
        """Whether this is the unfiltered list in its usual order, the only one that search engines index."""
        return self.criteria == Criteria() and self.sort == Sort.NEWEST

    def paginator(self) -> Paginator[Product]:
        products = Product.objects.visible().filter(*self.criteria.conditions(self.tree).values())
        if self.category is not None:
            products = products.filter(category__in=self.tree.ids([self.category.slug]))
        return Paginator(self.sort.apply(products.for_display()), PAGE_SIZE)

    def address(
        self, criteria: Criteria | None = None, *, path: str | None = None, page: int = 1, plain_sort: bool = False
    ) -> str:
        """The URL of this list, perhaps with other criteria, path or page."""
        parameters = (self.criteria if criteria is None else criteria).parameters()
        if self.sort != Sort.NEWEST and not plain_sort:
            parameters.append(("sort", self.sort.value))
        if page > 1:
            parameters.append(("page", str(page)))
        return (path or self.path) + ("?" + urlencode(parameters) if parameters else "")

    def cleared(self) -> str:
        """The URL of the list without filters, in the same order."""
        return self.address(Criteria())

    def pages(self, page: Page[Product]) -> Iterator[tuple[int | str, str]]:
        """Page numbers with their URLs; an ellipsis without one for omitted pages."""
        for number in page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1):
            yield number, self.address(page=number) if isinstance(number, int) else ""

    def branches(self) -> list[tuple[Category, str]]:
        """The child categories with the URLs of their lists, with the same filters and order.

        The top categories are in the header of every page.
        """
        if self.category is None:
            return []
        elsewhere = replace(self.criteria, category=())
        return [
            (child, self.address(elsewhere, path=child.get_absolute_url()))
            for child in self.tree.children(self.category)
        ]

    def chips(self) -> list[Chip]:
        """All active filters, each with the URL that removes it."""
        criteria = self.criteria
        labels = {choice.value: choice.label for choice in self.facets.brand.choices}
        chips = [
            Chip(self._named(slug), self.address(replace(criteria, category=without(criteria.category, slug))))
            for slug in criteria.category
        ]
        chips += [
            Chip(labels.get(slug, slug), self.address(replace(criteria, brand=without(criteria.brand, slug))))
            for slug in criteria.brand
        ]
        if criteria.price_min is not None:
            label = _("From %(price)s") % {"price": self._price(criteria.price_min)}
            chips.append(Chip(label, self.address(replace(criteria, price_min=None))))
        if criteria.price_max is not None:
            label = _("Up to %(price)s") % {"price": self._price(criteria.price_max)}
            chips.append(Chip(label, self.address(replace(criteria, price_max=None))))
        if criteria.in_stock:
            chips.append(Chip(_("In stock"), self.address(replace(criteria, in_stock=False))))
        return chips

    def _named(self, slug: str) -> str:
        found = self.tree.find(slug)
        return found.name if found else slug

    def _price(self, amount: Decimal) -> str:
        currency = self.facets.price.currency
        return money(amount, currency) if currency else number_format(amount, force_grouping=True)
