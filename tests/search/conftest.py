"""What tests of search leave behind: nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.search import scripted


@pytest.fixture(autouse=True)
def _grid_as_new() -> Iterator[None]:
    """The simple model of `test_indexing` can be told to fail; no test finds it as another left it."""
    yield
    if module := sys.modules.get("tests.search.test_indexing"):
        module.Grid.calls, module.Grid.unavailable, module.Grid.rejects = 0, False, None


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[scripted.Endpoint]:
    """A server that stands for SageMaker's runtime and does as it is told; boto3 finds it by the environment."""
    with scripted.served() as served:
        scripted.use(served.url, monkeypatch)
        yield served
