"""What models and the colour code say of contents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from django.db import models
from django.db.models import Subquery

from search.models.versions import IndexVersion


class EmbeddingQuerySet(models.QuerySet["Embedding"]):
    def of(self, version: IndexVersion, digests: Iterable[str] | None = None) -> EmbeddingQuerySet:
        """The embeddings in the space of a version, which need not be saved: of these contents, or all."""
        rows = self.filter(fingerprint=version.fingerprint, colours_version=version.colours_version)
        return rows if digests is None else rows.filter(digest__in=list(digests))

    def of_live(self) -> EmbeddingQuerySet:
        """The embeddings in the space of the live version, in one query; none where there is no index."""
        live = IndexVersion.objects.filter(state=IndexVersion.State.LIVE)
        space = {name: Subquery(live.values(name)) for name in ("fingerprint", "colours_version")}
        return self.filter(**space)


class Embedding(models.Model):
    """What one model and one version of the colour code say of one content, however many photos share it.

    Read through `objects.of(version)` only: rows of different models or colours must never be compared.
    """

    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=120)
    embedding = models.BinaryField(help_text="float16, little-endian, unit length")
    colour = models.BinaryField(help_text="float16, little-endian, unit length")
    colours_version = models.PositiveSmallIntegerField()
    colours = models.JSONField(default=list, help_text="named colours with their shares, the largest first")

    objects: ClassVar[EmbeddingQuerySet] = EmbeddingQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest", "fingerprint", "colours_version"], name="embedding_once_per_space"
            )
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} by {self.fingerprint}"

    @staticmethod
    def pack(row: npt.NDArray[np.floating[Any]]) -> bytes:
        """A row of floats as little-endian float16 bytes."""
        return row.astype("<f2").tobytes()

    @staticmethod
    def unpack(rows: Iterable[bytes | memoryview]) -> npt.NDArray[np.float32]:
        """Stored rows of one width as float32 (n, width)."""
        joined = [bytes(row) for row in rows]
        if not joined:
            return np.zeros((0, 0), np.float32)
        return np.frombuffer(b"".join(joined), "<f2").reshape(len(joined), -1).astype(np.float32)
