"""What tests of the catalogue observe: stored files, and queries of the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext


def stored() -> set[str]:
    """The names of all files in the storage."""
    root = Path(settings.MEDIA_ROOT)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def queries(call: Callable[[], object]) -> int:
    """The number of queries of a call."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)
