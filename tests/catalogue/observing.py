"""What tests of the catalogue observe: stored files, and queries of the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalogue import files
from catalogue.models import ProductImage


def stored() -> set[str]:
    """The names of all files in the storage."""
    root = Path(settings.MEDIA_ROOT)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def used() -> set[str]:
    """The names of all files that photos use."""
    return {name for row in ProductImage.objects.values_list(*files.COLUMNS) for name in row}


def queries(call: Callable[[], object]) -> int:
    """The number of queries of a call."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)
