"""The projection of an index version: a map from a photo's embedding to its style block.

A style block has two parts. `z` is the embedding without the catalogue's mean, on its principal components: what all
photos have in common no longer counts. `r` holds a ridge regression's scores for the catalogue's categories: it pulls
photos of one category together. `search.vision.fitting` learns both from the catalogue's own photos.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from search.exceptions import SpaceMismatch
from search.vision.vectors import unit

Floats: TypeAlias = NDArray[np.float32]
Embeddings: TypeAlias = NDArray[np.float16] | NDArray[np.float32]

RIDGE_SHARE = 0.35
"""The part of a style block's squared length that belongs to `r`: the best on 3,781 photos of clothes."""
_BLOCK = 4_096
_FORMAT = 1


def batches(total: int, size: int = _BLOCK) -> Iterator[slice]:
    """Slices of at most `size` rows: what keeps a projection of many photos to a few hundred megabytes."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


@dataclass(frozen=True, eq=False)
class Projection:
    """A map from embeddings (d) to style blocks (w = p + c): p principal components and c class scores.

    Both parts are affine, so they share one matrix product: `embedding @ matrix - offset`. The first p
    columns give `z` and the other c give `r`; each is scaled to unit length and then to its share of the
    whole.
    """

    matrix: Floats  # (d, p + c)
    offset: Floats  # (p + c,)
    components: int  # p
    ridge_share: float = RIDGE_SHARE  # r's part of the squared length; of no effect where c is 0

    @property
    def dimensions(self) -> int:
        """The width of the embeddings it takes: d."""
        return int(self.matrix.shape[0])

    @property
    def width(self) -> int:
        """The width of the style blocks it gives: w."""
        return int(self.matrix.shape[1])

    @property
    def classes(self) -> int:
        """How many class scores a style block holds: c."""
        return self.width - self.components

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name the map, and so the space it leads to."""
        shape = (_FORMAT, *self.matrix.shape, self.components, self.ridge_share)
        digest = hashlib.sha256(repr(shape).encode())
        digest.update(np.ascontiguousarray(self.matrix, "<f4").tobytes())
        digest.update(np.ascontiguousarray(self.offset, "<f4").tobytes())
        return digest.hexdigest()[:12]

    def apply(self, embeddings: Embeddings) -> Floats:
        """The style blocks, float32 (n, w), of `embeddings`, float16 or float32 (n, d); unit rows both.

        Raises SpaceMismatch for embeddings of another width.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dimensions:  # noqa: PLR2004
            msg = (
                f"The projection takes embeddings of width {self.dimensions}, but was given an array of "
                f"shape {embeddings.shape}: run “manage.py rebuild_index” if the model has changed."
            )
            raise SpaceMismatch(msg)
        style = np.empty((len(embeddings), self.width), np.float32)
        for rows in batches(len(embeddings)):
            projected = embeddings[rows].astype(np.float32, copy=False) @ self.matrix - self.offset
            z, r = np.split(projected, [self.components], axis=1)
            share = self.ridge_share if self.classes else 0.0
            style[rows, : self.components] = unit(z) * np.float32(np.sqrt(1 - share))
            style[rows, self.components :] = unit(r) * np.float32(np.sqrt(share))
        return style

    def without_classes(self) -> Projection:
        """The same projection with its principal components only."""
        kept = slice(self.components)
        return Projection(self.matrix[:, kept], self.offset[kept], self.components, self.ridge_share)

    def to_bytes(self) -> bytes:
        """The projection as an .npz archive that `from_bytes` reads."""
        file = io.BytesIO()
        np.savez(
            file,
            allow_pickle=False,
            format=np.int64(_FORMAT),
            matrix=self.matrix.astype("<f4"),
            offset=self.offset.astype("<f4"),
            components=np.int64(self.components),
            ridge_share=np.float64(self.ridge_share),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """Read what `to_bytes` wrote. Raises SpaceMismatch for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                if int(archive["format"]) != _FORMAT:
                    raise SpaceMismatch(
                        "The stored projection was written by another version of this software: "
                        "run “manage.py rebuild_index” to fit a new one."
                    )
                projection = cls(
                    matrix=archive["matrix"].astype(np.float32),
                    offset=archive["offset"].astype(np.float32),
                    components=int(archive["components"]),
                    ridge_share=float(archive["ridge_share"]),
                )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            OSError,
            zipfile.BadZipFile,
        ) as error:
            raise SpaceMismatch(
                "The stored projection cannot be read: run “manage.py rebuild_index” to fit a new one."
            ) from error
        shape = projection.matrix.shape
        if len(shape) != 2 or projection.offset.shape != shape[1:] or projection.components > shape[1]:  # noqa: PLR2004
            raise SpaceMismatch(
                "The stored projection does not fit together: run “manage.py rebuild_index” to fit a new one."
            )
        return projection
