"""Everything that can go wrong in search, as one small tree.

`permanent` tells the write path what to do with a photo that met the error: true marks it failed and tells
staff why, false tries again later with a growing pause. Messages are sentences for the people who read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SearchError(Exception):
    """Base of every error that search raises on purpose."""

    permanent = False


class EmbedderError(SearchError):
    """The model could not be asked, or answered with something that is not an embedding."""


class EmbedderUnavailable(EmbedderError):
    """The model does not answer now: worth another try."""


class PicturesRejected(EmbedderError):
    """The model refuses some of the pictures that it was given and will refuse them again; the others are embedded.

    vectors: float32 (n, dimensions), a row for each picture that was given; those of the refused say nothing.
    reasons: the place of each refused picture among them, and why, in a sentence for staff.
    """

    permanent = True

    def __init__(self, vectors: NDArray[np.float32], reasons: dict[int, str]) -> None:
        super().__init__(next(iter(reasons.values())))
        self.vectors = vectors
        self.reasons = reasons


class VectorIndexError(SearchError):
    """The vector index could not do what was asked."""


class IndexUnavailable(VectorIndexError):
    """The index does not answer now: worth another try."""


class IndexMissing(VectorIndexError):
    """There is no index for this version: never built, lost, or dropped after it was retired."""

    permanent = True


class DocumentsRejected(VectorIndexError):
    """The index refuses some of the documents that it was given and will refuse them again; the others are in.

    reasons: the photo of each refused document, and why, in a sentence for staff.
    """

    permanent = True

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__(next(iter(reasons.values())))
        self.reasons = reasons


class SpaceMismatch(SearchError):
    """A vector of one space met an index of another; comparing them would give nonsense."""


class BuildInterrupted(SearchError):
    """A build stopped because the model or the index is unavailable. The next rebuild continues it."""


class NothingToCancel(SearchError):
    """No rebuild is queued or running, and no version is unfinished."""


class BuildRefused(SearchError):
    """A version does not go live: it is not complete, or worse than the live one."""


class RollbackRefused(SearchError):
    """The previous version cannot be rolled back to."""


class PhotosPostponed(SearchError):
    """Some photos could not be indexed now and will be retried."""


class NotIndexed(SearchError):
    """The product has no photo that search knows yet."""


class QueryGone(SearchError):
    """The query has expired or its picture was deleted."""

    permanent = True


class FetchesBusy(SearchError):
    """The limit of concurrent downloads is reached."""


class WorkStopped(SearchError):
    """The process was told to stop. Another one continues its work."""
