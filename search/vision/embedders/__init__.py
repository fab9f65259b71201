"""The models that turn pictures into vectors: `embedders["default"].embed(squares)`."""

from __future__ import annotations

from django.core.checks import CheckMessage

from search.backends import BackendHandler, InvalidBackend
from search.vision.embedders.base import Embedder

__all__ = ["Embedder", "InvalidEmbedder", "check_all", "embedders"]


class InvalidEmbedder(InvalidBackend):
    """EMBEDDERS names no such alias, or what it says of the alias cannot be built."""


embedders = BackendHandler("EMBEDDERS", Embedder, InvalidEmbedder)  # type: ignore[type-abstract]


def check_all() -> list[CheckMessage]:
    """Say what is wrong with EMBEDDERS: for Django's system checks."""
    return embedders.check()
