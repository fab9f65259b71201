"""No address of the admin, and no form sent there, that somebody makes by hand is answered with a server error."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import translation

from search.models import IndexedMinute, Query
from tests import shop
from tests.drawing import photo
from visualsearch import accounts

pytestmark = pytest.mark.django_db

#: Numbers that databases do not take, texts that are no numbers, expressions that are none, half a code point.
VALUES = (
    "", "0", "1", "-1", "1_0", "99999999999999999999", "1e400", "nan", "٣", "999.-1", "2024-13-45", "None", "abc",
    "(", "[", "_5F", "\n", "%", "../..", "a'\"<>", "a" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    b"\xed\xa0\x80", b"\xff", "\0",
)  # fmt: skip
NAMES = (
    "q", "o", "p", "e", "all", "_popup", "_to_field", "_facets", "_changelist_filters", "_source_model", "term",
    "page",
    "app_label", "model_name", "field_name", "s", "extended", "next", "format", "resource", "ids", "nothing",
)  # fmt: skip
LOOKUPS = (
    "", "__exact", "__in", "__range", "__isnull", "__gt", "__contains", "__regex", "__iregex", "__search", "__year",
    "__date", "__week_day", "__id", "__id__exact", "__foo", "__lt__gt", "__parent__parent__name",
    "__overlap",
)  # fmt: skip
PART = "\0"


def written(resolver: Any, path: str = "/") -> Iterator[str]:
    """The addresses of the admin, with `PART` for each part that is read from them."""
    for pattern in resolver.url_patterns:
        here = path + re.sub(r"^\^|\\Z|\$", "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from written(pattern, here)
        elif here.startswith("/admin/"):
            yield re.sub(r"<[^>]*>|\(\?P<[^>]*>[^)]*\)", PART, here)


ADDRESSES = sorted(set(written(get_resolver())))
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def of(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def some(addresses: Iterable[str], number: int, seed: int) -> list[str]:
    """So many of them, drawn alike in each run of this test."""
    everything = list(addresses)
    return random.Random(seed).sample(everything, min(number, len(everything)))


@pytest.fixture
def staff(admin_client: Client, caplog: pytest.LogCaptureFixture) -> Client:
    shop.product("hat-1", photo("hat"), title="Hat", price=10)
    admin_client.raise_request_exception = False
    caplog.set_level(logging.CRITICAL)
    return admin_client


def failures(staff: Client, addresses: Iterable[str], form: dict[str, Any] | None = None) -> list[str]:
    """The addresses that were answered by an error of the server, each with the error."""
    wrong = []
    for address in addresses:
        response: Any = staff.get(address) if form is None else staff.post(address, form)
        if response.status_code >= 500:
            wrong.append(f"{address[:150]}: {getattr(response, 'exc_info', [None, None])[1]!r:.150}")
    return wrong


def test_there_are_addresses_to_try() -> None:
    assert {"/admin/r/\0/\0/", "/admin/catalogue/product/\0/change/", "/admin/jsi18n/"} <= set(ADDRESSES)


def test_parts_of_addresses(staff: Client) -> None:
    open_to_writing = [path for path in ADDRESSES if PART in path]
    assert not failures(
        staff, (path.replace(PART, quote(value, safe="")) for path in open_to_writing for value in VALUES[1:])
    )


def test_addresses_on_the_site_by_kind_and_key(staff: Client) -> None:
    kinds = ContentType.objects.values_list("pk", flat=True)
    for kind in (Query, IndexedMinute, User):
        assert staff.get(f"/admin/r/{ContentType.objects.get_for_model(kind).pk}/1/").status_code == 404
    assert not failures(staff, (f"/admin/r/{kind}/{quote(key)}/" for kind in kinds for key in ("1", "1_0", "abc")))


def test_query_strings(staff: Client) -> None:
    addresses = (
        f"{path}?{urlencode({name: value})}"
        for path in ADDRESSES
        if PART not in path
        for name in NAMES
        for value in VALUES
    )
    assert not failures(staff, some(addresses, 500, seed=1))


def test_lookups(staff: Client) -> None:
    addresses = (
        f"{of(model)}{page}?{urlencode({name + lookup: value})}"
        for model in MODELS
        for page in ("", "add/")
        for name in sorted({field.name for field in model._meta.get_fields()} | {"pk", "nothing"})
        for lookup in LOOKUPS
        for value in VALUES
    )
    assert not failures(staff, some(addresses, 600, seed=2))


@pytest.mark.parametrize(
    "address",
    [
        "/admin/catalogue/product/?title__regex=(a%2B)%2B%24",
        "/ja/admin/auth/user/?username__iregex=(",
        "/admin/catalogue/product/export/?nothing=1",
    ],
)
def test_what_cannot_be_read_is_not_found(staff: Client, address: str) -> None:
    response = staff.get(address)
    assert response.status_code == 404
    with translation.override("ja" if address.startswith("/ja/") else "en"):
        sentence = translation.gettext("Part of this address is not valid. Go back and use the links on the page.")
    assert sentence in response.content.decode()


def test_forms(staff: Client) -> None:
    names = (
        "action",
        "_selected_action",
        "select_across",
        "index",
        "_save",
        "form-TOTAL_FORMS",
        "form-INITIAL_FORMS",
    )
    choices = random.Random(3)
    actions = ("delete_selected", "unlock", "export_admin_action", "edit_together", "remove_second_factor", "nothing")
    wrong = []
    for path in ADDRESSES:
        here = path.replace(PART, "1")
        if here.endswith("/logout/"):
            continue
        for _number in range(8):
            form: dict[str, Any] = {name: choices.choice(VALUES[:-3]) for name in choices.sample(names, 4)}
            form["action"] = choices.choice(actions)
            form["_selected_action"] = [choices.choice(VALUES[:-3]) for _key in range(2)]
            form |= {name: choices.choice(VALUES[:-3]) for name in choices.sample(NAMES, 5)}
            wrong += failures(staff, [here], form)
    assert not wrong


@pytest.mark.parametrize("key", ["\n", "abc", "99999999999999999999"])
def test_a_form_with_keys_that_are_none_is_refused(staff: Client, key: str) -> None:
    form = {"action": "delete_selected", "_selected_action": [key], "post": "yes"}
    assert not failures(staff, ["/admin/catalogue/category/", "/admin/search/query/"], form)
    response = staff.post("/admin/catalogue/category/", {**form, "_selected_action": ["abc"]})
    assert response.status_code == 400
    assert "Some of its values are not valid." in response.content.decode()


@pytest.mark.parametrize(
    ("name", "mistake"),
    [("OuterRef", int), ("OuterRef", None), ("TOTPDevice", None)],  # ValueError, TypeError, AttributeError
)
def test_an_error_of_ours_stays_one(staff: Client, monkeypatch: pytest.MonkeyPatch, name: str, mistake: Any) -> None:
    user = f"/admin/auth/user/{User.objects.get().pk}/change/"
    monkeypatch.setattr(accounts, name, mistake)
    assert staff.get("/admin/auth/user/").status_code == 500
    assert staff.get("/admin/auth/user/?q=boss").status_code == 500
    assert staff.get(user).status_code == 500
    assert staff.post(user, {"username": "boss"}).status_code == 500
    form = {"action": "delete_selected", "_selected_action": ["1"]}
    assert staff.post("/admin/auth/user/?q=boss", form).status_code == 500


def test_what_no_value_can_raise_is_an_error_of_ours(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts.UserAdmin, "actions", 3)  # Django raises TypeError
    form = {"action": "delete_selected", "_selected_action": ["1"]}
    assert staff.post("/admin/auth/user/", form).status_code == 500
