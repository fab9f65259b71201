"""Runs a command that ends when its starter does, even by SIGKILL: `guard.py COMMAND...`.

The command's own process group ends when this standard input does, which the starter holds open and never writes to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE = 20.0
"""Seconds that a program has to end by itself."""


def main(command: list[str]) -> None:
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    print(process.pid, flush=True)
    threading.Thread(target=lambda: os._exit(process.wait() & 0xFF), daemon=True).start()
    os.read(sys.stdin.fileno(), 1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        # The thread above ends this process when the program has ended.
        threading.Event().wait(GRACE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
