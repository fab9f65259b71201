"""The file that says what was not imported, where and why."""

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
    """CSV, or JSON Lines where the name says so; made when there is a first reject, and not before.

    No cell of the CSV is taken for a formula, whatever a supplier calls products and photos.
    """

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
        """Write a reject down. Raises OSError where the file cannot be written."""
        if self._file is None:
            self._open()
        self._write(asdict(reject))

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A file's name need not be Unicode; one that is not is shown escaped.
        file = self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        if self.path.suffix.lower() in JSON_SUFFIXES:
            self._write = lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            writer = csv.DictWriter(file, [field.name for field in fields(Reject)])
            writer.writeheader()
            self._write = lambda row: writer.writerow({name: as_text(cell) for name, cell in row.items()})
