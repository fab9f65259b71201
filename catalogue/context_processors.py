from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from catalogue.tree import CategoryTree


def shop(request: HttpRequest) -> dict[str, Any]:
    """Variables for every page. The categories are queried only if they are shown."""
    return {
        "shop_name": settings.SHOP_NAME,
        "top_categories": SimpleLazyObject(lambda: CategoryTree.load().children()),
        "image_most_bytes": settings.IMAGE_MAX_BYTES,
        "image_most_megabytes": settings.IMAGE_MAX_BYTES // 1_000_000,
    }
