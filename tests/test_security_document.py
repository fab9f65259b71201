"""SECURITY.md against the code: its limits are those that hold."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?!\*\*)(?P<limit>[^|]+) \| (?P<value>[\d,./a-z]+) \| `(?P<name>[\w./:]+)` \|$", re.MULTILINE)
TABLE = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("\n## Limits\n")[2]
ROWS = [(row["limit"], row["value"], row["name"]) for row in ROW.finditer(TABLE)]


def held(name: str) -> Any:
    """What a setting (`NAME`), a constant (`module.NAME`) or an assignment (`path:NAME`) says."""
    path, colon, variable = name.partition(":")
    if colon:
        found = re.search(rf"^{variable} = ([\d_.]+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert found, name
        return float(found[1])
    value = resolve_name(name) if "." in name else getattr(settings, name)
    return value.total_seconds() if isinstance(value, timedelta) else value


@pytest.mark.parametrize(("limit", "value", "name"), ROWS, ids=[name for _limit, _value, name in ROWS])
def test_a_limit_is_what_the_code_holds(limit: str, value: str, name: str) -> None:
    holds = held(name)
    assert (value if isinstance(holds, str) else float(value.replace(",", ""))) == holds, limit


def test_every_row_of_the_table_is_understood() -> None:
    named = [line for line in TABLE.splitlines() if line.count("|") == 4 and "`" in line.rpartition(" | ")[2]]
    assert len(ROWS) == len(named) > 20


def test_where_to_report_is_found_from_the_readme() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
