"""What the site keeps is closed to other users of the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.visualsearch.test_settings import start
from visualsearch import privacy

#: A product with a photo and a shopper's picture are stored, and the sizes of SQLite's files grow.
USE = """
import django; django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connection
call_command("migrate", "contenttypes", verbosity=0)
for storage in ("default", "queries"):
    storages[storage].save("ab/picture.jpg", ContentFile(b"picture"))
import os; os._exit(0)  # as a process that is killed: SQLite's log stays
"""


def rights(folder: Path) -> dict[str, int]:
    """What others may do with each file and folder below one: 0 is nothing."""
    found = {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o077 for path in folder.rglob("*")}
    return found | {".": folder.stat().st_mode & 0o077}


def open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_new_installation_is_closed_to_others_in_every_part(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    done = start(USE, folder)
    assert done.returncode == 0, done.stderr
    found = rights(folder)
    assert {"db.sqlite3", "db.sqlite3-wal", "queries/ab/picture.jpg", "media/ab/picture.jpg"} <= found.keys()
    assert set(found.values()) == {0}


def test_an_installation_that_was_open_is_closed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert start(USE, folder).returncode == 0
    (folder / "static").mkdir()
    open_to_all(folder)
    assert start("import django; django.setup()", folder).returncode == 0
    found = rights(folder)
    # Another web server may serve what is in `static`; what is in a closed folder nobody else reaches.
    left = {name for name, others in found.items() if others and name.partition("/")[0] not in privacy.FOLDERS}
    assert left == {".", "static"}
    assert {found[name] for name in (*privacy.FOLDERS, "db.sqlite3", "db.sqlite3-wal", "secret_key")} == {0}


def test_a_database_elsewhere_is_closed_too(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    assert start(USE, tmp_path / "data", DATABASE_URL=f"sqlite:///{database}").returncode == 0
    assert rights(tmp_path)["shop.db"] == 0
    assert not (tmp_path / "data" / "db.sqlite3").exists()


def test_a_symlinked_folder_keeps_its_permissions(tmp_path: Path) -> None:
    disk, folder = tmp_path / "disk", tmp_path / "data"
    disk.mkdir(mode=0o755)
    folder.mkdir()
    (folder / "media").symlink_to(disk)
    privacy.keep_private(folder)
    assert disk.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can become another user")
def test_files_of_another_user_are_logged_and_do_not_stop_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in privacy.FOLDERS:
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    code = (
        "import os\nfrom pathlib import Path\nfrom visualsearch import privacy\n"
        # Into the folder as root: what is above it is closed to others.
        f"os.chdir({str(folder)!r}); os.setuid(65534); privacy.keep_private(Path('.'))"
    )
    done = start(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Other users of this machine may read") == len(privacy.FOLDERS)
