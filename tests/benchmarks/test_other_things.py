"""The pictures that search must refuse: many, of many kinds, and the same each time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.other_things import DRAWN, other_things


def test_there_are_150_different_pictures_of_eight_kinds() -> None:
    found = list(other_things())
    kinds = Counter(thing.kind for thing in found)
    assert len(found) >= 150
    assert len(kinds) >= 8
    assert min(kinds.values()) >= 10
    assert {thing.image.mode for thing in found} == {"RGB"}
    assert min(min(thing.image.size) for thing in found) >= 100
    assert len({thing.image.tobytes() for thing in found}) == len(found)
    assert len({(thing.kind, thing.name) for thing in found}) == len(found)


@pytest.mark.parametrize("kind", DRAWN)
def test_they_are_the_same_each_time(kind: str) -> None:
    _count, draw = DRAWN[kind]
    one, other = (draw(random.Random(f"{kind} 3"), 3) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != draw(random.Random(f"{kind} 4"), 3).tobytes()
