"""How often passwords may be guessed from one address, what a refused guess costs, and who unlocks an address."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from search.worker import WorkerTasks
from tests.catalogue.staff import member
from tests.search.workplace import Workplace
from visualsearch import guesses
from visualsearch.guesses import PER_ACCOUNT, PER_ADDRESS, WINDOW

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD = "a long one, for tests alone"
WRONG_PASSWORD = "wrong"
HERE = "203.0.113.7"
WRONG, LOCKED, IN = 200, 429, 302


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", "boss@shop.example", PASSWORD)


@pytest.fixture(autouse=True)
def hashed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The lengths of the passwords hashed during the test."""
    lengths: list[int] = []
    encode = PBKDF2PasswordHasher.encode

    def counted(hasher: Any, password: str, *arguments: Any, **options: Any) -> str:
        lengths.append(len(password))
        return encode(hasher, password, *arguments, **options)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 10)
    return lengths


def guess(username: str, password: str = WRONG_PASSWORD, *, address: str = HERE, client: Client | None = None) -> Any:
    return (client or Client()).post(LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address)


def test_the_right_password_is_refused_after_too_many_wrong_ones(boss: User, hashed: list[int]) -> None:
    hashed.clear()
    answers = [guess("boss").status_code for _number in range(40)]
    assert answers == [WRONG] * PER_ACCOUNT + [LOCKED] * (40 - PER_ACCOUNT)
    assert len(hashed) == PER_ACCOUNT
    assert guess("boss", PASSWORD).status_code == LOCKED


def test_one_address_has_twenty_guesses_over_all_accounts(boss: User, hashed: list[int]) -> None:
    hashed.clear()
    answers = [guess(f"clerk-{number}").status_code for number in range(60)]
    assert answers.count(WRONG) == PER_ADDRESS == 20
    assert len(hashed) == PER_ADDRESS
    assert guess("boss", PASSWORD).status_code == LOCKED


def test_a_network_of_ipv6_is_one_address(boss: User) -> None:
    answers = [guess("boss", address=f"2001:db8::{number}").status_code for number in range(1, 10)]
    assert answers == [WRONG] * PER_ACCOUNT + [LOCKED] * (9 - PER_ACCOUNT)
    assert guess("boss", PASSWORD, address="2001:db8:0:1::1").status_code == IN


def test_strangers_do_not_lock_out_staff_at_another_address(boss: User) -> None:
    while guess("boss").status_code != LOCKED:
        pass
    assert guess("boss", PASSWORD, address="198.51.100.1").status_code == IN


def test_signing_in_forgets_the_guesses_of_that_account_alone(boss: User) -> None:
    for number in range(PER_ADDRESS - PER_ACCOUNT):
        guess(f"clerk-{number}")
    for _again in range(3):
        for _number in range(PER_ACCOUNT - 1):
            assert guess("boss").status_code == WRONG
        assert guess("boss", PASSWORD).status_code == IN
    for number in range(PER_ACCOUNT):
        assert guess(f"another-{number}").status_code == WRONG
    assert guess("boss", PASSWORD).status_code == LOCKED


def test_guesses_count_for_an_hour(boss: User) -> None:
    while guess("boss").status_code != LOCKED:
        pass
    AccessAttempt.objects.update(attempt_time=timezone.now() - WINDOW + timedelta(seconds=5))
    assert guess("boss", PASSWORD).status_code == LOCKED
    AccessAttempt.objects.update(attempt_time=timezone.now() - WINDOW)
    assert guess("boss").status_code == WRONG
    assert AccessAttempt.objects.get().failures_since_start == 1


@pytest.mark.parametrize("username", ["boss", "nobody"])
def test_the_answer_says_what_to_do_and_nothing_of_the_account(boss: User, username: str) -> None:
    while (response := guess(username)).status_code != LOCKED:
        pass
    assert 0 < int(response["Retry-After"]) <= WINDOW.total_seconds()
    page = response.content.decode()
    assert "Wait 60 minutes" in page
    assert "manage.py axes_reset" in page
    assert username not in page


def test_known_and_unknown_accounts_cost_the_same(boss: User, hashed: list[int]) -> None:
    hashed.clear()
    counted = []
    for username in ("boss", "nobody"):
        with CaptureQueriesContext(connection) as queries:
            page = guess(username).content.decode()
        counted.append((len(hashed), len(queries), re.sub(r'value="[^"]*"', "", page)))
        hashed.clear()
    assert counted[0] == counted[1]


def test_a_refused_guess_writes_nothing(boss: User) -> None:
    while guess("boss").status_code != LOCKED:
        pass
    with CaptureQueriesContext(connection) as queries:
        guess("boss")
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert sum("axes_accessattempt" in query["sql"] for query in queries) <= 2


def test_refused_guesses_from_one_address_are_logged_once(boss: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="visualsearch.guesses"):
        for number in range(40):
            guess(f"clerk-{number}")
        assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
            f"Too many guesses of passwords from {HERE}"
        ]
        for _number in range(PER_ACCOUNT + 3):
            guess("boss", address="203.0.113.8")
    assert len(caplog.records) == 2


@pytest.mark.parametrize(("username", "password"), [("a" * 50_000, "b"), ("boss", "b" * 50_000)])
def test_long_names_and_passwords_are_neither_hashed_nor_kept(
    boss: User, hashed: list[int], username: str, password: str
) -> None:
    hashed.clear()
    assert guess(username, password).status_code == WRONG
    assert hashed == []
    assert not AccessAttempt.objects.exists()


def test_nothing_of_a_password_is_kept(boss: User) -> None:
    guess("boss", "almost-right")
    assert "almost-right" not in str(AccessAttempt.objects.values().get())


def test_a_forwarded_address_is_believed_of_counted_proxies_alone(boss: User, settings: Any) -> None:
    for number in range(PER_ADDRESS):
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        Client(headers=headers).post(LOGIN, {"username": f"clerk-{number}", "password": "wrong"}, REMOTE_ADDR=HERE)
    assert guess("boss", PASSWORD).status_code == LOCKED
    settings.NUM_PROXIES = 1
    behind = Client(headers={"X-Forwarded-For": "198.51.100.1"})
    assert guess("boss", PASSWORD, client=behind).status_code == IN


@pytest.fixture
def database(tmp_path: Path) -> Workplace:
    """A database in a file, which several threads can write to."""
    place = Workplace(tmp_path, f"sqlite:///{tmp_path}/db.sqlite3")
    with place.connected(), connection.schema_editor() as editor:
        editor.create_model(AccessAttempt)
    return place


@pytest.mark.parametrize(("accounts", "limit"), [(30, PER_ADDRESS), (1, PER_ACCOUNT)])
def test_guesses_that_come_at_once_are_counted_one_by_one(database: Workplace, accounts: int, limit: int) -> None:
    def take(number: int) -> bool:
        with database.connected():
            return guesses.take(HERE, f"clerk-{number % accounts}")

    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(take, range(100)))
    assert 1 <= taken.count(True) <= limit
    with database.connected():
        assert not guesses.take(HERE, "clerk-0")


def test_the_worker_forgets_old_guesses_and_sessions_that_have_ended(boss: User, client: Client) -> None:
    client.force_login(boss)
    guess("nobody")
    WorkerTasks(lambda: False).cleanup()
    assert AccessAttempt.objects.count() == 1
    assert Session.objects.count() == 1
    AccessAttempt.objects.update(attempt_time=timezone.now() - WINDOW)
    Session.objects.update(expire_date=timezone.now())
    WorkerTasks(lambda: False).cleanup()
    assert not AccessAttempt.objects.exists()
    assert not Session.objects.exists()


# Unlocking --------------------------------------------------------------------------------------------------------


def test_a_command_unlocks(boss: User) -> None:
    while guess("boss").status_code != LOCKED:
        pass
    call_command("axes_reset", verbosity=0)
    assert guess("boss", PASSWORD).status_code == IN


def test_staff_see_and_unlock_failed_sign_ins() -> None:
    staff = member(permissions=("view_accessattempt", "delete_accessattempt"))
    for number in range(PER_ADDRESS):
        guess(f"clerk-{number}")
    page = staff.get("/admin/axes/accessattempt/").content.decode()
    assert "clerk-7" in page
    assert HERE in page
    one = AccessAttempt.objects.get(username="clerk-7").pk
    response = staff.post("/admin/axes/accessattempt/", {"action": "unlock", "_selected_action": [one]}, follow=True)
    assert "1 address was unlocked." in response.content.decode()
    assert guess("boss").status_code == WRONG


def test_staff_without_the_permission_neither_see_nor_unlock() -> None:
    assert member().get("/admin/axes/accessattempt/").status_code == 403
    guess("nobody")
    one = AccessAttempt.objects.get().pk
    viewer = member(permissions=("view_accessattempt",))
    viewer.post("/admin/axes/accessattempt/", {"action": "unlock", "_selected_action": [one]})
    assert AccessAttempt.objects.filter(pk=one).exists()
    assert viewer.get(f"/admin/axes/accessattempt/{one}/change/").status_code == 200
    assert viewer.get("/admin/axes/accessattempt/add/").status_code == 403
