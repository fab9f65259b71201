"""The admin's first page: each app's part of it, in one context."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from catalogue.overview import overview
from search.admin.overview import summary

#: Each takes the request and gives what its part of `admin/index.html` needs.
PARTS = (overview, summary)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    for part in PARTS:
        context |= part(request)
    return context
