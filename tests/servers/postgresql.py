"""PostgreSQL, the newest that is installed, quick and not safe: what a machine loses with its power is no test's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.servers.base import HOST, Server, free_port

#: Debian keeps several versions side by side, and none of their servers among the commands.
_DEBIAN = Path("/usr/lib/postgresql")
#: the account to run as when root starts it, because PostgreSQL refuses root; Debian's package creates it
_ACCOUNT = "postgres"


class PostgreSQL(Server):
    name = "postgresql"
    programs: ClassVar[dict[str, str]] = {"postgres": "postgresql"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @classmethod
    def packages(cls) -> list[str]:
        return [] if _program("postgres") else super().packages()

    @property
    def url(self) -> str:
        return f"postgresql://{_ACCOUNT}@{HOST}:{self.port}/{_ACCOUNT}"

    @property
    def variables(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.data, _ACCOUNT)
        done = subprocess.run(  # noqa: S603
            [*_as_account(), _program("initdb"), "--pgdata", str(self.data), "--username", _ACCOUNT,
             "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"initdb has failed: {done.stderr}")

    def command(self) -> list[str]:
        options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "log_min_messages": "fatal",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [*_as_account(), _program("postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        asked = [_program("pg_isready"), "--quiet", "--host", HOST, "--port", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603

    def stop(self) -> None:
        if self.running:
            # Without waiting for those who are connected.
            self.process.send(signal.SIGINT)
        super().stop()


def _program(name: str) -> str:
    """The path of one of its programs, or an empty string."""
    if found := shutil.which(name):
        return found
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return str(versions[-1].with_name(name)) if versions else ""


def _as_account() -> list[str]:
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(_ACCOUNT)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]
