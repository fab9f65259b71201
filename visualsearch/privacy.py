"""Who may read what the site keeps on this machine: the user that it runs as, and nobody else."""

from __future__ import annotations

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDERS = ("imports", "indexes", "media", "models", "queries")
"""Of DATA_DIR. `static` is what the site gives to everybody, and another web server may read it."""

OWNER_FOLDER, OWNER_FILE = 0o700, 0o600

_BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps, by the ends of the names. It gives new ones the permissions of the database."""


def keep_private(data_dir: Path, database: str | Path | None = None) -> None:
    """Make the folders of DATA_DIR and SQLite's database where they are missing, for this user alone.

    What others could read until now is closed to them. A folder that is a link leads to a place of the operator's
    own, and stays as it is. What belongs to another user cannot be changed, and is named in the log.
    """
    for name in FOLDERS:
        folder = data_dir / name
        if not folder.is_symlink():
            folder.mkdir(mode=OWNER_FOLDER, exist_ok=True)
            _close(folder)
    _close(data_dir / "secret_key")
    if database is None or not Path(database).is_absolute():
        return
    path = Path(database)
    if path.parent.is_dir() and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, OWNER_FILE))
    for end in _BESIDE:
        _close(path.with_name(path.name + end))


def _close(path: Path) -> None:
    """Take the rights of others away. A missing file is ignored."""
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            path.chmod(mode & 0o7700)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("Other users of this machine may read %s: %s. Give it to this user.", path, error.strerror)
