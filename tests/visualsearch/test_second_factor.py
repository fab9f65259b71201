"""Staff sign in with a code where they have set one up, or where the shop asks for it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests import shop
from tests.catalogue.staff import member, page
from tests.drawing import photo
from visualsearch.guesses import PER_ACCOUNT
from visualsearch.second_factor import LONGEST_PASSWORD, RECOVERY_CODES

pytestmark = pytest.mark.django_db

PASSWORD = "a long one, for tests alone"
LOGIN = "/admin/login/"
SETUP = "/admin/second-factor/"


@pytest.fixture(autouse=True)
def _cheap_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def clerk() -> User:
    return User.objects.create_user("clerk", password=PASSWORD, is_staff=True)


def code(user: User, step: int = 0) -> str:
    """What the app shows now, or so many steps of 30 seconds later."""
    device = TOTPDevice.objects.get(user=user)
    generator = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    generator.time = time.time() + 30 * step
    return f"{generator.token():06}"


def sign_in(**fields: str) -> Client | None:
    """A client that is signed in, or None."""
    client = Client()
    response = client.post(LOGIN, {"username": "clerk", "password": PASSWORD, **fields})
    assert response.status_code in {200, 302, 429}
    return client if response.status_code == 302 else None


def enrol(user: User) -> list[str]:
    """Set up the second factor as staff do; the recovery codes."""
    client = Client()
    client.force_login(user)
    client.get(SETUP)
    shown = page(client.post(SETUP, {"code": code(user)}))
    codes = re.findall(r"<li><code>(\w{8})</code></li>", shown)
    assert len(codes) == RECOVERY_CODES
    # A code is good once: the tests' next one must not have to be waited for.
    TOTPDevice.objects.update(last_t=-1)
    return codes


def test_an_account_without_a_second_factor_signs_in_with_its_password(clerk: User) -> None:
    assert 'name="code"' not in page(Client().get(LOGIN))
    assert sign_in()


def test_an_account_with_one_signs_in_with_a_code_alone(clerk: User) -> None:
    enrol(clerk)
    assert 'autocomplete="one-time-code"' in page(Client().get(LOGIN))
    assert not sign_in()
    assert not sign_in(code="000000" if code(clerk) != "000000" else "000001")
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    client = sign_in(code=code(clerk))
    assert client
    assert client.get("/admin/").status_code == 200


def test_others_sign_in_without_one(clerk: User) -> None:
    enrol(User.objects.create_user("boss", password=PASSWORD, is_staff=True))
    assert sign_in()


def test_a_code_is_good_once(clerk: User) -> None:
    enrol(clerk)
    now = code(clerk)
    assert sign_in(code=now)
    assert not sign_in(code=now)


def test_a_recovery_code_is_good_once_and_may_be_typed_with_spaces(clerk: User) -> None:
    first = enrol(clerk)[0]
    assert sign_in(code=f" {first[:4].upper()} {first[4:]} ")
    assert not sign_in(code=first)
    assert StaticToken.objects.count() == RECOVERY_CODES - 1


def test_the_code_of_another_account_is_wrong(clerk: User) -> None:
    enrol(clerk)
    boss = User.objects.create_user("boss", password=PASSWORD, is_staff=True)
    codes = enrol(boss)
    assert not sign_in(code=codes[0])
    assert not sign_in(code=code(boss))


def test_a_right_password_without_its_code_is_answered_as_a_wrong_one(clerk: User) -> None:
    enrol(clerk)

    def answer(**fields: str) -> str:
        shown = page(Client().post(LOGIN, {"username": "clerk", **fields}))
        return re.sub(r'value="[^"]*"', "", shown)

    assert answer(password=PASSWORD) == answer(password="wrong")
    sentence = "Enter the correct username, password and, if you have set one up, code."
    assert sentence in answer(password=PASSWORD)


def test_where_nobody_has_a_second_factor_no_code_is_asked_for(clerk: User) -> None:
    shown = page(Client().post(LOGIN, {"username": "clerk", "password": "wrong"}))
    assert "Please enter the correct username and password" in shown
    assert "if you have set one up" not in shown


def test_guesses_of_codes_count_as_guesses_of_the_password(clerk: User) -> None:
    enrol(clerk)
    client = Client()
    answers = [
        client.post(LOGIN, {"username": "clerk", "password": PASSWORD, "code": f"{number:06}"}).status_code
        for number in range(PER_ACCOUNT + 3)
    ]
    assert answers[PER_ACCOUNT:] == [429, 429, 429]


def test_a_device_refuses_for_a_while_after_a_wrong_code(clerk: User) -> None:
    enrol(clerk)
    sign_in(code="1")
    assert TOTPDevice.objects.get().throttling_failure_count == 1
    assert not sign_in(code=code(clerk))


@pytest.mark.parametrize("wrong", ["", "1", "a" * 10_000, "１２３４５６", "²²²²²²", "-00001", "0x1234"])
def test_what_is_no_code_turns_nothing_on(clerk: User, wrong: str) -> None:
    client = Client()
    client.force_login(clerk)
    client.get(SETUP)
    assert client.post(SETUP, {"code": wrong}).status_code == 200
    assert not TOTPDevice.objects.get().confirmed


@pytest.mark.parametrize("wrong", ["²²²²²²", "a" * 10_000, "\u0661" * 6, "1" * 5_000])
def test_what_is_no_code_signs_nobody_in(clerk: User, wrong: str) -> None:
    enrol(clerk)
    assert not sign_in(code=wrong)


def test_the_secret_is_shown_until_it_is_in_use(clerk: User) -> None:
    client = Client()
    client.force_login(clerk)
    before = page(client.get(SETUP))
    assert 'src="data:image/svg+xml;base64,' in before
    secret = TOTPDevice.objects.get().key
    client.get(SETUP)
    assert TOTPDevice.objects.get().key == secret
    enrol(clerk)
    after = page(client.get(SETUP))
    assert "data:image/svg" not in after
    assert f"{RECOVERY_CODES} recovery codes are left." in after


def test_the_session_that_sets_it_up_stays(clerk: User) -> None:
    client = Client()
    client.force_login(clerk)
    client.get(SETUP)
    client.post(SETUP, {"code": code(clerk)})
    assert client.get("/admin/").status_code == 200


def test_strangers_and_pages_of_the_shop_cost_no_query_for_it(clerk: User) -> None:
    client = Client()
    client.force_login(clerk)
    for visitor, path in ((Client(), LOGIN), (Client(), "/admin/"), (Client(), "/"), (client, "/")):
        with CaptureQueriesContext(connection) as queries:
            visitor.get(path)
        asked = [query["sql"] for query in queries if "otp_" in query["sql"]]
        assert len(asked) == (path == LOGIN), asked  # the form asks whether anybody needs a code


def test_turning_it_off_and_new_recovery_codes_take_a_code(clerk: User) -> None:
    old = enrol(clerk)
    client = Client()
    client.force_login(clerk)
    client.post(SETUP, {"code": "wrong", "off": "yes"})
    client.post(SETUP, {"off": "yes"})
    assert TOTPDevice.objects.filter(confirmed=True).exists()
    shown = page(client.post(SETUP, {"code": code(clerk)}))
    assert not set(old) & set(StaticToken.objects.values_list("token", flat=True))
    assert all(token in shown for token in StaticToken.objects.values_list("token", flat=True))
    TOTPDevice.objects.update(last_t=-1)
    assert client.post(SETUP, {"code": code(clerk), "off": "yes"}).status_code == 302
    assert not TOTPDevice.objects.filter(confirmed=True).exists()
    assert not StaticToken.objects.exists()
    assert sign_in()


def test_the_page_is_for_staff() -> None:
    assert Client().get(SETUP).status_code == 302
    shopper = Client()
    shopper.force_login(User.objects.create_user("shopper"))
    assert shopper.get(SETUP).status_code == 302
    assert not TOTPDevice.objects.exists()


# Where the shop asks for it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/", "/ja/admin/", "/admin/catalogue/product/", "/admin/password_change/"])
def test_staff_set_it_up_before_anything_else(clerk: User, settings: Any, path: str) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    client = sign_in()
    assert client
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].endswith(SETUP)
    page(client.get(response["Location"]))
    shown = page(client.post(SETUP, {"code": code(clerk)}))
    assert "Your recovery codes" in shown
    assert client.get("/admin/password_change/").status_code == 200


def test_without_a_code_staff_are_strangers_outside_the_admin(clerk: User, settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    clerk.is_superuser = True
    clerk.save()
    image = shop.product("HIDDEN", photo(), visible_until=timezone.now()).photos.get()
    client = sign_in()
    assert client
    assert client.get(image.thumbnail.url).status_code == 404
    enrol(clerk)
    client = sign_in(code=code(clerk))
    assert client
    response = client.get(image.thumbnail.url)
    assert response.status_code == 200
    response.close()


def test_it_cannot_be_turned_off_there(clerk: User, settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    enrol(clerk)
    client = sign_in(code=code(clerk))
    assert client
    assert 'name="off"' not in page(client.get(SETUP))
    TOTPDevice.objects.update(last_t=-1)
    client.post(SETUP, {"code": code(clerk), "off": "yes"})
    assert TOTPDevice.objects.filter(confirmed=True).exists()


@pytest.mark.parametrize("required", [False, True])
def test_a_session_without_a_code_signs_in_again(clerk: User, settings: Any, required: bool) -> None:
    settings.ADMIN_REQUIRE_OTP = required
    old = Client()
    old.force_login(clerk)
    enrol(clerk)
    response = old.get("/admin/catalogue/product/")
    assert response["Location"] == "/admin/login/?next=/admin/catalogue/product/"
    assert old.get(SETUP).status_code == 302  # to the page to sign in


def test_signing_out_is_always_possible(clerk: User, settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    client = sign_in()
    assert client
    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/").status_code == 302


# Where the phone is lost ------------------------------------------------------------------------------------------


def test_a_command_makes_a_recovery_code(clerk: User, capsys: pytest.CaptureFixture[str]) -> None:
    enrol(clerk)
    call_command("addstatictoken", "clerk")
    assert sign_in(code=capsys.readouterr().out.strip())


def test_a_superuser_removes_it(clerk: User, admin_client: Client) -> None:
    enrol(clerk)
    assert "second factor" in page(admin_client.get("/admin/auth/user/")).lower()
    form = {"action": "remove_second_factor", "_selected_action": [clerk.pk]}
    admin_client.post("/admin/auth/user/", form)
    assert sign_in()


def test_nobody_else_removes_it(clerk: User) -> None:
    enrol(clerk)
    manager = member(permissions=("view_user", "change_user", "delete_user", "delete_totpdevice"))
    assert "remove_second_factor" not in page(manager.get("/admin/auth/user/"))
    manager.post("/admin/auth/user/", {"action": "remove_second_factor", "_selected_action": [clerk.pk]})
    assert TOTPDevice.objects.filter(confirmed=True).exists()
    assert manager.get("/admin/otp_totp/totpdevice/").status_code == 404


# Passwords --------------------------------------------------------------------------------------------------------


def test_a_new_password_is_no_longer_than_what_signing_in_takes(clerk: User) -> None:
    client = Client()
    client.force_login(clerk)
    for length, status in ((LONGEST_PASSWORD + 1, 200), (LONGEST_PASSWORD, 302)):
        new = ("longwords" * 200)[:length]
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert client.post("/admin/password_change/", form).status_code == status
    assert Client().post(LOGIN, {"username": "clerk", "password": new}).status_code == 302
