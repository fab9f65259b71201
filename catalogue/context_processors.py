from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from catalogue.models import Category


def shop(request: HttpRequest) -> dict[str, Any]:
    """What every page says of the shop; the categories cost a query only where they are shown."""
    return {
        "shop_name": settings.SHOP_NAME,
        "top_categories": Category.objects.filter(parent=None),
        "image_most_bytes": settings.IMAGE_MAX_BYTES,
        "image_most_megabytes": settings.IMAGE_MAX_BYTES // 1_000_000,
    }
