"""The servers that production uses: `python -m tests.servers [--install] [NAME ...] [-- COMMAND]`.

By default it starts all of them. They listen only on free ports of this machine, start empty, and end with the
command, or on Ctrl-C without one; their data is deleted. The command finds them by the variables that a site reads.
SERVERS tells the tests that they may use these servers.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from tests.servers.base import NotInstalled, running
from tests.servers.install import install
from tests.servers.kinds import KINDS, PROXIES


def main(arguments: Sequence[str]) -> int:
    own, command = list(arguments), []
    if "--" in own:
        place = own.index("--")
        own, command = own[:place], own[place + 1 :]
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KINDS))
    parser.add_argument("--install", action="store_true", help="install what is missing, then run COMMAND if given")
    options = parser.parse_args(own)
    if unknown := sorted(set(options.names) - KINDS.keys()):
        parser.error(f"Unknown server: {', '.join(unknown)}. Use {', '.join(KINDS)}.")
    kinds = [KINDS[name] for name in options.names or KINDS]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.install:
            install(kinds if options.names else [*kinds, *PROXIES])
            if not command:
                return 0
        return _serve(kinds, command)
    except (NotInstalled, RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(kinds: Sequence, command: Sequence[str]) -> int:
    with running(*kinds) as servers:
        variables = {name: value for server in servers for name, value in server.variables.items()}
        variables["SERVERS"] = " ".join(server.name for server in servers)
        if command:
            return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode  # noqa: S603
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        for note in filter(None, (server.note for server in servers)):
            print(f"# {note}", flush=True)
        print("# They run until Ctrl-C.", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
