from __future__ import annotations

from collections.abc import Iterator

import pytest

from endpoint.architectures import ARCHITECTURES
from tests.endpoint.tiny import TINY, register


@pytest.fixture(scope="module")
def tiny() -> Iterator[str]:
    """The name of an architecture that exists in tests alone, of three convolutions (`tests.endpoint.tiny`)."""
    register()
    yield TINY
    del ARCHITECTURES[TINY]
