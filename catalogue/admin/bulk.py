"""Bulk edit of products: the form, its preview, and the write in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget

from catalogue.importers.cells import MAX_PRICE
from catalogue.models import Brand, Category, Product, ProductQuerySet

NONE = "none"
"""Removes a category or brand."""

_CENT = Decimal("0.01")
_BATCH = 500
"""Products in one statement."""


@dataclass(frozen=True, slots=True)
class Change:
    """The changed fields of a product, with their values before and after."""

    product: Product
    fields: dict[str, tuple[Any, Any]]


class Outdated(Exception):
    """The products have changed since the preview."""


def digest(changes: Iterable[Change]) -> str:
    """Identifies a preview: the products, their changed fields and the old values.

    The new values are left out, since "now" is a later time when the changes are written.
    """
    lines = sorted(
        f"{change.product.pk} {name} {before.pk if isinstance(before, Model) else before}"
        for change in changes
        for name, (before, _after) in change.fields.items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class BulkEditForm(forms.Form):
    """The changes of the selected products. Empty fields change nothing."""

    prefix = "bulk"

    price_change = forms.ChoiceField(
        label=_("Price"),
        required=False,
        choices=[
            ("", _("Leave as it is")),
            ("set", _("Set to this price")),
            ("percent", _("Change by this many per cent")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    price = forms.DecimalField(
        label=_("Price or per cent"),
        required=False,
        max_digits=12,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "0.01"}),
        help_text=_("For example 12.50, or -20 to lower prices by a fifth."),
    )
    visibility = forms.ChoiceField(
        label=_("Visibility"),
        required=False,
        choices=[
            ("", _("Leave as it is")),
            ("show", _("Show now")),
            ("hide", _("Hide now")),
            ("dates", _("Show from and until these dates")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    visible_from = forms.SplitDateTimeField(
        label=_("Visible from"), required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    visible_until = forms.SplitDateTimeField(
        label=_("Visible until"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Leave a date empty for no limit."),
    )
    category = forms.ChoiceField(label=_("Category"), required=False, widget=UnfoldAdminSelectWidget)
    brand = forms.ChoiceField(label=_("Brand"), required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leave = ("", _("Leave as it is"))
        self.categories = {str(c.pk): c for c in Category.objects.with_tree_fields()}
        self.brands = {str(brand.pk): brand for brand in Brand.objects.all()}
        names = [(pk, "\u2003" * c.tree_depth + c.name) for pk, c in self.categories.items()]
        brands = [(pk, brand.name) for pk, brand in self.brands.items()]
        cast("forms.ChoiceField", self.fields["category"]).choices = [leave, (NONE, _("No category")), *names]
        cast("forms.ChoiceField", self.fields["brand"]).choices = [leave, (NONE, _("No brand")), *brands]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        match cleaned.get("price_change"):
            case "set":
                self._check_price(MinValueValidator(Decimal(0)), MaxValueValidator(MAX_PRICE))
            case "percent":
                self._check_price(MinValueValidator(Decimal(-100)), MaxValueValidator(Decimal(1000)))
        start, end = cleaned.get("visible_from"), cleaned.get("visible_until")
        if cleaned.get("visibility") == "dates" and start and end and start >= end:
            self.add_error("visible_until", _("“Visible until” must be later than “visible from”."))
        if not self.errors and not any(cleaned[name] for name in ("price_change", "visibility", "category", "brand")):
            self.add_error(None, _("Choose at least one change."))
        return cleaned

    def _check_price(self, *validators: Any) -> None:
        price = self.cleaned_data.get("price")
        if price is None:
            if "price" not in self.errors:
                self.add_error("price", _("Enter a number."))
            return
        for validator in validators:
            try:
                validator(price)
            except forms.ValidationError as error:
                self.add_error("price", error)

    def changes(self, products: Iterable[Product], now: datetime) -> list[Change]:
        """Set the new values without saving; returns the changes."""
        changed = []
        for product in products:
            fields = {
                name: (before, value)
                for name, value in self._wanted(product, now).items()
                if (before := getattr(product, name)) != value
            }
            for name, (_before, value) in fields.items():
                setattr(product, name, value)
            if fields:
                changed.append(Change(product, fields))
        return changed

    def _wanted(self, product: Product, now: datetime) -> dict[str, Any]:
        """The wanted values of a product."""
        cleaned = self.cleaned_data
        wanted: dict[str, Any] = {}
        if cleaned["price_change"] == "set":
            wanted["price"] = cleaned["price"]
        elif cleaned["price_change"] == "percent" and product.price is not None:
            raised = (product.price * (100 + cleaned["price"]) / 100).quantize(_CENT, ROUND_HALF_UP)
            wanted["price"] = min(raised, MAX_PRICE)
        wanted |= self._dates(product, now)
        if pk := cleaned["category"]:
            wanted["category"] = self.categories.get(pk)
        if pk := cleaned["brand"]:
            wanted["brand"] = self.brands.get(pk)
        return wanted

    def _dates(self, product: Product, now: datetime) -> dict[str, datetime | None]:
        start, end = product.visible_from, product.visible_until
        over, to_come = end is not None and end <= now, start is not None and start > now
        match self.cleaned_data["visibility"]:
            case "dates":
                return {name: self.cleaned_data[name] for name in ("visible_from", "visible_until")}
            case "show":
                # A future end is kept.
                return ({"visible_until": None} if over else {}) | ({"visible_from": now} if to_come else {})
            case "hide" if not over and not to_come:
                return {"visible_until": now}
        return {}

    def write(self, products: ProductQuerySet, now: datetime, previewed: str) -> list[Change]:
        """Write the changes in one transaction and return them.

        Raises `Outdated`, and changes nothing, unless `previewed` is the digest of these changes. So a form that is
        sent twice is applied once.
        """
        with transaction.atomic():
            changes = self.changes(products.locked().select_related("category", "brand"), now)
            if digest(changes) != previewed:
                raise Outdated
            written: dict[tuple[str, ...], list[Product]] = {}
            for change in changes:
                change.product.modified = now
                written.setdefault(tuple(sorted(change.fields)), []).append(change.product)
            for fields, changed in written.items():
                Product.objects.bulk_update(changed, [*fields, "modified"], batch_size=_BATCH)
        return changes
