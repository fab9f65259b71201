"""Filters of products as query parameters: `?category=hats&price_max=40`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from rest_framework.serializers import BooleanField

from catalogue.models import Brand, Product, ProductQuerySet
from catalogue.tree import CategoryTree

#: Values of one parameter; nobody chooses more by hand.
MAX_VALUES = 50


@dataclass(frozen=True)
class Criteria:
    """The filters of a list or a search, named as in URLs and in the API."""

    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    in_stock: bool = False

    def products(self) -> ProductQuerySet:
        """The visible products that meet the criteria now."""
        return Product.objects.visible().filter(*self.conditions().values())

    def conditions(self, tree: CategoryTree | None = None) -> dict[str, Q]:
        """The conditions of the active filters, by facet."""
        conditions: dict[str, Q] = {}
        if self.category:
            conditions["category"] = Q(category__in=(tree or CategoryTree.load()).ids(self.category))
        if self.brand:
            conditions["brand"] = Q(brand__slug__in=self.brand)
        prices = {"price__gte": self.price_min, "price__lte": self.price_max}
        if asked := {lookup: price for lookup, price in prices.items() if price is not None}:
            conditions["price"] = Q(**asked)
        if self.in_stock:
            conditions["in_stock"] = Q(stock__isnull=True) | Q(stock__gt=0)
        return conditions

    def parameters(self) -> list[tuple[str, str]]:
        """The criteria as query parameters, which `FilterForm` reads."""
        pairs = [("category", slug) for slug in self.category] + [("brand", slug) for slug in self.brand]
        prices = {"price_min": self.price_min, "price_max": self.price_max}
        pairs += [(name, f"{price:f}") for name, price in prices.items() if price is not None]
        if self.in_stock:
            pairs.append(("in_stock", "true"))
        return pairs


class ManyField(forms.Field):
    """A repeatable parameter -> a tuple of its values."""

    widget = forms.MultipleHiddenInput

    def __init__(self, *, most: int = MAX_VALUES, **options: Any) -> None:
        super().__init__(**options)
        self.most = most

    def to_python(self, value: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part for part in value or () if part))

    def validate(self, value: tuple[str, ...]) -> None:
        super().validate(value)
        if len(value) > self.most:
            raise ValidationError(_("Choose at most %(limit)d.") % {"limit": self.most})
        for part in value:
            ProhibitNullCharactersValidator()(part)


class SwitchField(forms.Field):
    """`true` or `false`, with the same spellings as in the API's JSON -> bool; False if it is missing."""

    widget = forms.HiddenInput

    def to_python(self, value: str | None) -> bool:
        word = (value or "").lower()
        if word in BooleanField.TRUE_VALUES:
            return True
        if word and word not in BooleanField.FALSE_VALUES:
            raise ValidationError(_("Use true or false."))
        return False


class FilterForm(forms.Form):
    """Validates criteria from a URL. Unknown parameters are ignored."""

    category = ManyField(required=False)
    brand = ManyField(required=False)
    price_min = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=12, decimal_places=2)
    price_max = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=12, decimal_places=2)
    in_stock = SwitchField(required=False)

    def clean_category(self) -> tuple[str, ...]:
        slugs: tuple[str, ...] = self.cleaned_data["category"]
        return known(slugs, CategoryTree.load().slugs) if slugs else ()

    def clean_brand(self) -> tuple[str, ...]:
        slugs: tuple[str, ...] = self.cleaned_data["brand"]
        return known(slugs, Brand.objects.visible().filter(slug__in=slugs).values_list("slug", flat=True))

    def clean(self) -> dict[str, Any]:
        low, high = self.cleaned_data.get("price_min"), self.cleaned_data.get("price_max")
        if low is not None and high is not None and low > high:
            self.add_error("price_min", _("The minimum price is above the maximum."))
        return self.cleaned_data

    @property
    def criteria(self) -> Criteria:
        """The criteria of a valid form."""
        data = self.cleaned_data
        return Criteria(
            category=data["category"],
            brand=data["brand"],
            price_min=data["price_min"],
            price_max=data["price_max"],
            in_stock=data["in_stock"],
        )


def known(values: tuple[str, ...], existing: Iterable[str]) -> tuple[str, ...]:
    """The values, if all of them exist. Raises `ValidationError`."""
    if not values:
        return values
    known_values = set(existing)
    if unknown := [value for value in values if value not in known_values]:
        raise ValidationError(_("Unknown value: %(names)s.") % {"names": ", ".join(unknown[:5])[:100]})
    return values


def without(values: Iterable[str], value: str) -> tuple[str, ...]:
    """The other values."""
    return tuple(other for other in values if other != value)
