"""The files of an embedded index: all of it as of one sequence number, so that a process loads it at once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.exceptions import IndexMissing, IndexUnavailable
from search.indexes.rows import Int64s, Rows, padded

_ABANDONED_SECONDS = 3_600


class Tombstones(NamedTuple):
    """Deleted photos, ascending, each with the generation of its deletion, so that no late task brings it back."""

    photo_id: Int64s
    generation: Int64s

    @classmethod
    def of(cls, generations: Iterable[tuple[int, int]]) -> Tombstones:
        pairs = np.array(sorted(generations), np.int64).reshape(-1, 2)
        return cls(pairs[:, 0], pairs[:, 1])


class Snapshot(NamedTuple):
    """Documents and tombstones; no photo is in both."""

    rows: Rows
    tombstones: Tombstones

    def changed(self, rows: Rows, tombstones: Tombstones) -> Snapshot:
        """The snapshot with documents added or replaced and photos deleted."""
        touched = np.concatenate([rows.photo_id, tombstones.photo_id])
        kept = self.rows.take(~np.isin(self.rows.photo_id, touched))
        old = ~np.isin(self.tombstones.photo_id, touched)
        dead = zip(self.tombstones.photo_id[old].tolist(), self.tombstones.generation[old].tolist(), strict=True)
        new = zip(tombstones.photo_id.tolist(), tombstones.generation.tolist(), strict=True)
        return Snapshot(kept.merged(rows), Tombstones.of([*dead, *new]))


class SnapshotFolder:
    """The snapshots of one index version, `<sequence>.npz` each.

    A zip archive of uncompressed arrays, whose checksums tell a damaged file. A file appears whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, sequence: int) -> bool:
        return self._file(sequence).exists()

    def load(self, sequence: int, width: int) -> Snapshot:
        """Read a snapshot.

        IndexMissing if there is no usable one, IndexUnavailable if the disk cannot be read.
        """
        arrays = self._read(sequence, [*Rows._fields, *_TOMBSTONES])
        rows = Rows(*(arrays[name] for name in Rows._fields))
        tombstones = Tombstones(*(arrays[name] for name in _TOMBSTONES))
        if rows.vector.shape != (len(rows.photo_id), padded(width)) or rows.vector.dtype != np.float16:
            raise self._missing(sequence, "is damaged")
        return Snapshot(rows, tombstones)

    def generations(self, sequence: int, photo_ids: Int64s) -> dict[int, int]:
        """The generations at which a snapshot holds these photos or their tombstones; absent ones are left out."""
        names = ["photo_id", "generation", *_TOMBSTONES]
        held = list(self._read(sequence, names).values())
        known: dict[int, int] = {}
        for ids, generations in (held[:2], held[2:]):
            which = np.isin(ids, photo_ids)
            known.update(zip(ids[which].tolist(), generations[which].tolist(), strict=True))
        return known

    def count(self, sequence: int) -> int:
        """How many documents a snapshot has."""
        return len(self._read(sequence, ["photo_id"])["photo_id"])

    def write(self, snapshot: Snapshot) -> Path:
        """Write a snapshot under a name that is nobody's, safe on the disk; `publish` it or unlink it."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path, suffix=".tmp")
        tombstones = dict(zip(_TOMBSTONES, snapshot.tombstones, strict=True))
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, allow_pickle=False, **snapshot.rows._asdict(), **tombstones)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            Path(name).unlink()
            raise
        return Path(name)

    def publish(self, written: Path, sequence: int) -> None:
        """Give what `write` wrote the name of a sequence number."""
        written.replace(self._file(sequence))

    def prune(self, below: int | None = None) -> None:
        """Remove the snapshots of lower numbers (all without one), and what a dead process was writing.

        Never a higher one: another process may have written it meanwhile.
        """
        for file in self.path.glob("*.npz"):
            if below is None or int(file.stem) < below:
                file.unlink(missing_ok=True)
        for file in self.path.glob("*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                    file.unlink()
        with suppress(OSError):  # not empty
            self.path.rmdir()

    def _file(self, sequence: int) -> Path:
        return self.path / f"{sequence}.npz"

    def _read(self, sequence: int, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        try:
            # Opened here: numpy leaves a damaged file open.
            with self._file(sequence).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in names}
        except FileNotFoundError as error:
            raise self._missing(sequence, "is not there") from error
        except OSError as error:
            raise IndexUnavailable(
                f"The index file {self._file(sequence)} cannot be read: {error.strerror}."
            ) from error
        except Exception as error:  # whatever a damaged archive makes zipfile and numpy raise
            raise self._missing(sequence, "is damaged") from error

    def _missing(self, sequence: int, what: str) -> IndexMissing:
        return IndexMissing(f"The index file {self._file(sequence)} {what}: run “manage.py rebuild_index”.")


_TOMBSTONES = ("tombstone_photo_id", "tombstone_generation")
