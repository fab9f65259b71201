"""What somebody could put where a program reads pickles."""

from __future__ import annotations

import os
import pickle
from pathlib import Path


class _Trap:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def pickled_trap(folder: Path) -> bytes:
    """A pickle that makes a folder where it is read."""
    return pickle.dumps(_Trap(folder))
