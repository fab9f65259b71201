"""The admin's first page: each app's part of it, in one context."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from catalogue.overview import overview

#: Each takes the request and gives what its part of `admin/index.html` needs.
PARTS = (overview,)

#: Search's part of the page; it has the page's whole context.
SEARCH_TEMPLATE = "search/admin/overview.html"


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    for part in PARTS:
        context |= part(request)
    try:
        get_template(SEARCH_TEMPLATE)
    except TemplateDoesNotExist:
        return context
    return context | {"search_overview": SEARCH_TEMPLATE}
