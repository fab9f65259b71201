"""The photos nearest to a photo, with every number that the ranking comes from."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalogue.models import ProductImage
from search.admin import neighbours
from search.admin.neighbours import Comparison, compare
from search.admin.states import with_entries
from search.indexes import index_of
from search.models import IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


@pytest.fixture
def first() -> ProductImage:
    """A photo among some others, all indexed."""
    shop.fill(per_kind=1)
    indexing.reconcile()
    return ProductImage.objects.get(product__sku="shirt-red-0")


def address(image: ProductImage) -> str:
    return reverse("admin:search_photo_similar", args=[image.pk])


def compared(image: ProductImage, weight: float = 0.2, *, visible: bool = False) -> Comparison:
    return compare(with_entries(ProductImage.objects.all()).get(pk=image.pk), weight, visible=visible)


def words(client: Client, where: str, **parameters: str) -> str:
    response = client.get(where, parameters)
    assert response.status_code == 200
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_a_photo_is_nearest_to_itself(first: ProductImage) -> None:
    found = compared(first)
    nearest = found.neighbours[0]
    assert (nearest.itself, nearest.rank, nearest.photo) == (True, 1, first)
    assert nearest.cosine == pytest.approx(1, abs=1e-3)
    assert nearest.match == "same_item"
    assert [near.rank for near in found.neighbours] == list(range(1, 13))


@pytest.mark.parametrize("weight", [0, 0.2, 0.5])
def test_the_score_is_made_of_its_two_parts(first: ProductImage, weight: float) -> None:
    found = compared(first, weight)
    for near in found.neighbours:
        assert near.style is not None
        assert near.colour is not None
        parts = found.style_share * near.style + found.colour_share * near.colour
        assert near.score == pytest.approx(parts, abs=2e-3)


def test_photos_are_not_grouped_into_products(first: ProductImage) -> None:
    shop.add_photo(first.product, photo("shirt", seed=5), 1)
    indexing.reconcile()
    assert [near.photo.product.sku for near in compared(first).neighbours if near.photo].count("shirt-red-0") == 2


def test_hidden_products_are_found_only_if_asked_for(first: ProductImage) -> None:
    hidden = ProductImage.objects.get(product__sku="hat-red-0").product
    hidden.visible_until = timezone.now() - timedelta(days=1)
    hidden.save()
    indexing.reconcile()
    assert len(compared(first, visible=True).neighbours) == 11
    assert len(compared(first, visible=False).neighbours) == 12


def test_a_photo_without_an_embedding_says_why(admin_client: Client) -> None:
    ledger.ensure_live_version()
    image = shop.product("a", photo()).photos.get()
    assert "cannot be compared. Not indexed yet." in words(admin_client, address(image))
    image.file.storage.delete(image.file.name)
    indexing.reconcile()
    assert "cannot be compared. The file is missing from storage." in words(admin_client, address(image))


def test_without_an_index_there_is_nothing_to_compare(admin_client: Client) -> None:
    image = shop.product("a", photo()).photos.get()
    assert "There is no index yet." in words(admin_client, address(image))


def test_a_lost_index_is_explained(admin_client: Client, first: ProductImage) -> None:
    version = IndexVersion.objects.live()
    assert version is not None
    index_of(version).drop()
    assert "This photo cannot be compared." in words(admin_client, address(first))


def test_a_photo_that_was_deleted_since_keeps_its_row(first: ProductImage, admin_client: Client) -> None:
    other = ProductImage.objects.get(product__sku="hat-red-0")
    pk = other.pk
    other.delete()  # the index is not told yet
    assert f"photo {pk}, deleted" in words(admin_client, address(first))


def test_the_page_shows_the_numbers_and_links_on(admin_client: Client, first: ProductImage) -> None:
    page = admin_client.get(address(first)).content.decode()
    seen = words(admin_client, address(first))
    assert "score = 0.686 × style + 0.171 × colour" in seen
    assert "shirt-red-0 (this photo)" in seen
    assert "generation 1" in seen
    other = ProductImage.objects.get(product__sku="shirt-blue-0")
    assert f'href="{address(other)}"' in page
    assert f'src="{other.thumbnail.url}"' in page


@pytest.mark.parametrize("weight", ["2", "-1", "x", "nan", "inf"])
def test_an_invalid_weight_is_explained_and_ignored(admin_client: Client, first: ProductImage, weight: str) -> None:
    response = admin_client.get(address(first), {"weight": weight})
    assert response.status_code == 200
    assert response.context["form"].errors
    assert response.context["form"].colour_weight == 0.2
    assert len(response.context["comparison"].neighbours) == 12


def test_weight_and_visibility_are_in_the_address(admin_client: Client, first: ProductImage) -> None:
    plain = admin_client.get(address(first)).context["form"]
    assert (plain.colour_weight, plain.only_visible) == (0.2, True)
    chosen = admin_client.get(address(first), {"weight": "0.5"}).context["form"]
    assert (chosen.colour_weight, chosen.only_visible) == (0.5, False)


def test_the_page_costs_the_same_queries_for_few_as_for_many(admin_client: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(address(image)).status_code == 200
        return len(captured)

    image = shop.product("a", photo()).photos.get()
    shop.product("b", photo("hat"))
    indexing.reconcile()
    cost()  # the projection is read once per process
    few = cost()
    shop.fill(per_kind=1)
    indexing.reconcile()
    assert cost() == few <= 12


def test_at_most_fifty_are_shown(monkeypatch: pytest.MonkeyPatch, first: ProductImage) -> None:
    monkeypatch.setattr(neighbours, "NEAREST", 3)
    assert len(compared(first).neighbours) == 3


def test_the_page_never_asks_the_model(first: ProductImage, grid: type[Grid]) -> None:
    grid.calls = 0
    compared(first)
    assert grid.calls == 0


def test_products_and_photos_lead_to_it(admin_client: Client, first: ProductImage) -> None:
    product = reverse("admin:catalogue_product_change", args=[first.product_id])
    itself = reverse("admin:catalogue_productimage_change", args=[first.pk])
    for page in (product, itself):
        assert f'href="{address(first)}"' in admin_client.get(page).content.decode()


def test_it_is_for_those_who_may_view_photos(first: ProductImage) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(address(first)).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_productimage"))
    assert client.get(address(first)).status_code == 200


def test_a_photo_that_is_not_there_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:search_photo_similar", args=[12345])).status_code == 404
