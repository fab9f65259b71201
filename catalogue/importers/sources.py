"""Opens the source at a path."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from catalogue.importers.archive import MAX_EXPANDED_BYTES, ArchiveSource
from catalogue.importers.feidegger import FeideggerSource
from catalogue.importers.folder import FolderSource
from catalogue.importers.objects import SCHEME, ObjectsSource
from catalogue.importers.records import Source, SourceRefused
from catalogue.importers.tabular import CsvSource, JsonLinesSource
from catalogue.importers.workbook import WorkbookSource

FORMATS = ("auto", "folder", "zip", "csv", "xlsx", "jsonl", "feidegger")

_KINDS: dict[str, Callable[[Path], Source]] = {
    "folder": FolderSource,
    "csv": CsvSource,
    "xlsx": WorkbookSource,
    "jsonl": JsonLinesSource,
    "feidegger": FeideggerSource,
}

_SUFFIXES = {
    ".zip": "zip",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def open_source(place: str | Path, kind: str = "auto", *, max_expanded: int = MAX_EXPANDED_BYTES) -> Source:
    """Open a source and check its structure.

    `place` is a path, or `s3://bucket/folder`; `kind` is one of `FORMATS`; `max_expanded` limits the unpacked bytes
    of an archive. Raises `SourceRefused`.
    """
    if str(place).startswith(SCHEME):
        if kind not in {"auto", "folder"}:
            raise SourceRefused(
                f"{place} is read as a folder of photos. Copy a table or a zip to this machine first."
            )
        return ObjectsSource(str(place))
    path = Path(place)
    if not path.exists():
        raise SourceRefused(f"There is nothing at {path}. Check the path.")
    if kind == "auto":
        kind = _kind(path)
    if (kind == "folder") != path.is_dir():
        raise SourceRefused(f"{path} is {'' if path.is_dir() else 'not '}a folder. Check the path and --format.")
    if kind == "zip":
        return ArchiveSource(path, max_expanded)
    return _KINDS[kind](path)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None and zipfile.is_zipfile(path):
        kind = "zip"
    if kind is None:
        raise SourceRefused(f"{path.name} has no known suffix. Name it .zip, .csv, .xlsx or .jsonl, or use --format.")
    return kind
