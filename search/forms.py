"""Refinements as addresses hold them: `?category=hats&colour_weight=0.3&box=0.1,0.1,0.6,0.9`.

The page and the API read the same addresses, and write them with `RefinementForm.parameters`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from catalogue.models import Brand, Category
from search import colours
from search.pictures import Box
from search.querying import Criteria, Refinement
from search.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT

#: Values of one parameter; more are not chosen by hand.
MOST_VALUES = 50


class ManyField(forms.Field):
    """A parameter that may come several times -> a tuple of its values."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part for part in value or () if part))

    def validate(self, value: tuple[str, ...]) -> None:
        super().validate(value)
        if len(value) > MOST_VALUES:
            raise ValidationError(_("Name at most %(limit)d.") % {"limit": MOST_VALUES})


class BoxInput(forms.MultipleHiddenInput):
    """The edges of a box, in one parameter with commas or, as a form without scripts sends them, in four."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        edges = ",".join(super().value_from_datadict(data, files, name) or ())
        return [edge.strip() for edge in edges.split(",")]


class BoxField(forms.Field):
    """`left,top,right,bottom` -> `Box`."""

    widget = BoxInput

    def to_python(self, value: Sequence[str] | None) -> Box | None:
        if not value or not any(value):
            return None
        try:
            return Box.from_sequence(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class RefinementForm(forms.Form):
    """Reads a refinement from an address. Unknown parameters are left alone: they may be another page's."""

    category = ManyField(required=False)
    brand = ManyField(required=False)
    colour = ManyField(required=False)
    price_min = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=12, decimal_places=2)
    price_max = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=12, decimal_places=2)
    in_stock = forms.BooleanField(required=False)
    colour_weight = forms.FloatField(required=False, min_value=0, max_value=MAX_COLOUR_WEIGHT)
    like = ManyField(required=False)
    dislike = ManyField(required=False)
    box = BoxField(required=False)

    def clean_category(self) -> tuple[str, ...]:
        slugs: tuple[str, ...] = self.cleaned_data["category"]
        return _known(slugs, Category.objects.filter(slug__in=slugs).values_list("slug", flat=True))

    def clean_brand(self) -> tuple[str, ...]:
        slugs: tuple[str, ...] = self.cleaned_data["brand"]
        return _known(slugs, Brand.objects.filter(slug__in=slugs).values_list("slug", flat=True))

    def clean_colour(self) -> tuple[str, ...]:
        return _known(self.cleaned_data["colour"], colours.NAMES)

    def clean_colour_weight(self) -> float:
        weight: float | None = self.cleaned_data["colour_weight"]
        if weight is None:
            return DEFAULT_COLOUR_WEIGHT
        if not math.isfinite(weight):
            raise ValidationError(_("Enter a number."))
        return weight

    def clean(self) -> dict[str, Any]:
        low, high = self.cleaned_data.get("price_min"), self.cleaned_data.get("price_max")
        if low is not None and high is not None and low > high:
            self.add_error("price_min", _("The lowest price is above the highest."))
        return self.cleaned_data

    @property
    def refinement(self) -> Refinement:
        """What the address says; the form must be valid."""
        data = self.cleaned_data
        return Refinement(
            box=data["box"],
            colour_weight=data["colour_weight"],
            criteria=Criteria(
                category=data["category"],
                brand=data["brand"],
                colour=data["colour"],
                price_min=data["price_min"],
                price_max=data["price_max"],
                in_stock=data["in_stock"],
            ),
            like=data["like"],
            dislike=data["dislike"],
        )

    @staticmethod
    def parameters(refinement: Refinement) -> list[tuple[str, str]]:
        """The address of a refinement as names and values, without what is as it is by default."""
        criteria = refinement.criteria
        pairs: list[tuple[str, str]] = []
        for name in ("category", "brand", "colour"):
            pairs += [(name, value) for value in getattr(criteria, name)]
        for name in ("price_min", "price_max"):
            if (price := getattr(criteria, name)) is not None:
                pairs.append((name, str(price)))
        if criteria.in_stock:
            pairs.append(("in_stock", "true"))
        if refinement.colour_weight != DEFAULT_COLOUR_WEIGHT:
            pairs.append(("colour_weight", f"{refinement.colour_weight:g}"))
        for name in ("like", "dislike"):
            pairs += [(name, sku) for sku in getattr(refinement, name)]
        if refinement.box is not None:
            pairs.append(("box", ",".join(f"{edge:g}" for edge in asdict(refinement.box).values())))
        return pairs


def _known(values: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    if unknown := [value for value in values if value not in set(known)]:
        raise ValidationError(_("There is none called %(names)s.") % {"names": ", ".join(unknown)})
    return values
