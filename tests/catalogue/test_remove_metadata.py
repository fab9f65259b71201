"""The command remove_metadata: originals with metadata are private until it has run."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from PIL import Image

from catalogue import files
from catalogue.importers.importer import Importer
from catalogue.importers.records import BytesPhoto, ProductRecord, StoredPhoto
from catalogue.models import ProductImage
from tests import shop
from tests.catalogue.observing import stored, used
from tests.catalogue.test_metadata import SECRET, dirty
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

ORIGINAL = dirty(encoded(picture(size=(1200, 900))), 6)
DIGEST = hashlib.sha256(ORIGINAL).hexdigest()


def run(**options: Any) -> list[str]:
    out = io.StringIO()
    call_command("remove_metadata", stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue().splitlines()


def old(sku: str, data: bytes = ORIGINAL) -> ProductImage:
    """A photo as the version before has stored it."""
    image = shop.product(sku, data).photos.get()
    former = image.file.name or ""
    default_storage.delete(former)
    assert default_storage.save(former, ContentFile(data)) == former
    ProductImage.objects.filter(pk=image.pk).update(stripped=False)
    image.refresh_from_db()
    return image


def test_a_new_photo_is_stored_without_metadata() -> None:
    image = shop.product("a", ORIGINAL).photos.get()
    assert image.stripped
    assert image.sha256 == DIGEST == files.digest(image.file.name or "")
    assert SECRET not in shop.content(image)
    assert (image.width, image.height) == (900, 1200)
    with Image.open(io.BytesIO(shop.content(image))) as opened:
        assert opened.getexif()[0x0112] == 6


def test_an_import_strips_photos_and_recognizes_them_again() -> None:
    def bring(sku: str, source: Any) -> Any:
        record = ProductRecord(sku=sku, where="row 1", values={"title": "A hat"}, photos=(source,))
        return Importer(reject=lambda reject: pytest.fail(reject.reason)).run([record])

    assert bring("a", BytesPhoto("a.jpg", ORIGINAL)).photos_added == 1
    image = ProductImage.objects.get()
    assert (image.stripped, image.sha256) == (True, DIGEST)
    assert SECRET not in shop.content(image)
    again = bring("a", BytesPhoto("a.jpg", ORIGINAL))
    assert (again.photos_added, again.unchanged) == (0, 1)
    # As an export names it: what is stored has other bytes than what was received.
    named = bring("a", StoredPhoto(image.file.name or ""))
    assert (named.photos_added, named.unchanged) == (0, 1)
    assert bring("b", StoredPhoto(image.file.name or "")).photos_added == 1
    assert set(ProductImage.objects.values_list("sha256", flat=True)) == {DIGEST}


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "AVIF"])
def test_an_original_that_cannot_be_stripped_is_never_served(client: Client, kind: str) -> None:
    data = encoded(picture(size=(1200, 900)), kind)
    image = shop.product("a", data).photos.get()
    assert shop.content(image) == data
    assert image.shown == image.large
    assert client.get(image.file.url).status_code == 404
    page = client.get(image.product.get_absolute_url()).content.decode()
    listed = client.get("/api/v1/products/a/").json()
    assert image.file.url not in page + str(listed)
    assert listed["photos"][0]["url"] == "http://testserver" + image.large.url
    assert run() == [
        "Originals whose metadata was removed: 0.",
        "Originals that stay private, shown as renditions: 1.",
    ]


def test_a_malformed_original_is_never_served(client: Client) -> None:
    drawn = encoded(picture())
    data = drawn[:-2] + SECRET  # what follows a scan without an end may be anything
    image = shop.product("a", data).photos.get()
    assert not image.stripped
    assert client.get(image.file.url).status_code == 404
    response: Any = client.get(image.large.url)
    assert SECRET not in b"".join(response.streaming_content)


def test_an_original_with_metadata_is_private_until_they_are_removed(
    client: Client, announced: list[list[int]], django_capture_on_commit_callbacks: Any
) -> None:
    image, other = old("a"), shop.product("b", photo()).photos.get()
    former = image.file.url
    assert client.get(former).status_code == 404
    assert former not in client.get(image.product.get_absolute_url()).content.decode()
    announced.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert run()[0] == "Originals whose metadata was removed: 1."
    again = ProductImage.objects.get(pk=image.pk)
    assert again.stripped
    assert again.sha256 == DIGEST == files.digest(again.file.name or "")
    assert announced == [[image.pk]]
    # Caches may hold the former name for a year.
    assert again.file.url != former
    assert client.get(former).status_code == 404
    served: Any = client.get(again.file.url)
    assert SECRET not in b"".join(served.streaming_content)
    assert stored() == used()
    assert ProductImage.objects.get(pk=other.pk).file.name == other.file.name


def test_a_second_run_reads_nothing(django_assert_num_queries: Any) -> None:
    old("a")
    run()
    with django_assert_num_queries(2):  # which are to be done, and how many are private
        assert run()[0] == "Originals whose metadata was removed: 0."


def test_an_original_that_has_no_metadata_keeps_its_name(client: Client) -> None:
    image = old("a", photo())
    run()
    again = ProductImage.objects.get()
    assert (again.stripped, again.file.name) == (True, image.file.name)
    response: Any = client.get(again.file.url)
    assert b"".join(response.streaming_content) == photo()


def test_an_interrupted_run_is_continued(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    old("a")
    old("b", dirty(photo(seed=1), None))
    strip, done = ProductImage.strip, []

    def once(image: ProductImage) -> bool:
        if done:
            raise KeyboardInterrupt
        done.append(image.pk)
        return strip(image)

    with monkeypatch.context() as patched, django_capture_on_commit_callbacks(execute=True):
        patched.setattr(ProductImage, "strip", once)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert ProductImage.objects.filter(stripped=True).count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        assert run()[0] == "Originals whose metadata was removed: 1."
    assert stored() == used()


def test_a_missing_original_is_named_and_the_others_are_done() -> None:
    lost, found = old("a"), old("b", dirty(photo(seed=1), None))
    default_storage.delete(lost.file.name or "")
    with pytest.raises(CommandError, match="1 photos could not be changed") as raised:
        run()
    assert raised.value.returncode == 3
    assert list(ProductImage.objects.filter(stripped=True)) == [found]


def test_a_photo_that_is_replaced_during_the_run_is_kept(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    old("a")
    read = ProductImage._original

    def meanwhile(image: ProductImage) -> bytes:
        data = read(image)
        other = ProductImage.objects.get()
        other.set_content(photo("hat"))
        with django_capture_on_commit_callbacks(execute=True):
            other.save()
        return data

    monkeypatch.setattr(ProductImage, "_original", meanwhile)
    assert run()[0] == "Originals whose metadata was removed: 0."
    assert shop.content(ProductImage.objects.get()) == photo("hat")
    assert stored() == used()
