"""A data directory of an earlier release migrates, and gives the same answers (`made` has made it)."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.interpreter import python

RELEASES = sorted(path.parent for path in Path(__file__).parent.glob("*/data.zip"))
ANSWERS = "import json, django; django.setup(); from tests.upgrade import made; print(json.dumps(made.answers()))"
VERSIONS = """
import json, django; django.setup()
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
states = list(IndexVersion.objects.order_by("pk").values_list("state", flat=True))
indexed = IndexEntry.objects.filter(state="indexed", version__state="live")
jobs = list(IndexJob.objects.values_list("kind", "state"))
print(json.dumps([states, Embedding.objects.count(), indexed.count(), jobs]))
"""


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(scope="module")
def environment(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a site is started with whose data directory is a migrated one."""
    data = tmp_path_factory.mktemp("upgrade") / "data"
    with zipfile.ZipFile(release / "data.zip") as archive:
        archive.extractall(data)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = kept | {
        "DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "tests.replay.settings",
        "PYTHONWARNINGS": "ignore",
        "QUERY_LIFETIME_HOURS": "876000",
    }
    for command in (["migrate", "--verbosity", "0"], ["createcachetable"]):
        done = python("manage.py", *command, environment=environment)
        assert done.returncode == 0, done.stderr
    return environment


def told(environment: dict[str, str], code: str) -> Any:
    done = python("-c", code, environment=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_migrated_data_gives_the_same_answers(release: Path, environment: dict[str, str]) -> None:
    recorded, answers = json.loads((release / "answers.json").read_text(encoding="utf-8")), told(environment, ANSWERS)
    similar = recorded.pop("similar")
    for sku, rows in answers.pop("similar").items():
        found, scores, matches = zip(*rows, strict=True)
        assert [list(found), list(matches)] == [[row[0] for row in similar[sku]], [row[2] for row in similar[sku]]]
        assert scores == pytest.approx([row[1] for row in similar[sku]], abs=1e-4)
    assert answers == recorded


def test_no_embedding_and_no_entry_of_the_ledger_is_lost(environment: dict[str, str]) -> None:
    states, embeddings, indexed, jobs = told(environment, VERSIONS)
    assert states == ["live", "retired"]
    assert ["rebuild", "cancelled"] in jobs  # it was paused
    assert embeddings == indexed == 12


def test_the_ledger_of_migrated_data_agrees_with_its_index(environment: dict[str, str]) -> None:
    done = python("manage.py", "audit_index", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
