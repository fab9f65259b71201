"""What search shows to staff: where photos stand in the index, its versions, and shoppers' queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalogue.models import Product, ProductImage
from search.models import IndexEntry, IndexVersion
from search.vision.matches import DEFAULT
from search.writing import indexing
from tests import shop
from tests.catalogue.staff import EDITOR, OPERATOR, VIEWER, member
from tests.drawing import photo
from tests.search.grid import configured

pytestmark = pytest.mark.django_db

PRODUCTS = reverse("admin:catalogue_product_changelist")
PHOTOS = reverse("admin:catalogue_productimage_changelist")
VERSIONS = reverse("admin:search_indexversion_changelist")
ENTRIES = reverse("admin:search_indexentry_changelist")


@pytest.fixture
def live() -> IndexVersion:
    return IndexVersion.objects.create(
        fingerprint="model-1", colours_version=1, width=381, state=IndexVersion.State.LIVE
    )


def put(image: ProductImage, version: IndexVersion, state: str, **fields: Any) -> None:
    """Write where a photo stands in a version."""
    IndexEntry.objects.filter(version=version, photo_id=image.pk).update(state=state, **fields)


def state_of(image: ProductImage) -> str:
    return IndexEntry.objects.get(photo_id=image.pk).state


def shown(client: Client, address: str, **parameters: Any) -> str:
    response = client.get(address, parameters)
    assert response.status_code == 200
    return response.content.decode()


def page_of(product: Product) -> str:
    return reverse("admin:catalogue_product_change", args=[product.pk])


def try_again(product: Product) -> str:
    return reverse("admin:catalogue_product_try_again", args=[product.pk])


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def clerk(*codenames: str, **options: Any) -> Client:
    """Someone of the staff who may do what is named, and nothing else."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(**options)
    client.force_login(user)
    return client


# A product's page -------------------------------------------------------------------------------------------


def test_the_page_of_a_product_tells_where_each_photo_stands(admin_client: Client, live: IndexVersion) -> None:
    made = shop.product("a", photo(), photo("hat"), photo("dress"), photo("trousers"))
    indexed, waiting, failed, _new = made.photos.all()
    put(indexed, live, "indexed")
    put(waiting, live, "pending", attempts=3, next_try=timezone.now(), reason="The model is asleep.")
    put(failed, live, "failed", reason="The <file> is damaged.")
    page = shown(admin_client, page_of(made))
    assert '<span class="index-state index-state--indexed">indexed</span>' in page
    assert "waiting: 3 tries, next at " in page
    assert "The model is asleep." in page
    assert '<span class="index-state index-state--failed">failed</span>' in page
    assert "The &lt;file&gt; is damaged." in page
    assert '<span class="index-state index-state--pending">waiting</span>' in page
    assert page.count('form="try-again"') == 2


def test_the_button_belongs_to_a_form_of_its_own(admin_client: Client, live: IndexVersion) -> None:
    made = shop.product("a", photo())
    put(made.photos.get(), live, "failed", reason="Damaged.")
    page = shown(admin_client, page_of(made))
    own = page.index(f'<form id="try-again" method="post" action="{try_again(made)}">')
    assert page.index('id="product_form"') < page.index("</form>", page.index('id="product_form"')) < own
    assert "csrfmiddlewaretoken" in page[own:]


def test_trying_again_makes_a_photo_pending_and_says_so(admin_client: Client, live: IndexVersion) -> None:
    made = shop.product("a", photo(), photo("hat"))
    first, second = made.photos.all()
    for image in (first, second):
        put(image, live, "failed", reason="Damaged.")
    response = admin_client.post(try_again(made), {"photo": first.pk}, follow=True)
    assert response.redirect_chain == [(page_of(made), 302)]
    assert "1 photo will be indexed again shortly." in response.content.decode()
    assert (state_of(first), state_of(second)) == ("pending", "failed")


def test_trying_again_takes_only_photos_of_the_product(admin_client: Client, live: IndexVersion) -> None:
    made, other = shop.product("a", photo()), shop.product("b", photo())
    put(other.photos.get(), live, "failed")
    admin_client.post(try_again(made), {"photo": [other.photos.get().pk, "nonsense"]})
    assert state_of(other.photos.get()) == "failed"


@pytest.mark.parametrize(("role", "may"), [(OPERATOR, True), (EDITOR, False), (VIEWER, False)])
def test_who_looks_after_the_index_tries_again_and_nobody_else_is_offered_it(
    live: IndexVersion, role: str, may: bool
) -> None:
    made = shop.product("a", photo())
    image = made.photos.get()
    put(image, live, "failed")
    client = member(role)
    assert ('form="try-again"' in shown(client, page_of(made))) == may
    assert ("try_again" in shown(client, PHOTOS)) == may
    assert client.post(try_again(made), {"photo": image.pk}).status_code == (302 if may else 403)
    assert state_of(image) == ("pending" if may else "failed")
    put(image, live, "failed")
    client.post(PHOTOS, {"action": "try_again", "_selected_action": [image.pk]})
    assert state_of(image) == ("pending" if may else "failed")


def test_trying_again_needs_a_post_a_token_and_the_permission_to_change(
    admin_client: Client, live: IndexVersion
) -> None:
    made = shop.product("a", photo())
    image = made.photos.get()
    put(image, live, "failed")
    assert admin_client.get(try_again(made)).status_code == 405
    assert clerk("view_product").post(try_again(made), {"photo": image.pk}).status_code == 403
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(User.objects.create_superuser("owner"))
    assert forged.post(try_again(made), {"photo": image.pk}).status_code == 403
    assert state_of(image) == "failed"


# Lists of products and photos -------------------------------------------------------------------------------


def test_the_list_of_products_sums_up_their_photos(admin_client: Client, live: IndexVersion) -> None:
    first, second, _third = shop.product("a", photo(), photo("hat"), photo("dress")).photos.all()
    put(first, live, "indexed")
    put(second, live, "indexed")
    page = shown(admin_client, PRODUCTS)
    assert ">2 indexed</span>" in page
    assert ">1 waiting</span>" in page


def test_products_and_photos_are_filtered_by_state(admin_client: Client, live: IndexVersion) -> None:
    images = {state: shop.product(state, photo()).photos.get() for state in ("indexed", "pending", "failed")}
    for state, image in images.items():
        put(image, live, state)
    for state, image in images.items():
        products = admin_client.get(PRODUCTS, {"index": state}).context["cl"].result_list
        assert [product.sku for product in products] == [state]
        assert list(admin_client.get(PHOTOS, {"index": state}).context["cl"].result_list) == [image]


def test_photos_are_filtered_by_their_reason(admin_client: Client, live: IndexVersion) -> None:
    images = [shop.product(sku, photo()).photos.get() for sku in ("a", "b")]
    put(images[0], live, "failed", reason="Damaged.")
    put(images[1], live, "failed", reason="Missing.")
    assert list(admin_client.get(PHOTOS, {"reason": "Damaged."}).context["cl"].result_list) == [images[0]]
    assert list(admin_client.get(PHOTOS, {"reason": "Nonsense."}).context["cl"].result_list) == []
    assert "Missing." in shown(admin_client, PHOTOS)


def test_only_the_live_version_counts(admin_client: Client, live: IndexVersion) -> None:
    image = shop.product("a", photo()).photos.get()
    put(image, live, "indexed")
    retired = IndexVersion.objects.create(
        fingerprint="model-0", colours_version=1, width=9, state=IndexVersion.State.RETIRED
    )
    IndexEntry.objects.create(version=retired, photo_id=image.pk, state="failed")
    assert "index-state--failed" not in shown(admin_client, PHOTOS)
    assert list(admin_client.get(PHOTOS, {"index": "failed"}).context["cl"].result_list) == []


def test_without_any_index_photos_are_waiting(admin_client: Client) -> None:
    shop.product("a", photo())
    assert '<span class="index-state index-state--pending">waiting</span>' in shown(admin_client, PHOTOS)
    assert len(admin_client.get(PRODUCTS, {"index": "pending"}).context["cl"].result_list) == 1


@pytest.mark.parametrize("address", [PRODUCTS, PHOTOS, ENTRIES])
def test_a_list_costs_the_same_queries_for_one_row_as_for_many(
    admin_client: Client, live: IndexVersion, address: str
) -> None:
    shop.product("first", photo())
    few = queries_of(admin_client, address)
    for number in range(4):
        shop.product(f"more-{number}", photo(seed=number))
    assert queries_of(admin_client, address) == few


def test_chosen_photos_are_tried_again(admin_client: Client, live: IndexVersion) -> None:
    images = list(shop.product("a", photo(), photo("hat")).photos.all())
    for image in images:
        put(image, live, "failed")
    chosen = {"action": "try_again", "_selected_action": [image.pk for image in images]}
    assert (
        "2 photos will be indexed again shortly." in admin_client.post(PHOTOS, chosen, follow=True).content.decode()
    )
    assert {state_of(image) for image in images} == {"pending"}


def test_a_photo_whose_file_was_lost_is_mended_by_uploading_it_again(admin_client: Client, settings: Any) -> None:
    settings.EMBEDDERS = {"default": configured()}
    made = shop.product("a", photo())
    image = made.photos.get()
    image.file.storage.delete(image.file.name)
    indexing.reconcile()
    assert "is missing from storage" in shown(admin_client, page_of(made))

    sent = {"upload": SimpleUploadedFile("photo.jpg", photo()), "position": 0}
    assert admin_client.post(reverse("admin:catalogue_productimage_change", args=[image.pk]), sent).status_code == 302
    indexing.reconcile()
    assert "index-state--indexed" in shown(admin_client, page_of(made))


# Versions ---------------------------------------------------------------------------------------------------


def test_versions_are_listed_with_their_entries_by_state(admin_client: Client, live: IndexVersion) -> None:
    for number, state in enumerate(["indexed", "indexed", "indexed", "pending", "pending", "failed"]):
        IndexEntry.objects.create(version=live, photo_id=number, state=state)
    page = shown(admin_client, VERSIONS)
    for column, count in {"indexed": 3, "pending": 2, "failed": 1}.items():
        assert re.search(rf'<td class="field-{column} [^>]*>{count}</td>', page)


def test_the_list_of_versions_costs_the_same_queries_for_one_as_for_many(
    admin_client: Client, live: IndexVersion
) -> None:
    few = queries_of(admin_client, VERSIONS)
    for number in range(3):
        IndexVersion.objects.create(fingerprint=f"old-{number}", colours_version=1, width=9, state="retired")
    assert queries_of(admin_client, VERSIONS) == few


def test_a_version_shows_what_its_build_has_learnt(admin_client: Client, live: IndexVersion) -> None:
    live.quality = {"kept": "components", "reason": "Class scores do not help."}
    live.calibration_json = DEFAULT.to_json()
    live.save()
    page = shown(admin_client, reverse("admin:search_indexversion_change", args=[live.pk]))
    assert "Class scores do not help." in page
    assert "loosely_similar" in page
    assert "projection_bytes" not in page


@pytest.mark.parametrize("model", ["indexversion", "indexentry"])
def test_the_records_of_the_program_are_only_looked_at(admin_client: Client, live: IndexVersion, model: str) -> None:
    entry = IndexEntry.objects.create(version=live, photo_id=1)
    pk = {"indexversion": live.pk, "indexentry": entry.pk}[model]
    assert admin_client.get(reverse(f"admin:search_{model}_add")).status_code == 403
    assert admin_client.post(reverse(f"admin:search_{model}_delete", args=[pk])).status_code == 403
    page = reverse(f"admin:search_{model}_change", args=[pk])
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"state": "retired"}).status_code == 403


# Entries ----------------------------------------------------------------------------------------------------


def test_entries_are_found_by_their_reason_and_lead_to_the_product(admin_client: Client, live: IndexVersion) -> None:
    made = shop.product("sku-7", photo())
    put(made.photos.get(), live, "failed", reason="This picture is damaged.")
    IndexEntry.objects.create(version=live, photo_id=999_999, state="gone")
    page = shown(admin_client, ENTRIES, q="damaged")
    assert f'<a href="{page_of(made)}">sku-7</a>' in page
    assert "999999" not in page
    assert "photo 999999, deleted" in shown(admin_client, ENTRIES, state__exact="gone")


def test_entries_are_tried_again_by_those_who_may_change_them(admin_client: Client, live: IndexVersion) -> None:
    image = shop.product("a", photo()).photos.get()
    put(image, live, "failed")
    chosen = {"action": "try_again", "_selected_action": [IndexEntry.objects.get().pk]}
    clerk("view_indexentry").post(ENTRIES, chosen)
    assert state_of(image) == "failed"
    admin_client.post(ENTRIES, chosen)
    assert state_of(image) == "pending"


@pytest.mark.parametrize("address", [reverse("admin:app_list", args=["search"]), "/ja/admin/search/"])
def test_the_page_of_the_app_lists_what_search_shows_to_staff(admin_client: Client, address: str) -> None:
    page = admin_client.get(address)
    assert page.status_code == 200
    assert page.context["app_label"] == "search"
    assert VERSIONS in page.content.decode()


def test_an_empty_search_of_the_admin_finds_nothing(admin_client: Client) -> None:
    assert admin_client.get("/admin/search/?s=").content == b""


def test_strangers_sign_in_before_they_see_the_page_of_the_app(client: Client) -> None:
    assert client.get("/admin/search/").status_code == 302
