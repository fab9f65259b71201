"""What the admin's history of a product says of changes that were made to many at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.contrib.admin.models import LogEntry
from django.http import HttpRequest

from catalogue.models import Product


def note(request: HttpRequest, products: Iterable[Product], flag: int, message: str) -> None:
    """Write down that whoever asks has changed these products, in one query."""
    LogEntry.objects.log_actions(
        cast("int", request.user.pk), cast("Any", list(products)), flag, change_message=message
    )
