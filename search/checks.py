"""What is wrong with the configuration of search, said at start-up."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, register

from search.indexes import indexes
from search.vision.embedders import embedders


@register
def check_backends(**kwargs: Any) -> list[CheckMessage]:
    return [*embedders.check(), *indexes.check()]
