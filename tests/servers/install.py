"""Bringing what servers need: packages of Debian, and what each fetches for itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.servers.base import NotInstalled, Server


def install(kinds: Sequence[type[Server]]) -> None:
    """Install what is missing. Raises NotInstalled where this system has no apt-get, CalledProcessError."""
    packages = sorted({package for kind in kinds for package in kind.packages()})
    if packages:
        print("Installing", *packages, flush=True)
        _apt(packages)
    for kind in kinds:
        if missing := kind.missing():
            print(f"Fetching what {kind.name} needs:", ", ".join(missing), flush=True)
            kind.install()


def _apt(packages: Sequence[str]) -> None:
    if not shutil.which("apt-get"):
        raise NotInstalled(f"Install {', '.join(packages)} as this system does: it has no apt-get.")
    root = [] if os.geteuid() == 0 else ["sudo"]
    quietly = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    subprocess.run([*quietly, "update", "-qq"], check=True)  # noqa: S603
    subprocess.run([*quietly, "install", "-qq", "--yes", "--no-install-recommends", *packages], check=True)  # noqa: S603
