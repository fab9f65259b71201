"""The production server, as `make run` starts it, for as long as something is measured or tried on it."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROCFILE = ROOT / "deploy" / "Procfile"
PATIENCE = 60.0
"""Seconds that a server may take until it answers, and until it can search."""

ALONE = dict.fromkeys(
    ("ALLOWED_HOSTS", "DATABASE_URL", "DEBUG", "HTTPS", "LANGUAGE_CODE", "SECRET_KEY", "SHOP_NAME", "TIME_ZONE"), ""
)
"""For a shop made on the spot: it has the defaults and its own database, whatever a developer's shop is set to."""


@dataclass(frozen=True)
class Site:
    """A folder of state, and the commands and servers that use it."""

    data_dir: Path
    #: Settings that differ from those of any other shop here
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATA_DIR": str(self.data_dir),
            "DJANGO_SETTINGS_MODULE": "visualsearch.settings",
            # One client asks more in a minute than any shopper does.
            "SEARCH_RATE": "1000000/min",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
            **self.variables,
        }

    def run(self, *arguments: str) -> str:
        """Run Python on the site, as in `run("manage.py", "migrate")`; what it prints. Raises `CommandFailed`."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandFailed(f"“{' '.join(arguments)}” failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def prepare(self) -> None:
        """Make the database and gather the static files, as `make run` does; nothing is in the shop yet."""
        self.run("manage.py", "migrate", "-v0")
        self.run("manage.py", "createcachetable", "-v0")
        self.run("manage.py", "collectstatic", "--no-input", "-v0")

    @contextmanager
    def serve(self, *, worker: bool = False, procfile: Path = PROCFILE, logs: Path | None = None) -> Iterator[Server]:
        """The web server on a free port of this machine alone, and the workers; all have ended afterwards.

        Without `worker` it is the line `web` of the Procfile alone. With `logs` what they write goes to files in that
        folder, else to standard error.
        """
        port = free_port()
        environment = self.environment | {"HOST": "127.0.0.1", "PORT": str(port)}
        commands = processes(procfile)
        if not worker:
            commands = {"web": commands["web"]}
        with ExitStack() as stack:
            # Stops the processes that it has started, as Ctrl-C does.
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler))
            server = Server(port, {name: logs / f"{name}.log" for name in commands} if logs else {}, [])
            for name, arguments in commands.items():
                output = stack.enter_context(server.logs[name].open("wb")) if logs else sys.stderr
                process = subprocess.Popen(
                    arguments,
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    # A group of its own: it ends with all that it has started, and Ctrl-C reaches it through us.
                    start_new_session=True,
                )
                stack.callback(_end, process)
                server.groups.append(process.pid)
                if name == "web":
                    web = process
            server.wait(web)
            yield server


@dataclass(frozen=True)
class Server:
    port: int
    #: Files that the processes write to, by the process's name
    logs: Mapping[str, Path]
    #: The processes' groups
    groups: list[int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What the processes have written so far."""
        parts = ((name, file.read_text(encoding="utf-8", errors="replace")) for name, file in self.logs.items())
        return "\n".join(f"{name}:\n{text.strip() or '(nothing)'}" for name, text in parts)

    def processor_ms(self) -> float | None:
        """Processor time that the server has taken so far, which other programs' load changes little; on Linux."""
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # After the name, which may hold anything: state, parent, group, ..., user time, system time.
                fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[2]) in self.groups:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks * 1000 / os.sysconf("SC_CLK_TCK") if ticks else None

    def peak_megabytes(self) -> float:
        """The largest memory that one of the server's processes has held since it started, in MB; on Linux."""
        peak = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, StopIteration):
                fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[2]) in self.groups:
                    lines = (file.parent / "status").read_text(encoding="utf-8").splitlines()
                    peak = max(peak, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))
        return peak / 1024

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until the web server answers at all. Raises `CommandFailed` if it has ended or takes too long."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                # Answered only after the model and the index were loaded, whether or not that went well.
                if self.status("/healthz") == http.client.OK:
                    return
            time.sleep(0.05)
        raise CommandFailed(f"The web server did not start.\n{self.log()}")

    def status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def wait_until_ready(self) -> None:
        """Until searches can be answered. Raises `CommandFailed` if that takes longer than `PATIENCE`."""
        deadline = time.monotonic() + PATIENCE
        while self.status("/readyz") != http.client.OK:
            if time.monotonic() > deadline:
                raise CommandFailed(f"The server was not ready to search.\n{self.log()}")
            time.sleep(0.1)


def processes(procfile: Path = PROCFILE) -> dict[str, list[str]]:
    """The commands of a Procfile by their names, with this Python."""
    lines = [line.partition(":") for line in procfile.read_text(encoding="utf-8").splitlines() if line]
    commands = {name: shlex.split(command) for name, _colon, command in lines}
    return {
        name: [sys.executable if word == "python" else word for word in words] for name, words in commands.items()
    }


class CommandFailed(Exception):
    """A command or a server did not do what it was started for; the message has what it wrote."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it has started: first asked, then made to."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
