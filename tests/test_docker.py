"""The Dockerfiles against the Makefile: an image's environment is the one that is made and tested without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
TARGETS = {"endpoint-tensorflow.Dockerfile": "endpoint", "endpoint-openvino.Dockerfile": "openvino"}

each = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)


def instructions(path: Path) -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, in their order, lines joined."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [(word, re.sub(r"\s+", " ", rest)) for word, rest in lines]


def commands(path: Path) -> list[str]:
    return [command for word, rest in instructions(path) if word == "RUN" for command in rest.split(" && ")]


def arguments(path: Path, word: str) -> list[str]:
    return [rest for found, rest in instructions(path) if found == word]


def recipe(target: str) -> list[str]:
    """What make would run for a target in an environment that is not there yet."""
    done = subprocess.run(  # noqa: S603
        ["make", "--dry-run", "--always-make", target, "VENV=absent", f"PYTHON={sys.executable}"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout.splitlines()


def test_every_dockerfile_is_held_against_a_target() -> None:
    assert {path.name for path in DOCKERFILES} == set(TARGETS)


@each
def test_an_image_is_installed_as_make_does_it(path: Path) -> None:
    installing = [command for command in commands(path) if "pip install" in command]
    assert len(installing) == 1
    assert installing[0] in recipe(TARGETS[path.name])
    lock = installing[0].split()[-1]
    assert f"{lock} {lock}" in arguments(path, "COPY")


@each
def test_an_image_is_pinned_and_its_last_stage_installs_nothing(path: Path) -> None:
    stages = arguments(path, "FROM")
    assert len(stages) == 2
    assert len({stage.split()[0] for stage in stages}) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", stages[1])
    words = [word for word, _rest in instructions(path)]
    last = instructions(path)[len(words) - words[::-1].index("FROM") :]
    running = [rest for word, rest in last if word == "RUN"]
    assert not any(tool in rest for rest in running for tool in (" install ", "apt-get", "curl", "gcc"))


@each
def test_a_container_runs_as_sagemaker_starts_it_and_not_as_root(path: Path) -> None:
    assert json.loads(arguments(path, "ENTRYPOINT")[0]) == ["python", "-m", "endpoint.server"]
    assert json.loads(arguments(path, "CMD")[0]) == ["serve"]
    assert arguments(path, "EXPOSE") == ["8080"]
    assert "127.0.0.1:8080/ping" in arguments(path, "HEALTHCHECK")[0]
    assert arguments(path, "USER") == ["${RUN_AS}"]
    assert arguments(path, "ARG") == ["RUN_AS=endpoint"]


def test_what_openvino_needs_is_a_part_of_what_is_tested() -> None:
    part, whole = (pins(ROOT / "endpoint" / name) for name in ("requirements-openvino.txt", "requirements.txt"))
    assert part.items() <= whole.items()
    names = {name for name, _version in part}
    assert "openvino" in names
    assert not any(fnmatch(name, "tensorflow*") or name == "keras" for name in names)


def pins(path: Path) -> dict[tuple[str, str], frozenset[str]]:
    """(name, version) -> digests."""
    found = {}
    for block in re.split(r"\n(?=[a-z])", path.read_text(encoding="utf-8")):
        if match := re.match(r"([a-z0-9-]+)==([^\s;]+)", block):
            found[match.group(1), match.group(2)] = frozenset(re.findall(r"sha256:[0-9a-f]{64}", block))
    return found
