"""Readable values of a product's fields, before and after a change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from catalogue.importers.cells import category_path
from catalogue.models import Product

_MAX_LENGTH = 80
"""Characters shown of a text."""


def shown(value: Any) -> str:
    """A value as text; “empty” for an empty one."""
    if value is None or value in ("", (), {}):
        return _("empty")
    match value:
        case Decimal():
            return number_format(value, 2)
        case datetime():
            return date_format(timezone.localtime(value), "SHORT_DATETIME_FORMAT")
        case tuple():
            return category_path(value)
        case dict():
            return _short(json.dumps(value, ensure_ascii=False))
    return _short(str(value))


def label(name: str) -> str:
    """The label of a field."""
    return str(capfirst(Product._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def rows(fields: Mapping[str, tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    """Each field's name, with its value before and after."""
    return [(label(name), shown(before), shown(after)) for name, (before, after) in fields.items()]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
