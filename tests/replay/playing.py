"""The scenario in a process and a folder of its own, and what was recorded of it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.interpreter import python
from tests.replay import records

AREAS = ("api", "rankings", "pages", "commands")
PREFIX = "replay"


def played(folder: Path, *, opensearch_url: str = "") -> dict[str, dict[str, str]]:
    """Play the scenario in an empty folder; returns the sections of each area."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = kept | {
        "COLUMNS": "100",
        "DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "tests.replay.settings",
        "FETCH_PRIVATE_ADDRESSES": "127.0.0.1/32",
        "LOG_LEVEL": "CRITICAL",
        "PYTHONWARNINGS": "ignore",
        "SECRET_KEY": "a key that is long enough, of many different letters: 0123456789",
    }
    if opensearch_url:
        own = {"OPENSEARCH_URL": opensearch_url, "OPENSEARCH_PREFIX": PREFIX, "OPENSEARCH_REPLICAS": "0"}
        environment |= own
    (folder / "data").mkdir(parents=True)
    ended = python("-m", "tests.replay.scenario", str(folder), environment=environment)
    if ended.returncode:
        raise RuntimeError(f"The scenario ended half-way:\n{ended.stderr}")
    return {area: records.read(folder / f"{area}.txt") for area in AREAS}
