"""The audit of requirements: what pip-audit finds ends it, and what cannot be asked does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AUDIT = ROOT / ".ci" / "audit.py"
LOCKED = """\
django==5.2.1 \\
    --hash=sha256:00
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:00
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:00
moto[s3]==5.1.0 \\
    # via -r requirements-dev.in
"""


def run(folder: Path, pip_audit: str, uv: str = "exit 1") -> tuple[int, str]:
    """Audit `LOCKED` with these scripts in the place of the programs that ask the network."""
    for name, script in (("pip-audit", pip_audit), ("uv", uv)):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    (folder / "locked.txt").write_text(LOCKED)
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(AUDIT), str(folder / "locked.txt")],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def answer(**vulnerable: list[str]) -> str:
    """What pip-audit prints of Django and moto, with its status."""
    dependencies = [
        {"name": name, "version": "5", "vulns": [{"id": of_one, "fix_versions": ["6"]} for of_one in names]}
        for name, names in vulnerable.items()
    ]
    return f"echo '{json.dumps({'dependencies': dependencies})}'; exit {int(any(vulnerable.values()))}"


def test_a_known_vulnerability_is_named_and_ends_it_with_status_1(tmp_path: Path) -> None:
    status, told = run(tmp_path, answer(django=["PYSEC-2026-1"], moto=[]))
    assert status == 1
    assert "django 5: PYSEC-2026-1; fixed in 6" in told


def test_no_known_vulnerability_ends_it_with_status_0(tmp_path: Path) -> None:
    status, told = run(tmp_path, answer(django=[], moto=[]))
    assert status == 0
    assert "0 with known vulnerabilities" in told
    assert "Not known to the service: " in told


@pytest.mark.parametrize("unreachable", ["exit 1", "echo no JSON", 'echo \'{"dependencies": [{"name": "django"}]}\''])
def test_where_no_service_answers_a_note_and_the_versions_are_printed(tmp_path: Path, unreachable: str) -> None:
    lock = '[[package]]\nname = "django"\nversion = "5.2.1"\n[package.sdist]\nupload-time = "2026-05-07T10:00:00Z"'
    status, told = run(tmp_path, unreachable, f"cat > uv.lock <<'X'\n{lock}\nX")
    assert status == 0
    first, *rows = told.splitlines()
    assert "vulnerabilities are not known" in first
    assert rows == [
        "2026-05-07  django 5.2.1",
        "unknown     moto 5.1.0",
        "unknown     numpy 2.4.6",
        "unknown     numpy 2.5.5",
    ]


def test_all_locked_requirements_are_audited() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\naudit:")[2].partition("\n\n")[0]
    locked = {
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("requirements*.txt"), *ROOT.glob("endpoint/requirements*.txt")]
    }
    assert locked <= set(recipe.split())
