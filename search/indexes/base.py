"""What a vector index does, whichever service keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from search.backends import Backend

if TYPE_CHECKING:
    from search.models import IndexVersion


@dataclass(frozen=True, slots=True)
class Document:
    """A photo in the index: its vector, and what filters ask of its product."""

    photo_id: int
    #: Of two documents of one photo the one of the higher generation holds, whichever comes last.
    generation: int
    #: float32 (width,), `vectors.document`
    vector: npt.NDArray[np.float32] = field(compare=False)
    product_id: int
    category_id: int | None = None
    brand_id: int | None = None
    #: names of `colours.NAMES`
    colours: tuple[str, ...] = ()
    price: Decimal | None = None
    in_stock: bool = True
    visible_from: datetime | None = None
    visible_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents a search may find; an absent condition admits all."""

    categories: frozenset[int] | None = None
    brands: frozenset[int] | None = None
    #: any of these colours
    colours: frozenset[str] | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    in_stock: bool = False
    #: the product must be visible at this moment
    visible_at: datetime | None = None
    exclude_products: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Facets:
    """How many products each value of a condition would leave, all the other conditions of a filter kept.

    A product counts once however many photos of it match. Values that no product has are left out.
    """

    #: that match the whole filter
    products: int = 0
    categories: dict[int, int] = field(default_factory=dict)
    brands: dict[int, int] = field(default_factory=dict)
    colours: dict[str, int] = field(default_factory=dict)
    in_stock: int = 0
    #: the lowest and the highest, where any product has one
    prices: tuple[Decimal, Decimal] | None = None


class Hit(NamedTuple):
    photo_id: int
    product_id: int
    #: inner product of the query's vector and the document's
    score: float


class VectorIndex(ABC):
    """The documents of one index version.

    Implementations are safe to call from several threads and processes at once. Transport errors are raised as
    `search.exceptions.IndexUnavailable`, an index that does not exist as `IndexMissing`.
    """

    def __init__(self, version: IndexVersion) -> None:
        self.version = version

    @abstractmethod
    def create(self) -> None:
        """Make the index, empty; nothing happens where it exists."""

    @abstractmethod
    def upsert(self, documents: Sequence[Document]) -> None:
        """Add documents or replace those of the same photo, unless a document or deletion of a higher or equal
        generation is there already. `ValueError` for a vector of another width or one that is not finite; nothing is
        written then. `search.exceptions.DocumentsRejected` names those that the service refuses; the others are in.
        """

    @abstractmethod
    def delete(self, generations: dict[int, int]) -> None:
        """Delete photos (id -> generation of the deletion), unless a higher generation is there already."""

    @abstractmethod
    def search(self, vector: npt.NDArray[np.float32], k: int, where: Filter | None = None) -> list[Hit]:
        """The k documents of the highest inner product with `vector` (width,), best first, ties by photo id.

        Gives k hits if k documents match the filter, else all that match.
        """

    @abstractmethod
    def facets(self, where: Filter) -> Facets:
        """What a filter leaves to choose from, in products."""

    @abstractmethod
    def count(self) -> int:
        """How many documents there are."""

    @abstractmethod
    def ids(self) -> Iterator[tuple[int, int]]:
        """Photo ids with their generations, ids ascending."""

    def generations(self, photo_ids: Collection[int]) -> dict[int, int]:
        """The generations of the documents of some photos, as of now; those without a document are left out."""
        asked = set(photo_ids)
        return {photo_id: generation for photo_id, generation in self.ids() if photo_id in asked}

    @abstractmethod
    def refresh(self) -> None:
        """Return when every change made before is seen by searches."""

    def activate(self) -> None:
        """Make ready to answer; called when all documents are in, before the version goes live."""
        self.refresh()

    def publish(self) -> None:  # noqa: B027 - most services show nothing to outsiders
        """Let whoever looks at the service from outside find this index; called when the version is live, and by
        the worker now and then: cheap where it is so already.
        """

    @abstractmethod
    def drop(self) -> None:
        """Remove the index, if it exists."""

    def maintain(self) -> None:  # noqa: B027 - most services look after themselves
        """Housekeeping that the worker runs now and then; cheap when there is nothing to do."""


class IndexBackend(Backend):
    """Where indexes are kept: what an alias of `VECTOR_INDEXES` becomes."""

    @abstractmethod
    def open(self, version: IndexVersion) -> VectorIndex:
        """The index of a version, created or not; cheap, and the same object while the process lives."""


def by_photo(documents: Iterable[Document]) -> dict[int, Document]:
    """The newest document of each photo."""
    newest: dict[int, Document] = {}
    for document in documents:
        known = newest.get(document.photo_id)
        if known is None or document.generation >= known.generation:
            newest[document.photo_id] = document
    return newest
