"""Which requirements have known vulnerabilities: `python .ci/audit.py REQUIREMENTS...`, as `make audit` runs it.

pip-audit asks the advisories of PyPI, and those of OSV where PyPI has none to give. A vulnerability ends it with
status 1. Where neither can be reached it says so, prints how old each version is, and ends with status 0: a machine
without a way out must be able to build.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SERVICES = ("pypi", "osv")
SECONDS = 300
"""For each of the programs that ask a service."""

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]*[^\\\s]))?", re.ASCII)


class Pin(NamedTuple):
    """A version that is installed where its marker holds."""

    name: str
    version: str
    marker: str


def pins(text: str) -> list[Pin]:
    """The versions of a file of locked requirements; a name may have several, with different markers."""
    return [Pin(match[1], match[2], match[3] or "") for line in text.splitlines() if (match := _PIN.match(line))]


def advisories(pinned: Iterable[Pin], service: str) -> list[dict[str, Any]]:
    """What a service knows of these versions: those that it knows, each with `name`, `version` and `vulns`."""
    # Two versions of one package may not be in one file.
    files: list[dict[str, str]] = []
    for name, version in sorted({(pin.name, pin.version) for pin in pinned}):
        file = next((file for file in files if name not in file), None)
        if file is None:
            files.append(file := {})
        file[name] = version
    return [found for file in files for found in _asked(file, service)]


def _asked(versions: dict[str, str], service: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        program = ["pip-audit", "--vulnerability-service", service, "--requirement", str(path), "--no-deps"]
        said = _run([*program, "--disable-pip", "--format", "json", "--progress-spinner", "off"], folder)
    try:
        return [found for found in json.loads(said)["dependencies"] if "vulns" in found]
    except (ValueError, KeyError):
        return []  # it could not be reached


def dates(pinned: Iterable[Pin]) -> dict[tuple[str, str], str]:
    """The days on which versions were published, by name and version: of those that the index tells (PEP 700)."""
    with tempfile.TemporaryDirectory() as folder:
        needs = sorted({f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "") for pin in pinned})
        project = '[project]\nname = "audited"\nversion = "0"\nrequires-python = ">=3.11"\n'
        (Path(folder) / "pyproject.toml").write_text(
            f"{project}dependencies = {json.dumps(needs)}\n", encoding="utf-8"
        )
        _run(["uv", "lock", "--quiet"], folder)
        lock = Path(folder) / "uv.lock"
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"] if lock.exists() else []
    times = {
        (package["name"], package["version"]): [
            file["upload-time"] for file in _files(package) if "upload-time" in file
        ]
        for package in packages
    }
    return {of_package: min(found)[:10] for of_package, found in times.items() if found}


def _files(package: dict[str, Any]) -> list[dict[str, Any]]:
    return [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]


def _run(program: list[str], folder: str) -> str:
    """What a program prints, whatever its exit status."""
    try:
        done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return ""
    return done.stdout


def report(pinned: Sequence[Pin]) -> int:
    """Print what is known of these versions. Returns the exit status."""
    versions = sorted({(pin.name, pin.version) for pin in pinned})
    known = next((found for service in SERVICES if (found := advisories(pinned, service))), [])
    if not known:
        print("No advisories can be reached from here, so vulnerabilities are not known. Versions, the oldest first:")
        days = dates(pinned)
        for day, name, version in sorted((days.get(version, "unknown   "), *version) for version in versions):
            print(f"{day}  {name} {version}")
        return 0
    bad = [package for package in known if package["vulns"]]
    for package in bad:
        for found in package["vulns"]:
            names = ", ".join([found["id"], *found.get("aliases", [])])
            fixed = ", ".join(found.get("fix_versions", [])) or "no version yet"
            print(f"{package['name']} {package['version']}: {names}; fixed in {fixed}")
    print(f"{len(known)} versions checked, {len(bad)} with known vulnerabilities.")
    if unknown := sorted(set(versions) - {(package["name"], package["version"]) for package in known}):
        print(f"Not known to the service: {', '.join(map(' '.join, unknown))}.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(report([pin for path in sys.argv[1:] for pin in pins(Path(path).read_text(encoding="utf-8"))]))
