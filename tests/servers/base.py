"""The base class of servers for tests."""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, Self

from tests.servers.process import Process

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that a server may take until it answers, on a busy machine."""


class NotInstalled(Exception):
    """Something that a server needs is missing; the message says how to install it."""


def installed() -> Path:
    """The folder for what `--install` downloads beside system packages."""
    return Path(os.environ.get("SERVERS_DIR") or ROOT / ".servers").absolute()


class Server(ABC):
    """A server with its state in a folder. It may be stopped, killed and started again, on the same port."""

    name: ClassVar[str]
    #: a hint for people who run a site on it
    note: ClassVar[str] = ""
    #: program, or path of a file, -> Debian's package that contains it
    programs: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Process | None = None

    # What it needs ------------------------------------------------------------------------------------------

    @classmethod
    def packages(cls) -> list[str]:
        """Debian's packages that are missing."""
        return sorted({package for program, package in cls.programs.items() if not shutil.which(program)})

    @classmethod
    def missing(cls) -> list[str]:
        """What is missing besides Debian's packages."""
        return []

    @classmethod  # noqa: B027, packages are all that most need
    def install(cls) -> None:
        """Install what is missing besides Debian's packages, which are already installed."""

    # How it runs --------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The environment variables that point a site, and tests, at this server."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to run in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it answers now."""

    def prepare(self) -> None:  # noqa: B027, most need nothing
        """Fill the new, empty folder with what the first start needs."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the server's own process."""
        return {}

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> Self:
        """Start it; `wait` returns when it answers. Raises NotInstalled."""
        if needed := [*self.packages(), *self.missing()]:
            raise NotInstalled(
                f"{self.name} cannot start without {', '.join(needed)}: "
                f"run “python -m tests.servers --install {self.name}”."
            )
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.prepare()
        self._process = Process(self.command(), log=self.log, environment=self.environment)
        return self

    def wait(self) -> Self:
        """Return when it answers. Raises RuntimeError, with the end of its log, if it ends or takes too long."""
        end = time.monotonic() + PATIENCE
        while not self.answers():
            if not self.running or time.monotonic() > end:
                self.stop()
                lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
                raise RuntimeError(f"{self.name} did not start:\n" + "\n".join(lines[-40:]))
            time.sleep(0.1)
        return self

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process:
            self._process.kill()
            self._process = None

    @property
    def process(self) -> Process:
        """Its process, to pause it; it must be running."""
        assert self._process is not None
        return self._process


@contextmanager
def running(*kinds: type[Server]) -> Iterator[list[Server]]:
    """Servers of these kinds, started together in folders of their own; nothing is left of them afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="servers-", ignore_cleanup_errors=True)))
        # Servers that refuse root run as another user.
        folder.chmod(0o755)
        servers: list[Server] = []
        for kind in kinds:
            server = kind(folder / kind.name)
            stack.callback(server.stop)
            servers.append(server.start())
        for server in servers:
            server.wait()
        yield servers


def free_port(first: int = 0, last: int = 0) -> int:
    """A free port of the loopback interface: any, or one of a range.

    It is chosen at random, so that processes that look for a port at the same time mostly take different ones.
    """
    for port in random.sample(range(first, last + 1), last + 1 - first):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise RuntimeError(f"No port of {first}-{last} is free: stop what listens there.")
