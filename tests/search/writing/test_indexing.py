"""The write path and its invariants."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone

from catalogue.models import Product, ProductImage
from search import versions
from search.exceptions import (
    DocumentsRejected,
    IndexMissing,
    IndexUnavailable,
    SpaceMismatch,
)
from search.indexes import index_of
from search.indexes.base import Document
from search.indexes.embedded import EmbeddedIndex
from search.models import Embedding, IndexEntry, IndexVersion
from search.vision.embedders import embedders
from search.writing import embedding, indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.conftest import Files, Makings
from tests.search.grid import Grid, configured

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


def states() -> dict[int, str]:
    return dict(IndexEntry.objects.values_list("photo_id", "state"))


def found() -> set[int]:
    """The photos that a search without filter finds."""
    version = ledger.ensure_live_version()
    vector = np.ones(version.width, np.float32)
    return {hit.photo_id for hit in index_of(version).search(vector, 1_000)}


def test_new_photos_become_searchable() -> None:
    shop.product("a", photo(), photo("hat"))
    assert indexing.reconcile().indexed == 2
    assert found() == set(ProductImage.objects.values_list("pk", flat=True))
    assert set(states().values()) == {"indexed"}


def test_a_change_is_pending_in_the_transaction_that_makes_it() -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Product.objects.filter(sku="a").update(price=5)
        assert set(states().values()) == {"pending"}
        raise ZeroDivisionError
    assert set(states().values()) == {"indexed"}
    made.price = 5
    made.save()
    assert set(states().values()) == {"pending"}


@pytest.mark.parametrize(
    "change",
    [
        lambda p: Product.objects.filter(pk=p.pk).update(stock=0),
        lambda p: Product.objects.bulk_update([p], ["title"]),
        lambda p: p.save(),
        lambda p: p.photos.get().save(),
        lambda p: p.photos.update(alt="From the front"),
        lambda p: Product.objects.bulk_create(
            [Product(sku=p.sku, title="New")], update_conflicts=True, unique_fields=["sku"], update_fields=["title"]
        ),
        lambda p: p.delete(),
        lambda p: Product.objects.all().delete(),
        lambda p: p.photos.all().delete(),
        lambda p: p.photos.get().delete(),
    ],
)
def test_every_way_of_changing_a_product_makes_its_photos_pending(change: Any) -> None:
    made = shop.product("a", photo())
    pk = made.photos.get().pk
    indexing.reconcile()
    before = IndexEntry.objects.get(photo_id=pk).generation
    change(made)
    entry = IndexEntry.objects.get(photo_id=pk)
    assert (entry.state, entry.generation > before) == ("pending", True)


def test_a_deleted_product_leaves_search() -> None:
    made = shop.product("a", photo())
    kept = shop.product("b", photo("hat"))
    indexing.reconcile()
    made.delete()
    assert indexing.sync().gone == 1
    assert found() == {kept.photos.get().pk}


def test_a_late_write_does_not_bring_a_deleted_photo_back() -> None:
    made = shop.product("a", photo())
    pk = made.photos.get().pk
    indexing.reconcile()
    version = ledger.ensure_live_version()
    entry = IndexEntry.objects.get(photo_id=pk)
    photo_of_a = made.photos.select_related("product").get()
    late = indexing.documents(version, [indexing.Result(entry, photo_of_a, Embedding.objects.of(version).get())])
    made.delete()
    indexing.sync()
    index_of(version).upsert(late)
    assert found() == set()


def test_an_unchanged_picture_is_not_embedded_again(grid: type[Grid]) -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    assert grid.calls == 1
    shop.product("b", photo())  # the same content
    made.price = 7
    made.save()
    assert indexing.reconcile().indexed == 2
    assert grid.calls == 1


def test_one_broken_photo_fails_alone_with_its_reason() -> None:
    good, bad = shop.product("a", photo()), shop.product("b", photo("hat"))
    broken = bad.photos.get()
    with broken.file.storage.open(broken.file.name, "wb") as file:
        file.write(b"no picture")
    outcome = indexing.reconcile()
    assert (outcome.indexed, outcome.failed) == (1, 1)
    assert found() == {good.photos.get().pk}
    entry = IndexEntry.objects.get(photo_id=broken.pk)
    assert entry.state == "failed"
    assert "picture" in entry.reason


def test_missing_files_fail_for_one_and_the_same_reason() -> None:
    for number, kind in enumerate(("shirt", "hat")):
        made = shop.product(f"a{number}", photo(kind)).photos.get()
        made.file.storage.delete(made.file.name)
    indexing.reconcile()
    assert set(IndexEntry.objects.values_list("state", "reason")) == {
        ("failed", "The file is missing from storage. Upload the photo again.")
    }


def test_a_picture_that_the_model_refuses_does_not_hold_back_its_batch(grid: type[Grid]) -> None:
    from catalogue import images
    from search.vision.blocks import blocks
    from search.vision.colours import COLOURS_VERSION

    for seed, colour in enumerate(["#000000", "#404040", "#808080", "#c0c0c0"]):
        shop.product(f"p{seed}", photo("trousers", colour, seed=seed))
    some = ProductImage.objects.order_by("pk")[1]
    square = blocks(images.read(shop.content(some), short_side=64).image, 64, COLOURS_VERSION).square
    grid.rejects = int(square[32, 32, 0])
    outcome = indexing.reconcile()
    assert outcome.failed >= 1
    assert outcome.indexed == 4 - outcome.failed
    assert IndexEntry.objects.get(photo_id=some.pk).reason == "The model does not take this picture."


def test_while_the_model_is_away_photos_wait_and_then_go_in(grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    assert indexing.reconcile().postponed == 1
    entry = IndexEntry.objects.get()
    assert (entry.state, entry.attempts, entry.reason) == ("pending", 1, "The model is asleep.")
    assert entry.next_try > timezone.now()
    assert indexing.sync().total == 0  # not before its time
    grid.unavailable = False
    IndexEntry.objects.update(next_try=timezone.now())
    assert indexing.sync().indexed == 1


def test_a_photo_whose_file_is_refused_fails_after_a_few_attempts(files: Files) -> None:
    shop.product("a", photo(), photo("hat"))
    refused = ProductImage.objects.earliest("pk")
    files.refuse(refused)
    ledger.ensure_live_version()
    for _turn in range(indexing.MOST_REFUSALS):
        assert states()[refused.pk] == "pending"
        IndexEntry.objects.update(next_try=timezone.now())
        indexing.reconcile()
    entry = IndexEntry.objects.get(photo_id=refused.pk)
    assert (entry.state, entry.reason) == ("failed", "The bucket does not allow this.")
    assert files.asked[str(refused.file.name)] == indexing.MOST_REFUSALS
    files.refused.clear()
    ledger.retry([refused.pk])
    indexing.sync()
    assert set(states().values()) == {"indexed"}


def test_photos_whose_files_are_refused_do_not_hold_up_the_next_claim(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CLAIM", 2)
    for seed in range(4):
        shop.product(f"p{seed}", photo(seed=seed))
    for refused in ProductImage.objects.order_by("pk")[:2]:
        files.refuse(refused)
    assert indexing.reconcile() == indexing.Outcome(indexed=2, postponed=2, refused=2)


def test_while_the_storage_is_away_photos_wait_however_often_they_are_tried(files: Files) -> None:
    for seed in range(3):
        shop.product(f"p{seed}", photo(seed=seed))
    files.away = True
    for _turn in range(indexing.MOST_REFUSALS + 1):
        IndexEntry.objects.update(next_try=timezone.now())
        assert indexing.reconcile() == indexing.Outcome(postponed=3)
    assert set(states().values()) == {"pending"}


def test_pauses_grow_up_to_the_longest(grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    pauses = []
    for _ in range(15):
        IndexEntry.objects.update(next_try=timezone.now())
        indexing.reconcile()
        pauses.append(IndexEntry.objects.get().next_try - timezone.now())
    assert pauses[0] < pauses[3] < pauses[6]
    assert pauses[-1] <= ledger.LONGEST_PAUSE


def test_while_the_index_is_away_nothing_is_marked_as_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())

    def away(self: EmbeddedIndex, documents: list[Document]) -> None:
        raise IndexUnavailable("The index is asleep.")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "upsert", away)
        assert indexing.reconcile().postponed == 1
    assert set(states().values()) == {"pending"}
    IndexEntry.objects.update(next_try=timezone.now())
    assert indexing.sync().indexed == 1


def test_a_refused_document_fails_alone_and_replaces_the_former_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.product("a", photo(seed=1))
    refused = shop.product("b", photo(seed=2))
    indexing.reconcile()
    [bad] = refused.photos.values_list("pk", flat=True)
    upsert = EmbeddedIndex.upsert

    def particular(self: EmbeddedIndex, documents: list[Document]) -> None:
        upsert(self, [document for document in documents if document.photo_id != bad])
        raise DocumentsRejected({bad: "The index does not take this photo."})

    Product.objects.update(price=9)
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "upsert", particular)
        outcome = indexing.sync()
    assert (outcome.indexed, outcome.failed) == (1, 1)
    assert states()[bad] == "failed"
    assert IndexEntry.objects.get(photo_id=bad).reason == "The index does not take this photo."
    assert found() == set(states()) - {bad}


def test_a_change_during_the_write_stays_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop.product("a", photo())
    upsert = EmbeddedIndex.upsert

    def meanwhile(self: EmbeddedIndex, documents: list[Document]) -> None:
        upsert(self, documents)
        Product.objects.filter(pk=made.pk).update(price=9)

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "upsert", meanwhile)
        indexing.sync_version(ledger.ensure_live_version(), limit=1)
    assert set(states().values()) == {"pending"}
    assert indexing.sync().indexed == 1
    assert set(states().values()) == {"indexed"}


def test_a_photo_deleted_while_it_is_embedded_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop.product("a", photo())
    embed = indexing.embed

    def meanwhile(*args: Any) -> embedding.Embedded:
        result = embed(*args)
        Product.objects.filter(pk=made.pk).delete()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "embed", meanwhile)
        indexing.sync_version(ledger.ensure_live_version(), limit=1)
    indexing.sync()
    assert found() == set()
    assert set(states().values()) == {"gone"}


def test_a_late_write_makes_a_settled_change_pending_again() -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    slow = list(IndexEntry.objects.all())
    made.save()
    indexing.sync()
    assert set(states().values()) == {"indexed"}
    ledger.settle(slow, "indexed")
    assert set(states().values()) == {"pending"}


def test_a_dead_workers_photos_come_back_when_the_lease_ends() -> None:
    shop.product("a", photo())
    version = ledger.ensure_live_version()
    assert len(IndexEntry.objects.claim(10, lease=timedelta(minutes=10))) == 1
    assert indexing.sync_version(version).total == 0
    IndexEntry.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert indexing.sync_version(version).indexed == 1


def test_claims_of_dead_workers_are_retried_last_in_smaller_groups() -> None:
    version = ledger.ensure_live_version()

    def change(photo_ids: range) -> None:
        with transaction.atomic():
            IndexEntry.objects.change(version, list(photo_ids))

    def claims() -> list[int]:
        """Sizes of all claims until nothing is left; then the claimers die."""
        sizes = []
        while claimed := IndexEntry.objects.claim(256, lease=timedelta(minutes=10)):
            sizes.append(len(claimed))
        IndexEntry.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        return sizes

    change(range(1, 41))
    assert claims() == [40]
    change(range(41, 44))
    assert claims() == [3, 32, 8]
    assert claims() == [3] + [4] * 10
    assert claims() == [3] + [1] * 40
    change(range(1, 41))
    assert claims()[0] == 40


def test_a_photo_that_workers_die_of_is_given_up_and_a_new_picture_is_tried() -> None:
    kept, fatal = (shop.product(sku, photo(seed=seed)).photos.get() for seed, sku in enumerate("ab"))
    version = ledger.ensure_live_version()
    IndexEntry.objects.filter(photo_id=fatal.pk).update(
        worker_crashes=indexing.MOST_CRASHES, leased_until=timezone.now() - timedelta(seconds=1)
    )
    outcome = indexing.sync_version(version)
    assert (outcome.indexed, outcome.failed) == (1, 1)
    assert found() == {kept.pk}
    entry = IndexEntry.objects.get(photo_id=fatal.pk)
    assert (entry.state, entry.reason) == (
        "failed",
        "Indexing crashed every time on this photo. Replace the photo.",
    )
    fatal.set_content(photo(seed=7))
    fatal.save()
    assert indexing.sync_version(version).indexed == 1


def test_an_interrupted_run_gives_its_photos_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            indexing.reconcile()
    assert indexing.sync().indexed == 1


def test_with_another_model_new_photos_wait_and_what_needs_no_model_goes_on(settings: Any) -> None:
    gone, kept = shop.product("gone", photo("dress")), shop.product("kept", photo())
    indexing.reconcile()
    settings.EMBEDDERS = {"default": configured("other")}
    new = shop.product("new", photo("hat")).photos.get()
    again = shop.product("again", photo()).photos.get()
    gone.delete()
    Product.objects.filter(pk=kept.pk).update(price=1)
    outcome = indexing.reconcile()
    assert (outcome.gone, outcome.postponed) == (1, 1)
    assert embedders["default"].fingerprint == "other"
    assert found() == {kept.photos.get().pk, again.pk}
    entry = IndexEntry.objects.get(state="pending")
    assert (entry.photo_id, entry.leased_until) == (new.pk, None)
    assert "rebuild_index" in entry.reason


def test_a_claim_ends_in_time_and_what_is_left_is_gone_on_with(
    grid: type[Grid], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grid, "batch_size", 2)
    monkeypatch.setattr(embedding, "SECONDS", 0.0)
    shop.product("a", *(photo("shirt", f"#4020{64 + number:02x}", seed=number) for number in range(5)))
    beats: list[int] = []
    ledger.ensure_live_version()
    outcome = indexing.sync(progress=beats.append)
    assert (outcome.indexed, outcome.postponed) == (5, 0)
    assert beats == [0, 2, 0, 2, 0, 1]
    assert set(IndexEntry.objects.values_list("state", "attempts", "leased_until")) == {("indexed", 0, None)}


def test_while_the_model_is_away_it_is_asked_for_one_batch(grid: type[Grid], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grid, "batch_size", 2)
    shop.product("a", *(photo("shirt", f"#4020{64 + number:02x}", seed=number) for number in range(5)))
    grid.unavailable = True
    assert indexing.reconcile().postponed == 5
    assert grid.calls == 2


def test_the_model_of_a_version_is_found_under_whatever_alias_it_has_by_now(settings: Any) -> None:
    settings.EMBEDDERS = {"default": configured("old")}
    version = ledger.ensure_live_version()
    settings.EMBEDDERS = {
        "default": configured("new"),
        "broken": {"BACKEND": "no.such.Embedder"},
        "former": configured("old"),
    }
    assert versions.embedder_of(version).alias == "former"
    assert "keeps answering" in versions.rebuild_hint(version)
    version.embedder = "an alias that was taken out"
    assert versions.embedder_of(version).alias == "former"
    version.colours_version += 1
    with pytest.raises(SpaceMismatch, match="rebuild_index"):
        versions.embedder_of(version)


def test_the_default_model_of_a_version_is_nothing_to_tell(settings: Any) -> None:
    version = ledger.ensure_live_version()
    assert versions.rebuild_hint(version) == ""
    settings.EMBEDDERS = {"default": configured("new")}
    assert "configure the previous model" in versions.rebuild_hint(version)
    settings.EMBEDDERS = {"default": {"BACKEND": "no.such.Embedder"}}
    assert "cannot be imported" in versions.rebuild_hint(version)


def test_try_again_makes_failed_photos_pending() -> None:
    made = shop.product("a", photo()).photos.get()
    data = shop.content(made)
    made.file.storage.delete(made.file.name)
    indexing.reconcile()
    with made.file.storage.open(made.file.name, "wb") as file:
        file.write(data)
    ledger.retry([made.pk])
    assert indexing.sync().indexed == 1


def test_photos_that_were_there_before_the_index_are_found_by_the_ledger() -> None:
    shop.product("a", photo())
    IndexVersion.objects.all().delete()
    ProductImage.objects.count()
    assert indexing.reconcile().indexed == 1


def test_the_number_of_queries_does_not_grow_with_the_photos(django_assert_max_num_queries: Any) -> None:
    ledger.ensure_live_version()
    for number in range(20):
        shop.product(f"p{number}", photo(seed=number))
    with django_assert_max_num_queries(45):
        assert indexing.sync().indexed == 20


def test_of_two_photos_of_one_content_either_file_will_do() -> None:
    lost, kept = (shop.product(sku, photo()).photos.get() for sku in "ab")
    lost.file.storage.delete(lost.file.name)
    assert indexing.reconcile().indexed == 2
    assert found() == {lost.pk, kept.pk}


def test_whatever_is_wrong_with_a_photo_it_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from catalogue import images

    good, bad = shop.product("a", photo()), shop.product("b", photo("hat"))
    read = images.read

    def defective(data: bytes, **options: Any) -> images.Picture:
        if data == photo("hat"):
            raise KeyError("a bug")
        return read(data, **options)

    monkeypatch.setattr(images, "read", defective)
    outcome = indexing.reconcile()
    assert (outcome.indexed, outcome.failed) == (1, 1)
    assert found() == {good.photos.get().pk}
    assert "a bug" in IndexEntry.objects.get(photo_id=bad.photos.get().pk).reason


def test_an_index_that_could_not_be_made_is_made_by_the_next_write(makings: Makings) -> None:
    shop.product("a", photo())
    with pytest.raises(IndexUnavailable):
        indexing.reconcile()
    assert states()  # what the shop has is written down
    IndexEntry.objects.update(next_try=timezone.now())
    assert indexing.sync().postponed == 1
    makings.away = False
    ledger.retry_now()
    assert indexing.sync().indexed == 1
    assert len(found()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_index_of_the_first_version_is_made_while_nobody_waits(makings: Makings) -> None:
    makings.away = False
    ledger.ensure_live_version()
    assert makings.seen == [False]


def test_a_lost_index_is_reported_and_nothing_is_lost() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    index_of(ledger.ensure_live_version()).drop()
    shop.product("b", photo("hat"))
    with pytest.raises(IndexMissing, match="rebuild_index"):
        indexing.reconcile()
    assert IndexEntry.objects.filter(state="pending", leased_until=None).count() == 1
