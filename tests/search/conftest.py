"""What tests of search leave behind: nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _grid_as_new() -> Iterator[None]:
    """The simple model of `test_indexing` can be told to fail; no test finds it as another left it."""
    yield
    if module := sys.modules.get("tests.search.test_indexing"):
        module.Grid.calls, module.Grid.unavailable, module.Grid.rejects = 0, False, None
