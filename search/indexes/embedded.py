"""The index that lives in the site's own processes: exact search in memory, on faiss.

A version's documents are in a file (`snapshots`) as of its `base_sequence`, and the changes since then in
`IndexDelta`. Each process loads the file at its first search; from then on every search asks with one query for
the changes it has not seen. Changes commit in the order of their sequence numbers (`IndexVersion.next_sequence`),
so a process that has seen n has missed nothing at or below n.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.core.checks import CheckMessage, Error
from django.db import transaction
from django.db.models import FilteredRelation, Q

from search.exceptions import IndexMissing
from search.indexes.base import Document, Facets, Filter, Hit, IndexBackend, VectorIndex, by_photo
from search.indexes.rows import Rows, attributes, finite, pack
from search.indexes.segments import Contents
from search.indexes.snapshots import Snapshot, SnapshotFolder, Tombstones
from search.models import IndexDelta, IndexVersion

_OPEN_VERSIONS = 3
"""Versions whose documents a process keeps in memory: the live one, the one being built, the one just retired."""

_LEAST_CHANGES = 1_000
_CHANGED_SHARE = 0.1
"""A new file is written when there are more changes than both of these allow."""

_BATCH = 500


class EmbeddedBackend(IndexBackend):
    """Keeps each version's file in a folder of its own under `folder`."""

    def __init__(self, alias: str, *, folder: Path | str) -> None:
        super().__init__(alias)
        self.folder = Path(folder)
        self._opened: OrderedDict[int, EmbeddedIndex] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, version: IndexVersion) -> EmbeddedIndex:
        with self._lock:
            index = self._opened.get(version.pk) or EmbeddedIndex(version, self.folder / str(version.pk))
            self._opened[version.pk] = index
            self._opened.move_to_end(version.pk)
            if len(self._opened) > _OPEN_VERSIONS:
                self._opened.popitem(last=False)
            return index

    def check(self) -> list[CheckMessage]:
        existing = next(path for path in (self.folder.absolute(), *self.folder.absolute().parents) if path.exists())
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            return []
        hint = "Name a folder in VECTOR_INDEXES that the site may write to."
        return [
            Error(f"The vector index cannot keep its files in {self.folder}.", hint=hint, id="search.indexes.E001")
        ]


class _Changes(NamedTuple):
    """What one query says of a version: where its file and its changes end, and the changes after a number."""

    base_sequence: int
    sequence: int
    rows: Rows
    tombstones: Tombstones


class EmbeddedIndex(VectorIndex):
    """One version's documents, for all threads of this process."""

    def __init__(self, version: IndexVersion, folder: Path) -> None:
        super().__init__(version)
        self._snapshots = SnapshotFolder(folder)
        self._contents: Contents | None = None
        self._lock = threading.Lock()

    def create(self) -> None:
        with transaction.atomic():
            sequence, base_sequence = self._take_sequence()
            if base_sequence not in self._snapshots:
                empty = Snapshot(Rows.empty(self.version.width), Tombstones.of([]))
                self._snapshots.publish(self._snapshots.write(empty), sequence)
                self._rebase(base_sequence, sequence)

    def upsert(self, documents: Sequence[Document]) -> None:
        self._write(
            [
                IndexDelta(
                    version=self.version,
                    photo_id=document.photo_id,
                    generation=document.generation,
                    vector=pack(document.vector, self.version.width),
                    attributes=attributes(document),
                )
                for document in by_photo(documents).values()
            ]
        )

    def delete(self, generations: dict[int, int]) -> None:
        self._write(
            [
                IndexDelta(version=self.version, photo_id=photo_id, generation=generation)
                for photo_id, generation in generations.items()
            ]
        )

    def search(self, vector: npt.NDArray[np.float32], k: int, where: Filter | None = None) -> list[Hit]:
        query = finite(vector, self.version.width)
        return self._current().search(query, k, where) if k > 0 else []

    def facets(self, where: Filter) -> Facets:
        return self._current().facets(where)

    def count(self) -> int:
        return self._current().count()

    def ids(self) -> Iterator[tuple[int, int]]:
        return iter(self._current().ids())

    def generations(self, photo_ids: Collection[int]) -> dict[int, int]:
        return self._current().generations(np.fromiter(photo_ids, np.int64, len(photo_ids)))

    def refresh(self) -> None:
        self._current()

    def drop(self) -> None:
        with transaction.atomic():
            try:
                sequence, base_sequence = self._take_sequence()
            except IndexMissing:
                pass  # the row is gone, and its changes with it
            else:
                # Other processes find that the file of the new number is not there.
                self._rebase(base_sequence, sequence)
            transaction.on_commit(self._remove_files)
        self._contents = None

    def maintain(self) -> None:
        """Write the changes into a new file, if there are many. Of several workers that try, one succeeds."""
        waiting = IndexDelta.objects.filter(version=self.version.pk).count()
        if waiting <= _LEAST_CHANGES:
            return
        changes = self._changes(since=-1)
        if changes.sequence == changes.base_sequence:
            return  # another worker has just written them
        if waiting <= _CHANGED_SHARE * self._snapshots.count(changes.base_sequence):
            return
        snapshot = self._snapshots.load(changes.base_sequence, self.version.width)
        written = self._snapshots.write(snapshot.changed(changes.rows, changes.tombstones))
        try:
            with transaction.atomic(durable=True):
                won = self._rebase(changes.base_sequence, changes.sequence)
                if won:
                    self._snapshots.publish(written, changes.sequence)
        finally:
            written.unlink(missing_ok=True)
        if won:
            # A reader may have read the old number just now, and be about to open its file.
            self._snapshots.prune(below=changes.base_sequence)

    def _current(self) -> Contents:
        """The documents as of now, caught up with the database."""
        missing = None
        while True:
            known = self._contents
            changes = self._changes(since=known.sequence if known else -1)
            if known and changes.sequence == known.sequence:
                return known
            with self._lock:
                if self._contents is not known:
                    continue  # another thread has caught up meanwhile
                if known and not changes.base_sequence <= known.sequence < changes.sequence:
                    # Changes went into a file before they were seen here, or the database was set back.
                    self._contents = None
                    continue
                try:
                    contents = known or self._load(changes.base_sequence)
                except IndexMissing:
                    if missing == changes.base_sequence:
                        raise
                    missing = changes.base_sequence  # a newer file may have taken its place: look once more
                    continue
                contents = contents.changed(changes.sequence, changes.rows, changes.tombstones.photo_id)
                # What is read inside a transaction may be its own and be rolled back: it is not kept.
                if not transaction.get_connection().in_atomic_block:
                    self._contents = contents
                return contents

    def _load(self, sequence: int) -> Contents:
        return Contents.of(sequence, self._snapshots.load(sequence, self.version.width).rows)

    def _changes(self, since: int) -> _Changes:
        """The version's numbers and its changes after `since`, of one moment since they are read by one query."""
        stored = list(
            IndexVersion.objects.filter(pk=self.version.pk)
            .annotate(change=FilteredRelation("deltas", condition=Q(deltas__sequence__gt=since)))
            .order_by()
            .values_list(
                "base_sequence",
                "sequence",
                "change__photo_id",
                "change__generation",
                "change__vector",
                "change__attributes",
            )
        )
        if not stored:
            raise self._no_version()
        changes = [row[2:] for row in stored if row[2] is not None]
        return _Changes(
            *stored[0][:2],
            Rows.of([change for change in changes if change[2] is not None], self.version.width),
            Tombstones.of(change[:2] for change in changes if change[2] is None),
        )

    def _write(self, deltas: list[IndexDelta]) -> None:
        """Store changes, but those of photos that are held at a higher generation (or, for a document, the same)."""
        if not deltas:
            return
        with transaction.atomic():
            sequence, base_sequence = self._take_sequence()
            held = self._held([delta.photo_id for delta in deltas], base_sequence)
            fresh = []
            for delta in deltas:
                least = held.get(delta.photo_id, -1) + (delta.vector is not None)
                if delta.generation >= least:
                    delta.sequence = sequence
                    fresh.append(delta)
            IndexDelta.objects.bulk_create(
                fresh,
                batch_size=_BATCH,
                update_conflicts=True,
                unique_fields=["version", "photo_id"],
                update_fields=["sequence", "generation", "vector", "attributes"],
            )

    def _held(self, photo_ids: list[int], base_sequence: int) -> dict[int, int]:
        """The generations of documents and tombstones of these photos, in the file and newer."""
        held = self._snapshots.generations(base_sequence, np.array(photo_ids, np.int64))
        deltas = IndexDelta.objects.filter(version=self.version.pk)
        for start in range(0, len(photo_ids), _BATCH):
            batch = deltas.filter(photo_id__in=photo_ids[start : start + _BATCH])
            held.update(batch.values_list("photo_id", "generation"))
        return held

    def _take_sequence(self) -> tuple[int, int]:
        """Take the next number; the version's row is locked until the commit. Gives it and the base's number."""
        try:
            sequence = self.version.next_sequence()
        except IndexVersion.DoesNotExist as error:
            raise self._no_version() from error
        return sequence, IndexVersion.objects.values_list("base_sequence", flat=True).get(pk=self.version.pk)

    def _remove_files(self) -> None:
        base = IndexVersion.objects.filter(pk=self.version.pk).values_list("base_sequence", flat=True).first()
        self._snapshots.prune(below=base)

    def _rebase(self, old: int, new: int) -> bool:
        """Make `new` the base in place of `old`; changes up to it go. False if the base is another by now."""
        rebased = IndexVersion.objects.filter(pk=self.version.pk, base_sequence=old).update(base_sequence=new)
        if rebased:
            IndexDelta.objects.filter(version=self.version.pk, sequence__lte=new).delete()
        return bool(rebased)

    def _no_version(self) -> IndexMissing:
        return IndexMissing(f"There is no index version {self.version.pk}: run “manage.py rebuild_index”.")
