"""The roles that come with the site, and their pages in the admin."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.urls import reverse

import search
from tests import shop
from tests.catalogue.staff import EDITOR, INDEX, OPERATOR, VIEWER, member, page

pytestmark = pytest.mark.django_db

MIGRATIONS = Path(search.__file__).parent / "migrations"
migration: Any = import_module(f"search.migrations.{next(MIGRATIONS.glob('*_roles.py')).stem}")


def permissions(role: str) -> set[str]:
    rows = Permission.objects.filter(group__name=role).values_list("content_type__app_label", "codename")
    return {".".join(row) for row in rows}


def run(step: str) -> None:
    with connection.schema_editor() as editor:
        getattr(migration, step)(apps, editor)


def test_the_migration_makes_the_roles() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == {EDITOR, OPERATOR, VIEWER}
    assert {"catalogue.add_product", "catalogue.delete_productimage", "catalogue.change_brand"} <= permissions(EDITOR)
    assert not any(name.startswith("search.") for name in permissions(EDITOR))
    assert {"search.change_indexversion", "search.change_indexentry", "search.view_query"} <= permissions(OPERATOR)
    assert "search.delete_query" in permissions(OPERATOR)
    assert not any("catalogue.change" in name or "catalogue.add" in name for name in permissions(OPERATOR))
    assert all(".view_" in name for name in permissions(VIEWER))
    assert "search.view_query" not in permissions(VIEWER)


@pytest.mark.django_db(transaction=True)
def test_a_second_run_keeps_permissions_that_the_shop_added() -> None:
    run("make_roles")
    extra = Permission.objects.get(codename="view_user")
    Group.objects.get(name=VIEWER).permissions.add(extra)
    before = permissions(VIEWER)
    run("make_roles")
    assert permissions(VIEWER) == before
    assert Group.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_taking_it_back_keeps_groups_that_have_members() -> None:
    run("make_roles")
    User.objects.create_user("eve").groups.add(Group.objects.get(name=EDITOR))
    run("remove_roles")
    assert list(Group.objects.values_list("name", flat=True)) == [EDITOR]
    run("make_roles")


def addresses(role: str) -> dict[str, int]:
    client = member(role)
    pages = {
        "products": "catalogue_product_changelist",
        "add": "catalogue_product_add",
        "queries": "search_query_changelist",
        "entries": "search_indexentry_changelist",
        "users": "auth_user_changelist",
    }
    return {name: client.get(reverse(f"admin:{page}")).status_code for name, page in pages.items()}


def test_each_role_opens_its_own_pages() -> None:
    assert addresses(EDITOR) == {"products": 200, "add": 200, "queries": 403, "entries": 403, "users": 403}
    assert addresses(OPERATOR) == {"products": 200, "add": 403, "queries": 200, "entries": 200, "users": 403}
    assert addresses(VIEWER) == {"products": 200, "add": 403, "queries": 403, "entries": 200, "users": 403}


@pytest.mark.parametrize(
    ("role", "there", "missing"),
    [
        (EDITOR, ["catalogue_product", "catalogue_brand"], ["search_query", "search_indexversion", "auth_user"]),
        (OPERATOR, ["catalogue_product", "search_query"], ["auth_user"]),
        (VIEWER, ["catalogue_category", "search_indexversion"], ["search_query", "auth_group"]),
    ],
)
def test_the_sidebar_shows_only_permitted_pages(role: str, there: list[str], missing: list[str]) -> None:
    shop.product("a")
    shown = page(member(role).get(INDEX))
    for name in there:
        assert f'href="{reverse(f"admin:{name}_changelist")}"' in shown
    for name in missing:
        assert reverse(f"admin:{name}_changelist") not in shown
