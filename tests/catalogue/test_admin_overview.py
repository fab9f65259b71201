"""The admin's start page: figures, or first steps for an empty shop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalogue.models import Product
from tests import shop
from tests.catalogue.observing import queries
from tests.catalogue.staff import EDITOR, IMPORT, INDEX, PRODUCTS, VIEWER, member, page
from tests.drawing import photo

pytestmark = pytest.mark.django_db

ADD = reverse("admin:catalogue_product_add")
DEMO = reverse("admin:catalogue_product_load_demo")


def figures(client: Client) -> dict[str, tuple[int, str]]:
    return {figure.label: (figure.count, figure.link) for figure in client.get(INDEX).context["catalogue_figures"]}


def test_a_filled_shop_shows_its_figures_and_each_leads_to_its_list(admin_client: Client) -> None:
    shop.product("a", photo(), stock=3)
    shop.product("b", stock=0)
    shop.product("c", photo("hat"), visible_until=timezone.now() - timedelta(days=1))
    shown = figures(admin_client)
    assert {name: count for name, (count, _link) in shown.items()} == {
        "Products": 3, "Visible now": 2, "Without a photo": 1, "Sold out": 1,
    }  # fmt: skip
    for count, link in shown.values():
        assert len(admin_client.get(link).context["cl"].result_list) == count
    assert "first_steps" not in admin_client.get(INDEX).context


def test_the_queries_of_the_start_page_do_not_grow_with_the_products(admin_client: Client) -> None:
    shop.product("first", photo())
    few = queries(lambda: admin_client.get(INDEX))
    shop.fill(per_kind=1)
    assert queries(lambda: admin_client.get(INDEX)) == few


def test_an_empty_shop_shows_first_steps(admin_client: Client) -> None:
    shown = page(admin_client.get(INDEX))
    assert "The shop is empty" in shown
    assert f'action="{DEMO}"' in shown
    assert f'href="{IMPORT}"' in shown
    assert f'href="{ADD}"' in shown


def test_editors_see_first_steps_and_viewers_whom_to_ask() -> None:
    assert DEMO in page(member(EDITOR).get(INDEX))
    shown = page(member(VIEWER).get(INDEX))
    assert DEMO not in shown
    assert IMPORT not in shown
    assert "Ask whoever edits the catalogue" in shown


def test_staff_without_catalogue_permissions_see_no_figures() -> None:
    shop.product("a")
    response = member(permissions=("view_user",)).get(INDEX)
    assert "catalogue_figures" not in response.context
    assert PRODUCTS not in page(response)


@pytest.mark.django_db(transaction=True)
def test_the_demo_shop_is_loaded_by_a_button(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalogue.admin.products.DEMO_PRODUCTS", 2)
    response = admin_client.post(DEMO, follow=True)
    assert response.redirect_chain == [(INDEX, 302)]
    assert "2 demo products were added." in page(response)
    assert all(product.photos.count() == 2 for product in Product.objects.all())


def test_the_demo_keeps_out_of_a_shop_that_has_products(admin_client: Client) -> None:
    shop.product("a")
    assert "The shop already has products." in page(admin_client.post(DEMO, follow=True))
    assert Product.objects.count() == 1


def test_the_demo_needs_a_post_and_the_permission(admin_client: Client) -> None:
    assert admin_client.get(DEMO).status_code == 405
    assert member(VIEWER).post(DEMO).status_code == 403
    assert not Product.objects.exists()


# The theme --------------------------------------------------------------------------------------------------


def test_admin_pages_link_to_the_shop_and_other_languages(admin_client: Client, settings: Any) -> None:
    shown = page(admin_client.get(INDEX))
    assert settings.SHOP_NAME in shown
    assert f'href="{reverse("catalogue:home")}"' in shown
    assert f'action="{reverse("set_language")}"' in shown
    assert 'value="ja"' in shown


def test_the_language_is_switched_and_the_page_stays(admin_client: Client) -> None:
    response = admin_client.post(reverse("set_language"), {"language": "ja", "next": INDEX})
    assert response["Location"] == "/ja/admin/"
    assert admin_client.get("/ja/admin/").status_code == 200


@pytest.mark.parametrize("model", ["user", "group"])
def test_people_are_kept_in_the_same_theme(admin_client: Client, model: str) -> None:
    for address in ("changelist", "add"):
        assert "nav-sidebar" in page(admin_client.get(reverse(f"admin:auth_{model}_{address}")))
