"""The application answers as it was recorded, on both backends of the index (README.md beside this file)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replay import records
from tests.replay.playing import AREAS, PREFIX, played
from tests.servers.opensearch import remove

Answers = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return played(tmp_path_factory.mktemp("replay"))


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str) -> Iterator[Answers]:
    yield played(tmp_path_factory.mktemp("replay"), opensearch_url=opensearch_url)
    remove(opensearch_url, f"{PREFIX}*")


@pytest.mark.parametrize("area", AREAS)
def test_answers_are_those_that_were_recorded(area: str, embedded: Answers) -> None:
    if found := records.difference(records.recorded(area, "embedded"), embedded[area]):
        pytest.fail(found, pytrace=False)


@pytest.mark.servers
@pytest.mark.parametrize("area", AREAS)
def test_opensearch_answers_as_was_recorded(area: str, opensearch: Answers) -> None:
    if found := records.difference(records.recorded(area, "opensearch"), opensearch[area]):
        pytest.fail(found, pytrace=False)


def test_a_replay_that_differs_fails_with_the_lines_that_differ() -> None:
    found = records.difference({"GET /": "200\nscore 0.8123"}, {"GET /": "200\nscore 0.7123"})
    assert found.splitlines() == ["=== GET /", "--- recorded", "+++ replayed", "@@ -1,2 +1,2 @@", " 200",
                                  "-score 0.8123", "+score 0.7123"]  # fmt: skip


def test_scores_may_differ_by_rounding_and_nothing_else_may() -> None:
    assert not records.difference({"a": "1 0.8123 red"}, {"a": "1 0.8124 red"})
    assert records.difference({"a": "1 0.8123 red"}, {"a": "2 0.8123 red"})
    assert records.difference({"a": ""}, {})
    assert records.difference({}, {"a": ""})
