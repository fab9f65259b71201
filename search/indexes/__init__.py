"""The vector indexes that `VECTOR_INDEXES` configures; `index_of` opens the one that a version lives in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.backends import BackendHandler, InvalidBackend
from search.indexes.base import IndexBackend, VectorIndex

if TYPE_CHECKING:
    from search.models import IndexVersion


class InvalidIndex(InvalidBackend):
    """`VECTOR_INDEXES` names no such index, or one that cannot be built."""


indexes = BackendHandler("VECTOR_INDEXES", IndexBackend, InvalidIndex)  # type: ignore[type-abstract]


def index_of(version: IndexVersion) -> VectorIndex:
    """The index that holds a version's documents."""
    return indexes[version.backend].open(version)
