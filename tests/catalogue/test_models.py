"""Products and photos: constraints, visibility, and the files of photos."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from PIL import Image

from catalogue import files
from catalogue.images import ImageRefused
from catalogue.models import Brand, Category, Product, ProductImage
from catalogue.signals import announce
from tests import shop
from tests.catalogue.observing import stored
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "fields",
    [
        {"sku": ""},
        {"title": ""},
        {"price": Decimal(-1)},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"stock": -1},
        {"visible_from": timezone.now(), "visible_until": timezone.now() - timedelta(days=1)},
    ],
)
def test_the_database_keeps_the_rules_of_products(fields: dict[str, Any]) -> None:
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        Product.objects.bulk_create([Product(**{"sku": "a", "title": "A"} | fields)])


def test_a_sku_is_unique() -> None:
    shop.product("a")
    with pytest.raises(IntegrityError), transaction.atomic():
        shop.product("a")


@pytest.mark.parametrize(
    "fields", [{"width": 0}, {"sha256": "x"}, {"file": ""}, {"thumbnail": ""}, {"large": ""}, {"sha256": "A" * 64}]
)
def test_the_database_keeps_the_rules_of_photos(fields: dict[str, Any]) -> None:
    sound = {"file": "f", "thumbnail": "t", "large": "t", "width": 1, "height": 1, "sha256": "0" * 64}
    with pytest.raises(IntegrityError), transaction.atomic():
        ProductImage.objects.bulk_create([ProductImage(product=shop.product("a"), **(sound | fields))])


def test_categories_of_one_name_differ_by_their_parent() -> None:
    tops, bottoms = shop.category("Tops"), shop.category("Bottoms")
    Category.objects.create(name="Linen", slug="linen", parent=tops)
    Category.objects.create(name="Linen", slug="linen-2", parent=bottoms)
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.create(name="Linen", slug="linen-3", parent=tops)
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.create(name="Tops", slug="tops-2")
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.filter(pk=tops.pk).update(parent=models.F("pk"))


def test_a_category_or_brand_with_products_is_not_deleted() -> None:
    shop.product("a", category=shop.category("Tops"), brand=shop.brand("Acme"))
    for model in (Category, Brand):
        with pytest.raises(ProtectedError):
            model.objects.all().delete()


def test_visibility_depends_on_the_time() -> None:
    now = timezone.now()
    hour = timedelta(hours=1)
    for sku, start, end in [
        ("always", None, None),
        ("since", now - hour, None),
        ("not yet", now + hour, None),
        ("over", None, now - hour),
        ("between", now - hour, now + hour),
        ("ends now", None, now),
        ("starts now", now, None),
    ]:
        shop.product(sku, visible_from=start, visible_until=end)
    assert set(Product.objects.visible(now).values_list("sku", flat=True)) == {
        "always",
        "since",
        "between",
        "starts now",
    }
    assert "not yet" in Product.objects.visible(now + 2 * hour).values_list("sku", flat=True)


def test_products_with_stock_or_uncounted_stock_are_in_stock() -> None:
    for sku, stock in [("none", 0), ("some", 3), ("uncounted", None)]:
        made = shop.product(sku, stock=stock)
        assert made.in_stock is (stock != 0)
    assert set(Product.objects.in_stock().values_list("sku", flat=True)) == {"some", "uncounted"}


def test_a_photo_knows_its_content() -> None:
    import hashlib

    image = shop.product("a", photo()).photos.get()
    assert (image.width, image.height) == (240, 320)
    assert image.sha256 == hashlib.sha256(photo()).hexdigest()
    assert shop.content(image) == photo()
    assert stored() == {image.file.name, image.thumbnail.name}


LARGE = encoded(picture(size=(1200, 1600)))


def test_a_photo_with_pixels_enough_has_two_renditions() -> None:
    image = shop.product("a", LARGE).photos.get()
    assert stored() == {image.file.name, image.thumbnail.name, image.large.name}
    assert len(stored()) == 3
    assert image.srcset == f"{image.thumbnail.url} 480w, {image.large.url} 960w"
    for rendition, width in ((image.thumbnail, image.thumbnail_width), (image.large, image.large_width)):
        with rendition.open() as file, Image.open(file) as opened:
            assert opened.size == (width, width * 4 // 3)


def test_a_photo_with_few_pixels_has_one_rendition() -> None:
    image = shop.product("a", photo()).photos.get()
    assert image.large.name == image.thumbnail.name
    assert image.srcset == f"{image.thumbnail.url} 240w"


def test_a_photo_without_a_large_rendition_uses_its_thumbnail() -> None:
    image = shop.product("a", LARGE).photos.get()
    image.large = image.thumbnail.name
    image.save()
    image.refresh_from_db()
    assert image.srcset == f"{image.thumbnail.url} 480w"


def test_a_large_photo_that_becomes_a_small_one_has_one_rendition(django_capture_on_commit_callbacks: Any) -> None:
    image = shop.product("a", LARGE).photos.get()
    with django_capture_on_commit_callbacks(execute=True):
        image.set_content(photo())
        image.save()
    image.refresh_from_db()
    assert image.large.name == image.thumbnail.name
    assert stored() == {image.file.name, image.thumbnail.name}


def test_a_refused_picture_leaves_the_photo_as_it_was() -> None:
    image = shop.product("a", photo()).photos.get()
    with pytest.raises(ImageRefused):
        image.set_content(b"no picture")
    image.save()
    assert shop.content(image) == photo()


def test_deleting_a_photo_removes_its_files_after_the_commit(django_capture_on_commit_callbacks: Any) -> None:
    image = shop.product("a", photo()).photos.get()
    with django_capture_on_commit_callbacks() as callbacks:
        image.delete()
    assert len(stored()) == 2
    for callback in callbacks:
        callback()
    assert stored() == set()


@pytest.mark.parametrize(
    "delete",
    [
        lambda p: p.delete(),
        lambda p: Product.objects.all().delete(),
        lambda p: p.photos.all().delete(),
        lambda p: ProductImage.objects.filter(product=p).delete(),
    ],
)
def test_every_way_of_deleting_removes_the_files(delete: Any, django_capture_on_commit_callbacks: Any) -> None:
    made = shop.product("a", photo(), photo("hat"), LARGE)
    with django_capture_on_commit_callbacks(execute=True):
        delete(made)
    assert stored() == set()


def test_a_deletion_that_is_rolled_back_keeps_the_files() -> None:
    made = shop.product("a", photo())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        made.photos.all().delete()
        raise ZeroDivisionError
    assert len(stored()) == 2


def test_replacing_a_photo_removes_the_former_file(django_capture_on_commit_callbacks: Any) -> None:
    image = shop.product("a", photo()).photos.get()
    with django_capture_on_commit_callbacks(execute=True):
        image.set_content(photo("hat"))
        image.save()
    assert shop.content(image) == photo("hat")
    assert stored() == {image.file.name, image.thumbnail.name}


def test_a_file_that_another_row_uses_is_kept(django_capture_on_commit_callbacks: Any) -> None:
    image = shop.product("a", photo()).photos.get()
    copy = ProductImage.objects.get(pk=image.pk)
    copy.pk, copy.product = None, shop.product("b")
    copy.save()
    with django_capture_on_commit_callbacks(execute=True):
        image.delete()
    assert shop.content(copy) == photo()
    with django_capture_on_commit_callbacks(execute=True):
        copy.delete()
    assert stored() == set()


def test_two_uploads_of_one_content_have_files_of_their_own() -> None:
    one, two = (shop.product(sku, photo()).photos.get() for sku in "ab")
    assert one.file.name != two.file.name
    assert one.sha256 == two.sha256


@pytest.mark.parametrize(("data", "files_of_one"), [(photo(), 2), (LARGE, 3)], ids=["small", "large"])
def test_a_product_has_a_photo_once_and_a_failed_save_leaves_no_file(data: bytes, files_of_one: int) -> None:
    made = shop.product("a", data)
    with pytest.raises(IntegrityError), transaction.atomic():
        shop.add_photo(made, data)
    assert len(stored()) == files_of_one


def test_a_file_that_cannot_be_removed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    shop.product("a", photo())
    files.remove(["photos"])  # a folder, and not an empty one
    assert "The file photos could not be removed" in caplog.text


def test_photos_changed_has_the_photos_of_a_changed_product(announced: list[list[int]]) -> None:
    made = shop.product("a", photo(), photo("hat"))
    ids = sorted(made.photos.values_list("pk", flat=True))
    announced.clear()
    made.save()
    Product.objects.filter(sku="a").update(title="New")
    made.delete()
    assert announced == [ids] * 3


def test_photos_changed_is_silent_where_no_photo_changes(announced: list[list[int]]) -> None:
    shop.product("a").save()
    Product.objects.update(title="New")
    Product.objects.none().delete()
    assert announced == []


def test_photos_changed_is_sent_by_bulk_create(announced: list[list[int]]) -> None:
    made = shop.product("a")
    created = ProductImage.objects.bulk_create(
        [
            ProductImage(product=made, file="f", thumbnail="t", large="t", width=1, height=1, sha256=c * 64)
            for c in "ab"
        ]
    )
    assert announced == [[image.pk for image in created]]


@pytest.mark.django_db(transaction=True)
def test_photos_changed_needs_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        announce([1])


def test_the_alternative_text_falls_back_to_the_title() -> None:
    image = shop.product("a", photo(), title="Blue shirt").photos.get()
    assert image.alternative == "Blue shirt"
    image.alt = "From behind"
    assert image.alternative == "From behind"
