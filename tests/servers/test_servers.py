"""Servers for tests start, answer, end with their starter, and report what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.servers.__main__ import main
from tests.servers.base import HOST, ROOT, NotInstalled, Server, free_port, running
from tests.servers.kinds import KINDS
from tests.servers.opensearch import OpenSearch
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis


class Pages(Server):
    """Python's own server of files."""

    name = "pages"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def variables(self) -> dict[str, str]:
        return {"PAGES_URL": f"http://{HOST}:{self.port}/page"}

    def prepare(self) -> None:
        (self.folder / "page").write_text("a page")

    def command(self) -> list[str]:
        return [sys.executable, "-m", "http.server", str(self.port), "--bind", HOST, "--directory", str(self.folder)]

    def answers(self) -> bool:
        return page(self.variables["PAGES_URL"]) == "a page"


class Broken(Pages):
    name = "broken"

    def command(self) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no pages today')"]


class Wanting(Pages):
    name = "wanting"
    programs = {"no-such-program": "no-such-package"}


def page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


def gone(url: str) -> bool:
    end = time.monotonic() + 30
    while page(url):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "pages", Pages)
    monkeypatch.setitem(KINDS, "wanting", Wanting)


def test_a_server_answers_and_leaves_nothing() -> None:
    with running(Pages) as (server,):
        url, folder = server.variables["PAGES_URL"], server.folder
        assert page(url) == "a page"
    assert page(url) == ""
    assert not folder.exists()


def test_a_server_that_was_killed_starts_again_with_its_state(tmp_path: Path) -> None:
    server = Pages(tmp_path / "pages").start().wait()
    try:
        (server.folder / "page").write_text("another")
        server.kill()
        assert not server.running
        assert page(server.variables["PAGES_URL"]) == ""
        server.start()
        assert server.running
        end = time.monotonic() + 30
        while page(server.variables["PAGES_URL"]) != "another":
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        server.stop()


def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no pages today"):
        Broken(tmp_path / "broken").start().wait()


def test_a_missing_program_says_how_it_is_installed(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match=r"no-such-package: run “python -m tests\.servers --install wanting”"):
        Wanting(tmp_path / "wanting").start()


def test_missing_jars_say_how_they_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVERS_DIR", str(tmp_path))
    with pytest.raises(NotInstalled, match=r"OpenSearch 3\.2\.0.*--install opensearch"):
        OpenSearch(tmp_path / "state").start()


def test_a_command_finds_the_servers_and_gives_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import os, sys, urllib.request as r; "
        "print(r.urlopen(os.environ['PAGES_URL']).read().decode(), 'from', os.environ['SERVERS']); sys.exit(3)"
    )
    assert main(["pages", "--", sys.executable, "-c", code]) == 3
    assert "a page from pages" in capfd.readouterr().out


def test_what_is_missing_ends_the_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wanting", "--", "true"]) == 1
    assert "python -m tests.servers --install wanting" in capsys.readouterr().err


def test_an_unknown_server_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["elasticsearch"])
    assert "opensearch" in capsys.readouterr().err


def test_servers_end_when_their_parent_is_killed() -> None:
    code = (
        "from tests.servers.base import running\n"
        "from tests.servers.test_servers import Pages\n"
        "with running(Pages) as (server,):\n"
        "    print(server.variables['PAGES_URL'], flush=True)\n"
        "    input()\n"
    )
    starter = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout
        url = starter.stdout.readline().strip()
        assert page(url) == "a page"
        starter.send_signal(signal.SIGKILL)
    assert gone(url)


@pytest.mark.servers
def test_opensearch_has_the_plugin_that_finds_the_nearest(opensearch_url: str) -> None:
    assert "KNNPlugin" in page(f"{opensearch_url}/_nodes/plugins")


@pytest.mark.servers
def test_redis_answers_and_is_empty_after_a_restart(own_redis: Redis) -> None:
    def told(*words: str) -> str:
        asked = ["redis-cli", "-p", str(own_redis.port), *words]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    assert told("SET", "a", "1") == "OK"
    own_redis.stop()
    own_redis.start().wait()
    assert told("GET", "a") == ""


@pytest.mark.servers
def test_postgresql_keeps_what_it_was_told_when_it_is_killed(own_postgresql: PostgreSQL) -> None:
    def told(statement: str) -> str:
        asked = ["psql", "-X", "-A", "-t", "-c", statement, own_postgresql.url]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    told("CREATE TABLE shelf (box text)")
    told("INSERT INTO shelf VALUES ('hats')")
    told("CHECKPOINT")
    own_postgresql.kill()
    own_postgresql.start().wait()
    assert told("SELECT box FROM shelf") == "hats"
