"""How long staff stay signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from visualsearch.sessions import SIGNED_IN

pytestmark = pytest.mark.django_db


def test_a_session_ends_in_time_however_much_is_done(client: Client, settings: Any) -> None:
    user = User.objects.create_superuser("boss")
    client.force_login(user)
    session = client.session
    end = session.get_expiry_date()
    left = end - timezone.now()
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    session["something"] = "new"
    session.save()
    assert client.get("/admin/").status_code == 200
    assert abs(client.session.get_expiry_date() - end) < timedelta(seconds=1)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get("/admin/").status_code == 302


def test_a_lower_limit_holds_for_sessions_that_there_are(client: Client, settings: Any) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get("/admin/").status_code == 200
    settings.SESSION_COOKIE_AGE = 0
    response = client.get("/admin/")
    assert response.status_code == 302
    assert response.cookies["sessionid"].value == ""


def test_sessions_of_an_older_version_end_at_once(client: Client) -> None:
    """They do not know when their user signed in, and would last for two weeks."""
    client.force_login(User.objects.create_superuser("boss"))
    session = client.session
    del session[SIGNED_IN]
    session.set_expiry(timedelta(days=14))
    session.save()
    assert client.get("/admin/").status_code == 302
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
    client.cookies["sessionid"] = Session.objects.get().session_key
    assert client.get("/admin/").status_code == 302


def test_a_new_password_ends_all_other_sessions() -> None:
    user = User.objects.create_superuser("boss", password="an old one, for tests")
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.force_login(user)
    new = "quite another one, for tests"
    form = {"old_password": "an old one, for tests", "new_password1": new, "new_password2": new}
    assert here.post("/admin/password_change/", form).status_code == 302
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302


def test_signing_out_takes_a_form(admin_client: Client) -> None:
    assert admin_client.get("/admin/logout/").status_code == 405
    assert admin_client.get("/admin/").status_code == 200
    assert admin_client.post("/admin/logout/").status_code == 200
    assert admin_client.get("/admin/").status_code == 302


def test_shoppers_get_no_session(client: Client) -> None:
    client.get("/")
    assert client.get("/admin/login/").status_code == 200
    client.post("/admin/login/", {"username": "nobody", "password": "wrong"})
    assert not Session.objects.exists()
