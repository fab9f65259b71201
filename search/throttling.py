"""How often one address may search."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle


class SearchThrottle(SimpleRateThrottle):
    """At most `SEARCH_RATE` new searches from one address, pages and API together."""

    scope = "search"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:search:{self.get_ident(request)}"
