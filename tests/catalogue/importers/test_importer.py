"""The importer: what it writes, what it leaves alone, and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import OperationalError
from django.utils import translation

from catalogue.importers.importer import Importer, Summary
from catalogue.importers.records import BytesPhoto, Difference, ProductRecord, Reject, UnreadablePhoto
from catalogue.models import Brand, Category, Product, ProductImage
from catalogue.signals import photos_changed
from tests.catalogue.observing import stored, used
from tests.drawing import encoded, picture

pytestmark = pytest.mark.django_db(transaction=True)

PICTURES = [encoded(picture(seed=seed, size=(48, 64))) for seed in range(6)]


def photo(number: int) -> BytesPhoto:
    return BytesPhoto(f"{number}.jpg", PICTURES[number])


BROKEN = BytesPhoto("broken.jpg", PICTURES[0][:200])


def record(sku: str = "A", *photos: BytesPhoto | None, **options: Any) -> ProductRecord:
    """A record with these photos; none of them: it does not speak of photos."""
    values = options.pop("values", {"title": f"Product {sku}"})
    given = None if photos == () else tuple(p for p in photos if p)
    return ProductRecord(sku=sku, where=f"line {sku}", values=values, photos=given, **options)  # type: ignore[arg-type]


@dataclass
class Outcome:
    summary: Summary
    rejects: list[Reject]
    changed: list[int]

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.summary.created, self.summary.updated, self.summary.unchanged


@contextmanager
def listening(receiver: Callable[..., None]) -> Iterator[None]:
    photos_changed.connect(receiver, weak=False)
    try:
        yield
    finally:
        photos_changed.disconnect(receiver)


def run(*records: ProductRecord | Reject, **options: Any) -> Outcome:
    rejects: list[Reject] = []
    changed: list[int] = []
    importer = Importer(reject=rejects.append, **options)
    with listening(lambda ids, **_: changed.extend(ids)):
        summary = importer.run(records)
    return Outcome(summary, rejects, changed)


def photos(sku: str = "A") -> list[int]:
    """Which of the pictures a product has, in their order."""
    held = []
    for image in ProductImage.objects.filter(product__sku=sku):
        with default_storage.open(image.file.name) as file:
            held.append(PICTURES.index(file.read()))
    return held


def test_a_new_product_comes_with_its_photos_category_and_brand() -> None:
    values = {
        "title": "Coat",
        "category": ("Clothes", "Coats"),
        "brand": "Nordvale",
        "price": Decimal("12.50"),
        "attributes": {"a": 1},
    }
    outcome = run(record("A", photo(0), photo(1), values=values, alts=("front",)))
    product = Product.objects.get()
    assert outcome.counts == (1, 0, 0)
    assert product.category and product.category.parent and product.brand  # noqa: PT018
    assert (product.category.parent.name, product.category.name, product.brand.name) == (
        "Clothes",
        "Coats",
        "Nordvale",
    )
    assert (product.price, product.attributes) == (Decimal("12.50"), {"a": 1})
    assert photos() == [0, 1]
    assert list(product.photos.values_list("position", "alt")) == [(0, "front"), (1, "")]
    assert set(product.photos.values_list("width", "height")) == {(48, 64)}
    assert stored() == used()
    assert outcome.changed == list(product.photos.values_list("pk", flat=True))
    product.full_clean()


def test_a_second_run_writes_and_announces_nothing(django_assert_num_queries: Any) -> None:
    records = [
        record(str(n), photo(n), values={"title": "x", "category": ("C",), "price": Decimal(n)}) for n in range(5)
    ]
    run(*records)
    before = list(Product.objects.values()), list(ProductImage.objects.values()), stored()
    # The digests, then BEGIN, products, photos, categories, COMMIT.
    with django_assert_num_queries(6) as captured:
        again = run(*records)
    assert not [q["sql"] for q in captured.captured_queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert again.counts == (0, 0, 5)
    assert again.changed == []
    assert (list(Product.objects.values()), list(ProductImage.objects.values()), stored()) == before


def test_known_content_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run(record("A", photo(0)))
    monkeypatch.setattr("catalogue.images.reading", lambda *_, **__: pytest.fail("decoded again"))
    assert run(record("A", photo(0))).counts == (0, 0, 1)


def test_a_record_sets_its_fields_and_no_others() -> None:
    run(record("A", photo(0), values={"title": "Coat", "brand": "B", "price": Decimal(5), "description": "old"}))
    modified = Product.objects.get().modified
    outcome = run(record("A", values={"price": None, "description": "new"}))
    product = Product.objects.get()
    assert outcome.counts == (0, 1, 0)
    assert (product.title, product.price, product.description) == ("Coat", None, "new")
    assert product.brand is not None
    assert product.modified > modified
    assert photos() == [0]
    assert outcome.changed == list(product.photos.values_list("pk", flat=True))


def test_a_products_photos_become_the_listed_ones() -> None:
    run(record("A", photo(0), photo(1), photo(2), alts=("zero", "one", "two")))
    kept = set(ProductImage.objects.values_list("pk", flat=True))
    outcome = run(record("A", photo(2), photo(3), photo(1)))
    assert photos() == [2, 3, 1]
    assert list(ProductImage.objects.values_list("alt", flat=True)) == ["two", "", "one"]
    assert (outcome.summary.photos_added, outcome.summary.photos_removed) == (1, 1)
    assert len(kept & set(ProductImage.objects.values_list("pk", flat=True))) == 2
    assert stored() == used()


def test_an_empty_listing_removes_the_photos_with_their_files() -> None:
    run(record("A", photo(0)))
    assert run(record("A", None)).summary.photos_removed == 1
    assert stored() == set()


def test_a_picture_listed_twice_is_one_photo() -> None:
    run(record("A", photo(0), photo(1), photo(0)))
    assert photos() == [0, 1]
    assert stored() == used()


def test_a_bad_photo_is_rejected_and_the_product_is_imported() -> None:
    outcome = run(record("A", photo(0), BROKEN, photo(1)))
    assert outcome.counts == (1, 0, 0)
    assert photos() == [0, 1]
    (reject,) = outcome.rejects
    assert (reject.where, reject.sku, reject.photo) == ("line A", "A", "broken.jpg")
    assert "damaged" in reject.reason


def test_a_new_product_without_any_good_photo_is_left_out() -> None:
    outcome = run(record("A", BROKEN), record("B", photo(0)))
    assert outcome.counts == (1, 0, 0)
    assert outcome.summary.rejected == 1
    assert not Product.objects.filter(sku="A").exists()


@dataclass(frozen=True)
class Away:
    """A photo on a disk that is not there."""

    name: str = "away.jpg"

    def read(self) -> bytes:
        raise UnreadablePhoto("There is no such file. Check the photo's path.")


def test_photos_are_not_removed_while_a_listed_one_cannot_be_read() -> None:
    run(record("A", photo(0), photo(1)))
    outcome = run(replace(record("A", values={"price": Decimal(3)}), photos=(Away(), photo(1))))
    assert outcome.counts == (0, 1, 0)
    assert sorted(photos()) == [0, 1]
    assert Product.objects.get().price == Decimal(3)


def test_without_overwriting_an_existing_product_only_gains_photos() -> None:
    run(record("A", photo(0), photo(1)))
    Product.objects.update(title="As staff call it")
    outcome = run(record("A", photo(2), values={"title": "img 1", "category": ("C",)}, overwrite=False))
    product = Product.objects.get()
    assert outcome.counts == (0, 1, 0)
    assert (product.title, product.category) == ("As staff call it", None)
    assert photos() == [0, 1, 2]


def test_named_attributes_are_added_and_empty_ones_removed() -> None:
    run(record("A", values={"title": "x", "attributes": {"fit": "slim", "old": "1"}}))
    run(record("A", named_attributes={"neck": "crew", "old": ""}))
    assert Product.objects.get().attributes == {"fit": "slim", "neck": "crew"}


def test_a_new_product_without_a_title_is_rejected() -> None:
    outcome = run(record("A", values={"price": Decimal(1)}), record("B"))
    assert [reject.reason for reject in outcome.rejects] == ["The title is missing; a new product needs one."]
    assert outcome.counts == (1, 0, 0)


def test_dates_that_contradict_those_in_the_database_are_rejected() -> None:
    run(record("A", values={"title": "x", "visible_until": datetime(2026, 1, 1, tzinfo=UTC)}))
    outcome = run(record("A", values={"title": "y", "visible_from": datetime(2026, 2, 1, tzinfo=UTC)}))
    assert "must be later" in outcome.rejects[0].reason
    assert Product.objects.get().title == "x"


def test_a_repeated_sku_is_rejected() -> None:
    outcome = run(record("A"), replace(record("A", values={"title": "other"}), where="line 9"), batch=1)
    assert [(r.where, r.reason) for r in outcome.rejects] == [
        ("line 9", "This SKU is already in line A. Remove one of them.")
    ]
    assert Product.objects.get().title == "Product A"


def test_a_record_that_the_database_refuses_fails_alone() -> None:
    bad = record("B", photo(1), values={"title": "x", "price": Decimal(-1)})
    outcome = run(record("A", photo(0)), bad, record("C", photo(2)))
    assert set(Product.objects.values_list("sku", flat=True)) == {"A", "C"}
    assert "price" in outcome.rejects[0].reason
    assert stored() == used()


def test_categories_and_brands_get_addresses_of_their_own() -> None:
    paths = [("Men", "Shirts"), ("Women", "Shirts"), ("Shirts",), ("shirts!",), ("服装",), ("!",)]
    run(
        *[
            record(str(n), values={"title": "x", "category": path, "brand": "-".join(path)})
            for n, path in enumerate(paths)
        ]
    )
    slugs = {category.slug for category in Category.objects.all()}
    assert slugs == {"men", "shirts", "women", "women-shirts", "shirts-2", "shirts-3", "服装", "unnamed"}
    assert Brand.objects.count() == len(paths)
    assert run(record("0", values={"category": paths[0]})).counts == (0, 0, 1)


@pytest.mark.parametrize("count", [4, 48])
def test_the_queries_of_a_batch_do_not_grow_with_its_size(count: int, django_assert_max_num_queries: Any) -> None:
    def records(price: int) -> list[ProductRecord]:
        values = {"title": "x", "category": ("C",), "brand": "B", "price": Decimal(price)}
        return [record(str(n), photo(n % 6), photo((n + price) % 6), values=values) for n in range(count)]

    with django_assert_max_num_queries(30):
        assert run(*records(1)).summary.created == count
    with django_assert_max_num_queries(30):
        assert run(*records(2)).summary.updated == count


def test_a_dry_run_finds_the_same_and_writes_nothing() -> None:
    run(record("A", photo(0)))
    records = [
        record("A", photo(1)),
        record("B", photo(2), values={"title": "x", "category": ("C",)}),
        record("C", photo(3), values={"title": "x", "category": ("C",)}),
        record("D", BROKEN),
    ]
    before = stored()
    dry = run(*records, dry_run=True, batch=1).summary
    assert (Product.objects.count(), Category.objects.count(), photos(), stored()) == (1, 0, [0], before)
    real = run(*records, batch=1).summary
    figures = ("created", "updated", "unchanged", "photos_added", "photos_removed", "rejected")
    assert [getattr(dry, name) for name in figures] == [getattr(real, name) for name in figures] == [2, 1, 0, 3, 1, 1]


@pytest.mark.parametrize("dry_run", [True, False])
def test_differences_are_reported_for_each_product(dry_run: bool) -> None:
    run(
        record("A", photo(0), photo(1), values={"title": "Old", "category": ("Tops",), "brand": "Acme"}),
        record("B", values={"title": "Same"}),
    )
    told: dict[str, Difference] = {}
    run(
        record("A", photo(1), photo(2), values={"title": "New", "category": ("Tops", "Knits"), "brand": ""}),
        record("B", values={"title": "Same"}),
        record("C", photo(3)),
        record("D", values={"title": ""}),
        dry_run=dry_run,
        on_difference=lambda difference: told.setdefault(difference.record.sku, difference),
    )
    assert list(told) == ["A", "B", "C"]
    changed, same, new = told.values()
    assert changed.fields == {
        "title": ("Old", "New"),
        "category": (("Tops",), ("Tops", "Knits")),
        "brand": ("Acme", ""),
    }
    assert (changed.photos_added, changed.photos_moved, changed.photos_removed) == (1, 1, 1)
    assert (changed.created, changed.unchanged) == (False, False)
    assert (same.unchanged, new.created, new.photos_added) == (True, True, 1)


def test_refusals_are_in_the_importing_users_language() -> None:
    with translation.override("ja"):
        languages: list[str | None] = []
        run(record("A", Listening(languages)))
    assert languages == ["ja"]


class Listening:
    """A photo that notes in which language it is read."""

    name = "listening.jpg"

    def __init__(self, languages: list[str | None]) -> None:
        self.languages = languages

    def read(self) -> bytes:
        self.languages.append(translation.get_language())
        return PICTURES[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_batch_is_rolled_back_and_a_second_run_continues(error: type[BaseException]) -> None:
    records = [record(str(n), photo(n)) for n in range(6)]

    def fail_on_the_second_batch(ids: list[int], **_: Any) -> None:
        if Product.objects.count() > 2:
            raise error

    importer = Importer(reject=lambda _: None, batch=2)
    with listening(fail_on_the_second_batch), pytest.raises(error):
        importer.run(records)
    assert importer.summary.products == Product.objects.count() == 2
    assert stored() == used()
    assert run(*records).counts == (4, 0, 2)
    assert stored() == used()


def test_only_a_large_photo_gets_a_large_rendition() -> None:
    large = BytesPhoto("large.jpg", encoded(picture(size=(1200, 1600))))
    run(record("A", photo(0), large))
    small_one, large_one = ProductImage.objects.order_by("position")
    assert small_one.large.name == small_one.thumbnail.name
    assert len({large_one.file.name, large_one.thumbnail.name, large_one.large.name}) == 3
    assert (large_one.width, large_one.thumbnail_width, large_one.large_width) == (1200, 480, 960)
    assert len(stored()) == 5
    assert stored() == used()


def test_an_interrupt_while_photos_are_read_leaves_no_files() -> None:
    def interrupted() -> Iterable[ProductRecord]:
        yield record("A", photo(0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Importer(reject=lambda _: None).run(interrupted())
    assert (Product.objects.count(), stored()) == (0, set())


def test_a_failing_storage_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    save = FileSystemStorage.save

    def full(self: FileSystemStorage, name: str, *args: Any, **options: Any) -> str:
        if name.startswith("thumbnails"):
            raise OSError(28, "No space left on device")
        return save(self, name, *args, **options)

    monkeypatch.setattr(FileSystemStorage, "save", full)
    with pytest.raises(OSError, match="No space left"):
        run(record("A", photo(0)))
    assert (Product.objects.count(), stored()) == (0, set())


def test_a_batch_is_tried_again_after_a_conflict() -> None:
    calls: list[list[int]] = []

    def busy_once(ids: list[int], **_: Any) -> None:
        calls.append(ids)
        if len(calls) == 1:
            raise OperationalError("database is locked")

    with listening(busy_once):
        outcome = run(record("A", photo(0), values={"title": "x", "category": ("C",)}))
    assert outcome.counts == (1, 0, 0)
    assert len(calls) == 2
    assert (Category.objects.count(), stored()) == (1, used())


def test_a_product_that_was_just_created_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = record("A", photo(0), photo(1), values={"title": "x", "category": ("C",)})
    write = Importer._write

    def after_another(self: Importer, drafts: Any) -> Any:
        monkeypatch.undo()
        run(record("A", photo(0), values={"title": "y", "category": ("C",)}))
        return write(self, drafts)

    monkeypatch.setattr(Importer, "_write", after_another)
    outcome = run(wanted)
    assert outcome.counts == (0, 1, 0)
    assert photos() == [0, 1]
    assert stored() == used()


def test_a_photo_that_was_just_removed_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    run(record("A", photo(0)))
    write = Importer._write

    def after_removal(self: Importer, drafts: Any) -> Any:
        ProductImage.objects.all().delete()
        return write(self, drafts)

    monkeypatch.setattr(Importer, "_write", after_removal)
    assert "Import the same again" in run(record("A", photo(0))).rejects[0].reason


def test_on_batch_gets_the_photos_that_were_added() -> None:
    told: list[list[int]] = []
    run(record("A", photo(0)), record("B", photo(1)), record("C", photo(2)), batch=2, on_batch=told.append)
    assert [len(ids) for ids in told] == [2, 1]
    assert {pk for ids in told for pk in ids} == set(ProductImage.objects.values_list("pk", flat=True))
