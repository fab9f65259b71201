"""A shop whose workers are processes of their own, as in production; the test's process is the web server.

They share a folder, a database and a broker. The database is a new one, so that what a test writes is committed and
seen by all of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings as site
from django.db import connections
from django.db.utils import load_backend
from django.utils import timezone

from catalogue.models import ProductImage
from search.indexes import index_of
from search.models import Embedding, IndexEntry, IndexVersion
from search.writing import ledger
from tests.servers.process import Process
from tests.waiting import until
from visualsearch.environment import Environment


def settled() -> bool:
    """Whether nothing is pending where changes go to."""
    entries = IndexEntry.objects.filter(version__in=IndexVersion.objects.writable().values("pk"))
    return entries.exists() and not entries.filter(state="pending").exists()


def held() -> bool:
    """Whether some worker is at it."""
    return IndexEntry.objects.filter(leased_until__gt=timezone.now()).exists()


def leases_end() -> None:
    """Let ten minutes pass for what dead workers held."""
    IndexEntry.objects.exclude(leased_until=None).update(leased_until=timezone.now())


def searchable() -> dict[int, int]:
    """The photos in the live index, with their generations."""
    found = list(index_of(ledger.ensure_live_version()).ids())
    assert len(found) == len(dict(found))
    return dict(found)


def assert_agreement() -> None:
    """Database, ledger and index say the same of the live version, and every photo's embedding is there."""
    photos = dict(ProductImage.objects.values_list("pk", "sha256"))
    entries = IndexEntry.objects.filter(version=ledger.ensure_live_version())
    assert dict(entries.filter(state="indexed").values_list("photo_id", "generation")) == searchable()
    assert searchable().keys() == photos.keys()
    assert not entries.exclude(photo_id__in=photos).exclude(state="gone").exists()
    assert set(photos.values()) <= set(Embedding.objects.values_list("digest", flat=True))


class Workplace:
    def __init__(self, folder: Path, database_url: str, redis_url: str = "") -> None:
        self.folder = folder
        self.database_url = database_url
        self.redis_url = redis_url
        self.processes: list[Process] = []

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        return kept | {
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DJANGO_SETTINGS_MODULE": "tests.search.slow_settings",
            "LOG_LEVEL": "INFO",
            # The parent's warning of a worker that runs as root, and others, are no errors there.
            "PYTHONWARNINGS": "ignore",
        }

    def manage(self, *words: str, **variables: str) -> None:
        subprocess.run(  # noqa: S603
            [sys.executable, "manage.py", *words], cwd=site.BASE_DIR, env=self.environment | variables, check=True
        )

    def celery(self, *queues: str, slow: float = 0, fatal: int = -1) -> Process:
        """A Celery worker that begins to start; see `slow.Slow`."""
        return self._run(
            "celery", "-A", "visualsearch", "worker", "-Q", ",".join(queues), "-c", "1",
            "-n", f"{len(self.processes)}@%h", "--without-mingle", "--without-gossip",
            SLOW=str(slow), FATAL=str(fatal),
        )  # fmt: skip

    def worker(self, *queues: str, slow: float = 0, fatal: int = -1) -> Process:
        """A Celery worker, when it is ready."""
        process = self.celery(*queues, slow=slow, fatal=fatal)
        until(lambda: "ready." in self.log(process))
        return process

    def work(self, slow: float = 0) -> Process:
        """`manage.py work`."""
        return self._run("django", "work", "--pause", "0.1", SLOW=str(slow))

    def beat(self) -> Process:
        return self._run("celery", "-A", "visualsearch", "beat")

    def log(self, process: Process) -> str:
        return self._log(self.processes.index(process)).read_text(encoding="utf-8", errors="replace")

    def terminate(self, process: Process) -> None:
        """Tell it to end in order, and wait."""
        os.kill(process.pid, signal.SIGTERM)
        until(lambda: not process.running)

    def close(self) -> None:
        """Kill them all. What they have said is printed, and shown of a test that has failed."""
        for number, process in enumerate(self.processes):
            process.kill()
            print(f"--- {self._log(number).name}", self.log(process), sep="\n")

    def connect(self) -> None:
        """Let this thread talk to the shop's database."""
        config = Environment({"DATABASE_URL": self.database_url}).database("DATABASE_URL")
        if "sqlite" in config["ENGINE"]:
            config |= {"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20}}
        entry = connections.configure_settings({"default": config})["default"]
        connections["default"] = load_backend(entry["ENGINE"]).DatabaseWrapper(entry, "default")

    @contextmanager
    def connected(self) -> Iterator[None]:
        own = connections["default"]
        self.connect()
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = own

    def _run(self, module: str, *words: str, **variables: str) -> Process:
        command = [sys.executable, "-m", module, *words]
        log = self._log(len(self.processes))
        process = Process(command, log=log, environment=self.environment | variables)
        self.processes.append(process)
        return process

    def _log(self, number: int) -> Path:
        return self.folder / f"log-{number}"


class Databases:
    """New databases with the site's tables, each a copy of one that was migrated once."""

    def __init__(self, folder: Path, server: str = "") -> None:
        """`server`: the address of a PostgreSQL server's own database; SQLite's files without one."""
        self.folder = folder
        self.server = server
        self._made = 0
        self._template = self._migrated()

    def new(self) -> str:
        """The address of one."""
        self._made += 1
        if not self.server:
            path = self.folder / f"{self._made}.sqlite3"
            shutil.copy(self._template, path)
            return f"sqlite:///{path}"
        return self._create(f"{self._template}_{self._made}", f" TEMPLATE {self._template}")

    def _migrated(self) -> str:
        if not self.server:
            path = self.folder / "template.sqlite3"
            Workplace(self.folder, f"sqlite:///{path}").manage("migrate", "-v0")
            return str(path)
        name = f"shop_{os.getpid()}"
        Workplace(self.folder, self._create(name)).manage("migrate", "-v0")
        return name

    def _create(self, name: str, how: str = "") -> str:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{how}".encode())
        return self.server.rpartition("/")[0] + f"/{name}"
