"""A program that runs beside the tests and ends with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")


class Process:
    """Runs from the start; what it writes goes to the end of the file `log`."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        with log.open("ab") as output:
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, str(GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        with self._guard.stdout as told:
            pid = told.readline()
        if not pid:
            raise RuntimeError(f"“{command[0]}” could not be started:\n{log.read_text(errors='replace')}")
        #: the program's process, and the group of all that it has started
        self.pid = int(pid)

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Give the program and all that it has started a signal; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """End it gracefully, and wait until it has ended."""
        assert self._guard.stdin is not None
        self.send(signal.SIGCONT)
        self._guard.stdin.close()
        self._guard.wait()

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self.send(signal.SIGKILL)
        self.stop()
