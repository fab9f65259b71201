"""Content -> embedding: made once for each content, however many photos and versions share it."""

from __future__ import annotations

import enum
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from catalogue import images
from catalogue.files import StorageRefused, StorageUnavailable
from catalogue.models import ProductImage
from search.exceptions import EmbedderError, EmbedderUnavailable, PicturesRejected, SpaceMismatch
from search.models import Embedding, IndexVersion
from search.versions import embedder_of
from search.vision import pictures
from search.vision.blocks import Blocks, blocks
from search.vision.embedders import Embedder

logger = logging.getLogger(__name__)

#: Seconds after which no further batch is begun. A batch takes a minute at most, so a claim ends long before its
#: lease and before the job that it belongs to counts as abandoned.
SECONDS = 60.0

Progress: TypeAlias = Callable[[int], object]
"""Called with the number of photos that were settled since the last call; 0 is a sign of life."""


class Kind(enum.Enum):
    """What to do about a content that has no embedding."""

    PERMANENT = enum.auto()
    #: The model or the storage is unavailable: try again later.
    TEMPORARY = enum.auto()
    #: The storage refuses this file but gives out others: a few more tries.
    REFUSED = enum.auto()
    #: There was no time left: the next claim continues.
    NOT_REACHED = enum.auto()


@dataclass(frozen=True)
class Failure:
    """Why a content has no embedding."""

    kind: Kind
    reason: str = ""


Embedded: TypeAlias = dict[str, Embedding | Failure]
"""By the digest of each content."""


def embed(version: IndexVersion, photos: Iterable[ProductImage], progress: Progress | None = None) -> Embedded:
    """The embeddings of photos in the space of a version, which need not be saved; missing ones are made and stored.

    The model is looked for only if some are missing. If it is unavailable it is not asked for the rest. `progress` is
    called with 0 between two batches.
    """
    by_digest: dict[str, list[ProductImage]] = defaultdict(list)
    for photo in photos:
        by_digest[photo.sha256].append(photo)
    found: Embedded = {row.digest: row for row in Embedding.objects.of(version, by_digest)}
    missing = {digest: same for digest, same in by_digest.items() if digest not in found}
    if not missing:
        return found
    try:
        embedder = embedder_of(version)
    except (EmbedderError, SpaceMismatch, ImproperlyConfigured) as error:
        logger.warning("%d photos could not be embedded: %s", len(missing), error)
        return found | dict.fromkeys(missing, Failure(Kind.TEMPORARY, str(error)))
    rest: Failure | None = None
    made: list[Embedding] = []
    prepared = _prepared(missing, version, embedder, found)
    until = time.monotonic() + SECONDS
    try:
        with closing(prepared):
            while batch := list(islice(prepared, embedder.batch_size)):
                try:
                    made += _embed_batch(batch, version, embedder, found)
                except EmbedderUnavailable as error:
                    rest = Failure(Kind.TEMPORARY, str(error))
                    break
                if progress:
                    progress(0)
                if time.monotonic() >= until:
                    rest = Failure(Kind.NOT_REACHED)
                    break
    finally:
        # Even if the process is told to stop between two batches: what is made is kept.
        if made:
            # A content that another process has embedded meanwhile keeps what it has.
            Embedding.objects.bulk_create(made, ignore_conflicts=True, batch_size=100)
    found.update({row.digest: row for row in made})
    if rest is not None:
        found.update({digest: rest for digest in missing if digest not in found})
    return found


def _prepared(
    contents: Mapping[str, Sequence[ProductImage]], version: IndexVersion, embedder: Embedder, found: Embedded
) -> Generator[tuple[str, Blocks]]:
    """Read and decode contents in a few threads, ahead of the model; failures go into `found`.

    Each content comes with the photos that have it: the file of any of them will do.
    """
    size, short_side = embedder.size, pictures.short_side(embedder.size)
    done: set[str] = set()

    def prepare(photos: Sequence[ProductImage]) -> Blocks:
        for photo in photos:
            with suppress(FileNotFoundError), photo.file.open() as file:
                image = images.read(file.read(), short_side=short_side).image
                return blocks(image, size, version.colours_version)
        raise FileNotFoundError(photos[0].file.name)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), thread_name_prefix="prepare") as pool:
        futures = [(digest, pool.submit(prepare, photos)) for digest, photos in contents.items()]
        try:
            for digest, future in futures:
                try:
                    prepared = future.result()
                except images.ImageRefused as error:
                    found[digest] = Failure(Kind.PERMANENT, str(error))
                except FileNotFoundError:
                    # One sentence for all: reasons are grouped, and the photo says which file it is.
                    reason = _("The file is missing from storage. Upload the photo again.")
                    found[digest] = Failure(Kind.PERMANENT, reason)
                except StorageRefused as error:
                    found[digest] = Failure(Kind.REFUSED, str(error))
                except StorageUnavailable as error:
                    logger.warning("Photos could not be read: %s", error)
                    rest = Failure(Kind.TEMPORARY, str(error))
                    found.update({other: rest for other in contents if other not in done and other not in found})
                    return
                except Exception as error:
                    # One photo fails alone, whatever is wrong with it; staff see why and can try again.
                    logger.exception("A photo could not be prepared.")
                    found[digest] = Failure(Kind.PERMANENT, f"{type(error).__name__}: {error}")
                else:
                    done.add(digest)
                    yield digest, prepared
        finally:
            pool.shutdown(cancel_futures=True)


def _embed_batch(
    batch: Sequence[tuple[str, Blocks]], version: IndexVersion, embedder: Embedder, found: Embedded
) -> list[Embedding]:
    """Embed a batch; pictures that the model refuses fail alone and go into `found`. Raises EmbedderUnavailable."""
    refused: dict[int, str] = {}
    try:
        rows = embedder.embed(np.stack([prepared.square for _digest, prepared in batch]))
    except PicturesRejected as rejected:
        rows, refused = rejected.vectors, rejected.reasons
        found.update({batch[place][0]: Failure(Kind.PERMANENT, reason) for place, reason in refused.items()})
    except EmbedderUnavailable:
        raise
    except EmbedderError as error:
        failure = Failure(Kind.PERMANENT if error.permanent else Kind.TEMPORARY, str(error))
        found.update({digest: failure for digest, _prepared in batch})
        return []
    return [
        Embedding(
            digest=digest,
            fingerprint=version.fingerprint,
            embedding=Embedding.pack(row),
            colour=Embedding.pack(prepared.colour),
            colours_version=version.colours_version,
            colours=prepared.names,
        )
        for place, ((digest, prepared), row) in enumerate(zip(batch, rows, strict=True))
        if place not in refused
    ]
