"""Refinements as addresses hold them: `?category=hats&colour_weight=0.3&box=0.1,0.1,0.6,0.9`.

The page and the API read the same addresses, and write them with `RefinementForm.parameters`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from catalogue.filters import FilterForm, ManyField, known
from catalogue.models import Product
from search.reading.refinement import MOST_WISHES, Criteria, Refinement
from search.vision import colours
from search.vision.pictures import Box
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT


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


class RefinementForm(FilterForm):
    """Reads a refinement from an address: what it filters by, and how it shapes the search."""

    colour = ManyField(required=False)
    colour_weight = forms.FloatField(required=False, min_value=0, max_value=MAX_COLOUR_WEIGHT)
    like = ManyField(required=False, most=MOST_WISHES)
    dislike = ManyField(required=False, most=MOST_WISHES)
    box = BoxField(required=False)

    def clean_colour(self) -> tuple[str, ...]:
        return known(self.cleaned_data["colour"], colours.NAMES)

    def clean_colour_weight(self) -> float:
        weight: float | None = self.cleaned_data["colour_weight"]
        if weight is None:
            return DEFAULT_COLOUR_WEIGHT
        if not math.isfinite(weight):
            raise ValidationError(_("Enter a number."))
        return weight

    @property
    def criteria(self) -> Criteria:
        return Criteria(**vars(super().criteria), colour=self.cleaned_data["colour"])

    @property
    def refinement(self) -> Refinement:
        """What the address says; the form must be valid."""
        data = self.cleaned_data
        return Refinement(
            box=data["box"],
            colour_weight=data["colour_weight"],
            criteria=self.criteria,
            like=data["like"],
            dislike=data["dislike"],
        )

    @staticmethod
    def parameters(refinement: Refinement) -> list[tuple[str, str]]:
        """The address of a refinement as names and values, without what is as it is by default."""
        pairs = refinement.criteria.parameters()
        if refinement.colour_weight != DEFAULT_COLOUR_WEIGHT:
            pairs.append(("colour_weight", f"{refinement.colour_weight:g}"))
        for name in ("like", "dislike"):
            pairs += [(name, sku) for sku in getattr(refinement, name)]
        if refinement.box is not None:
            pairs.append(("box", ",".join(f"{edge:g}" for edge in asdict(refinement.box).values())))
        return pairs


class KnownRefinementForm(RefinementForm):
    """As `RefinementForm`, for the API: refuses unknown products, where a page leaves them out."""

    def clean_like(self) -> tuple[str, ...]:
        return self._known_skus("like")

    def clean_dislike(self) -> tuple[str, ...]:
        return self._known_skus("dislike")

    def _known_skus(self, name: str) -> tuple[str, ...]:
        skus: tuple[str, ...] = self.cleaned_data[name]
        return known(skus, Product.objects.visible().filter(sku__in=skus).values_list("sku", flat=True))
