"""The Dockerfiles against the Makefile: an image's environment is the one that is made and tested without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.server import processes

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
TARGETS = {
    "endpoint-tensorflow.Dockerfile": "endpoint",
    "endpoint-openvino.Dockerfile": "openvino",
    "site.Dockerfile": "setup",
}

ENDPOINTS = [path for path in DOCKERFILES if path.name.startswith("endpoint-")]
COMPOSE = ROOT / "docker" / "compose.yaml"

each = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
each_endpoint = pytest.mark.parametrize("path", ENDPOINTS, ids=lambda path: path.stem)


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


@each_endpoint
def test_a_container_runs_as_sagemaker_starts_it_and_not_as_root(path: Path) -> None:
    assert json.loads(arguments(path, "ENTRYPOINT")[0]) == ["python", "-m", "endpoint.server"]
    assert json.loads(arguments(path, "CMD")[0]) == ["serve"]
    assert arguments(path, "EXPOSE") == ["8080"]
    assert "127.0.0.1:8080/ping" in arguments(path, "HEALTHCHECK")[0]
    assert arguments(path, "USER") == ["${RUN_AS}"]
    assert arguments(path, "ARG") == ["RUN_AS=endpoint"]


def test_the_site_s_container_is_not_root_and_writes_only_to_its_data() -> None:
    path = ROOT / "docker" / "site.Dockerfile"
    (user,) = arguments(path, "USER")
    assert int(user) > 0
    assert f"--uid {user}" in " ".join(commands(path))
    environment = " ".join(arguments(path, "ENV"))
    assert "DATA_DIR=/data" in environment
    # Collected while the image is made, where the site then looks for them.
    (collected,) = re.findall(r"STATIC_ROOT=(\S+) python manage.py collectstatic", " ".join(commands(path)))
    assert f"STATIC_ROOT={collected} " in environment + " "
    assert arguments(path, "HEALTHCHECK") == []  # workers have none: compose has the web server's


def test_images_copy_what_dockerignore_lets_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        rest.split()[0].partition("/")[0]
        for path in DOCKERFILES
        for rest in arguments(path, "COPY")
        if "--from" not in rest
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_compose_runs_the_same_processes_as_the_procfile() -> None:
    services = compose()["services"]
    site = {name: service for name, service in services.items() if service.get("image") == "lookalike-site"}
    tried = processes(ROOT / "deploy" / "Procfile.production")
    for name, words in tried.items():
        assert ["python" if word == sys.executable else word for word in words] == site[name]["command"]
    assert site.keys() == {*tried, "prepare"}


def test_compose_hardens_what_this_project_has_made() -> None:
    for name, service in compose()["services"].items():
        if service["image"].startswith("lookalike-"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name


def test_compose_has_no_secrets_and_publishes_only_to_localhost() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert {"SECRET_KEY", "POSTGRES_PASSWORD", "S3_SECRET_KEY"} == set(re.findall(r"\$\{(\w+):\?", text))
    example = (COMPOSE.parent / "compose.env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == set(re.findall(r"\$\{(\w+):\?", text))
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_sets_only_variables_that_the_site_reads() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in compose()["services"]["web"]["environment"]:
        assert f"`{name}`" in documented, name


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


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
