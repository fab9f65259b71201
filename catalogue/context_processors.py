from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def shop(request: HttpRequest) -> dict[str, str]:
    """What every page says of the shop."""
    return {"shop_name": settings.SHOP_NAME}
