"""The file of rejects."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from catalogue.importers.cells import as_text
from catalogue.importers.records import Reject

JSON_SUFFIXES = frozenset({".jsonl", ".ndjson"})


class RejectsFile:
    """A CSV file, or JSON Lines if its suffix says so, created at the first reject. No cell runs as a formula."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._write: Callable[[dict[str, str]], object]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, reject: Reject) -> None:
        """Write a reject. Raises OSError."""
        if self._file is None:
            self._open()
        self._write(asdict(reject))

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # File names need not be Unicode; others are escaped.
        file = self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        if self.path.suffix.lower() in JSON_SUFFIXES:
            self._write = lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            writer = csv.DictWriter(file, [field.name for field in fields(Reject)])
            writer.writeheader()
            self._write = lambda row: writer.writerow({name: as_text(cell) for name, cell in row.items()})
