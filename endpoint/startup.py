"""Starting TensorFlow for a command line, without its notes that mean nothing to users."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

_NOTES = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog|I0000 |\d{4}-\d\d-\d\d \S+ I |To enable the following)"
)
"""Lines of information as TensorFlow and absl write them; warnings and errors begin otherwise, and are shown."""


def start() -> None:
    """Import TensorFlow and run its first operation.

    `TF_CPP_MIN_LOG_LEVEL` alone does not suppress what is written before absl is initialised. A level that is set in
    the environment is kept; with 0 everything is shown.
    """
    quiet = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1") != "0"
    with _without_notes() if quiet and "tensorflow" not in sys.modules else nullcontext():
        import tensorflow as tf

        tf.constant(0) + tf.constant(0)
        tf.get_logger().setLevel("WARNING")  # it reports each asset written


@contextmanager
def _without_notes() -> Iterator[None]:
    """Collect the process's standard error, also of libraries, and at the end write all but the notes."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as collected:
        terminal = os.dup(2)
        os.dup2(collected.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            collected.seek(0)
            for line in collected.read().decode(errors="replace").splitlines():
                if not _NOTES.match(line):
                    print(line, file=sys.stderr)
