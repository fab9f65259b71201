"""The admin's history of changes to many products."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.contrib.admin.models import LogEntry
from django.http import HttpRequest

from catalogue.models import Product


def note(request: HttpRequest, products: Iterable[Product], flag: int, message: str) -> None:
    """Log that the user changed these products, in one query."""
    LogEntry.objects.log_actions(
        cast("int", request.user.pk), cast("Any", list(products)), flag, change_message=message
    )
