"""The command make_renditions."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError

from catalogue import files
from catalogue.models import ProductImage
from tests import shop
from tests.catalogue.observing import stored, used
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

LARGE = encoded(picture(size=(1200, 1600)))


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("make_renditions", *options, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def old(sku: str) -> ProductImage:
    """A large photo as the migration leaves it."""
    image = shop.product(sku, LARGE).photos.get()
    default_storage.delete(image.large.name or "")
    image.large = image.thumbnail.name
    image.save()
    return image


def test_a_photo_that_lacks_its_large_rendition_gets_it(django_capture_on_commit_callbacks: Any) -> None:
    image, small = old("a"), shop.product("b", photo()).photos.get()
    before = ProductImage.objects.filter(pk=small.pk).values().get()
    with django_capture_on_commit_callbacks(execute=True):
        assert run() == "Renditions of 1 photos made.\n"
    again = ProductImage.objects.get(pk=image.pk)
    assert again.srcset == f"{again.thumbnail.url} 480w, {again.large.url} 960w"
    assert (again.file.name, again.sha256) == (image.file.name, image.sha256)
    assert ProductImage.objects.filter(pk=small.pk).values().get() == before
    assert stored() == used()
    assert run() == "Renditions of 0 photos made.\n"


def test_all_renditions_can_be_made_again(django_capture_on_commit_callbacks: Any) -> None:
    shop.product("a", LARGE, photo())
    before = set(ProductImage.objects.values_list("thumbnail", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        assert run("--all") == "Renditions of 2 photos made.\n"
    assert before.isdisjoint(ProductImage.objects.values_list("thumbnail", flat=True))
    assert stored() == used()
    assert len(used()) == 5


def test_a_missing_original_is_reported_and_other_renditions_are_made() -> None:
    lost, found = old("a"), ProductImage(product=shop.product("b"))
    found.set_content(encoded(picture("hat", size=(1200, 1600))))
    found.save()
    found.large = found.thumbnail.name
    found.save()
    default_storage.delete(lost.file.name or "")
    with pytest.raises(CommandError, match="1 photos could not be changed") as raised:
        run()
    assert raised.value.returncode == 3
    lost.refresh_from_db()
    found.refresh_from_db()
    assert lost.large.name == lost.thumbnail.name
    assert found.large.name != found.thumbnail.name


def meanwhile(monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any]) -> None:
    """Call something between reading the photos and storing the first one's renditions."""
    prepare, done = files.prepare, []

    def prepared(*args: Any, **options: Any) -> files.Prepared:
        made = prepare(*args, **options)
        if not done:
            done.append(True)
            does()
        return made

    monkeypatch.setattr(files, "prepare", prepared)


def test_changes_by_staff_during_the_run_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    image = old("a")
    meanwhile(monkeypatch, lambda: ProductImage.objects.update(alt="From the front", position=3))
    assert run() == "Renditions of 1 photos made.\n"
    again = ProductImage.objects.get(pk=image.pk)
    assert (again.alt, again.position) == ("From the front", 3)
    assert again.large.name != again.thumbnail.name


def test_a_photo_that_is_deleted_during_the_run_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    first, second = old("a"), old("b")

    def delete() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            ProductImage.objects.filter(pk__in=[first.pk, second.pk]).delete()

    meanwhile(monkeypatch, delete)
    assert run() == "Renditions of 0 photos made.\n"
    assert not ProductImage.objects.exists()
    assert stored() == set()


def test_a_photo_that_is_replaced_during_the_run_is_kept(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    image = old("a")

    def replace() -> None:
        other = ProductImage.objects.get(pk=image.pk)
        other.set_content(photo("hat"))
        with django_capture_on_commit_callbacks(execute=True):
            other.save()

    meanwhile(monkeypatch, replace)
    assert run() == "Renditions of 0 photos made.\n"
    assert shop.content(ProductImage.objects.get()) == photo("hat")
    assert stored() == used()
