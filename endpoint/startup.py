"""TensorFlow's start, for command lines: without the notes that say nothing to the person who runs them."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NOTES = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog|I0000 |\d{4}-\d\d-\d\d \S+ I |To enable the following)"
)
"""Lines of information as TensorFlow and absl write them; warnings and errors begin otherwise, and are shown."""


def start() -> None:
    """Import TensorFlow and run its first operation.

    `TF_CPP_MIN_LOG_LEVEL` alone does not hold back what is written before absl is initialised; a level that was set
    in the environment holds, and with 0 everything is shown.
    """
    quiet = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1") != "0"
    with _notes_left_out() if quiet and "tensorflow" not in sys.modules else _as_it_is():
        import tensorflow as tf

        tf.constant(0) + tf.constant(0)
        tf.get_logger().setLevel("WARNING")  # it tells of each asset written


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _notes_left_out() -> Iterator[None]:
    """Collect what is written to the process's standard error, by libraries too; pass on all but notes in the end."""
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
