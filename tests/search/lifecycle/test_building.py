"""New versions of the index, built beside the live one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction

from catalogue.models import Category, Product, ProductImage
from jobs.exceptions import JobCancelled
from search.exceptions import BuildInterrupted, EmbedderUnavailable, IndexUnavailable, PicturesRejected
from search.indexes import index_of
from search.indexes.embedded import EmbeddedIndex
from search.lifecycle import building, upkeep
from search.models import Embedding, IndexEntry, IndexVersion
from search.vision import colours, fitting, matches, projection
from search.vision.embedders import embedders
from search.writing import embedding, indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.conftest import Files, Makings
from tests.search.grid import Grid, configured

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


def many(count: int) -> None:
    """Photos in two categories with embeddings that lean to one side or the other: rows alone, no pictures."""
    rng = np.random.default_rng(1)
    groups = [Category.objects.create(name=name, slug=name) for name in ("left", "right")]
    products = Product.objects.bulk_create(
        [Product(sku=f"p{n}", title="x", category=groups[n % 2]) for n in range(count)]
    )
    ProductImage.objects.bulk_create(
        [
            ProductImage(product=made, file="f", thumbnail="t", large="t", width=1, height=1, sha256=f"{n:064x}")
            for n, made in enumerate(products)
        ]
    )
    rows = rng.normal(size=(count, 192)).astype(np.float32) + 2
    rows[::2, :20] += 1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    colour = np.full(125, 125**-0.5, np.float32)
    Embedding.objects.bulk_create(
        [
            Embedding(
                digest=f"{n:064x}",
                fingerprint=embedders["default"].fingerprint,
                embedding=Embedding.pack(row),
                colour=Embedding.pack(colour),
                colours_version=colours.COLOURS_VERSION,
            )
            for n, row in enumerate(rows)
        ]
    )


def count() -> int:
    return index_of(ledger.ensure_live_version()).count()


def test_the_index_can_be_lost_and_built_again_without_the_model(grid: type[Grid]) -> None:
    for seed in range(3):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    index_of(ledger.ensure_live_version()).drop()
    calls = grid.calls
    version = building.rebuild()
    assert grid.calls == calls
    assert index_of(version).count() == 3
    assert ledger.ensure_live_version().pk == version.pk


def test_a_build_learns_a_projection_and_words_for_scores_from_the_catalogue(grid: type[Grid]) -> None:
    many(400)
    version = building.rebuild()
    assert version.projection is not None
    assert version.width == version.projection.width + colours.WIDTH
    assert version.calibration.photos == 400
    assert grid.calls == 0
    assert count() == 400


def test_what_a_build_learns_from_is_what_is_stored_photo_by_photo() -> None:
    many(60)
    ProductImage.objects.filter(sha256=f"{7:064x}").update(sha256=f"{9:064x}")  # two photos of one content
    Embedding.objects.filter(digest=f"{3:064x}").delete()
    training = building.load(building.draft("default"))
    photos = ProductImage.objects.exclude(sha256=f"{3:064x}").order_by("pk")
    stored = dict(Embedding.objects.values_list("digest", "embedding"))
    wanted = np.stack([np.frombuffer(stored[image.sha256], "<f2") for image in photos])
    assert training.embeddings.shape == (59, 192)
    assert np.array_equal(training.embeddings[:], wanted)
    assert np.array_equal(training.embeddings[np.array([50, 2, 2])], wanted[[50, 2, 2]])
    assert training.products.tolist() == [image.product_id for image in photos]
    assert training.categories == [image.product.category_id for image in photos]
    whole = fitting.fit(wanted, training.categories, {}, training.products)
    assert fitting.fit(training.embeddings, training.categories, {}, training.products).report == whole.report
    assert matches.calibrate(training.embeddings, training.products) == matches.calibrate(wanted, training.products)


def test_no_more_embeddings_are_in_memory_than_are_asked_for_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    ask = building.StoredRows.__getitem__

    def asked(rows: building.StoredRows, chosen: Any) -> np.ndarray:
        found = ask(rows, chosen)
        read.append(len(found))
        return found

    many(500)
    monkeypatch.setattr(building.StoredRows, "__getitem__", asked)
    monkeypatch.setattr(matches, "BLOCK", 100)
    monkeypatch.setattr(fitting, "MAX_FITTED", 420)
    monkeypatch.setattr(projection.batches, "__defaults__", (100,))
    calibrate = matches.calibrate
    monkeypatch.setattr(matches, "calibrate", lambda *given: calibrate(*given, sample=50))
    stages: list[str] = []
    version = building.rebuild(progress=lambda stage, *_: stages.append(stage))
    assert stages.count("fit") > len(read)  # it shows life meanwhile
    assert (version.photos, version.quality["fitted"], version.calibration.photos) == (500, 420, 500)
    assert max(read) == 100
    assert sum(read) == 420 + 50 + 500


def test_search_answers_throughout_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    live = ledger.ensure_live_version()
    counts: list[tuple[int, int]] = []
    building.rebuild(progress=lambda *_: counts.append((ledger.ensure_live_version().pk, count())))
    assert counts
    assert set(counts) == {(live.pk, 1)}


def test_photos_that_come_during_a_build_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    arrived = []

    def arrive(stage: str, done: int, total: int) -> None:
        if stage == "index" and not arrived:
            arrived.append(shop.product("b", photo("hat")))

    version = building.rebuild(progress=arrive)
    assert index_of(version).count() == 2
    assert indexing.sync().total == 0


def test_changes_during_a_build_reach_both_versions() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    IndexVersion.objects.create(fingerprint="grid", colours_version=1, width=317)
    Product.objects.update(price=4)
    assert IndexEntry.objects.filter(state="pending").count() == 2


def test_an_interrupted_build_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())
    indexing.reconcile()

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "index":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        building.rebuild(progress=interrupt)
    unfinished = IndexVersion.objects.get(state="building")
    assert count() == 1
    version = building.rebuild()
    assert version.pk == unfinished.pk
    assert version.state == "live"


def test_a_build_continues_with_photos_that_a_claim_did_not_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_model: Grid, squares: np.ndarray) -> np.ndarray:
        raise PicturesRejected(np.ones((len(squares), 192), np.float32), dict.fromkeys(range(len(squares)), "No."))

    ledger.ensure_live_version()
    monkeypatch.setattr(Grid, "_embed", refuse)
    monkeypatch.setattr(Grid, "batch_size", 2)
    monkeypatch.setattr(embedding, "SECONDS", 0.0)
    shop.product("a", *(photo("shirt", f"#4020{64 + number:02x}", seed=number) for number in range(5)))
    version = building.rebuild()
    states = IndexEntry.objects.filter(version=version).values_list("state", flat=True)
    assert list(states) == ["failed"] * 5


def test_a_build_without_the_model_stops_and_the_live_version_stays(grid: type[Grid], settings: Any) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    live = ledger.ensure_live_version()
    settings.EMBEDDERS = {"default": configured("new")}
    grid.unavailable = True
    with pytest.raises(BuildInterrupted, match="asleep"):
        building.rebuild()
    assert ledger.ensure_live_version().pk == live.pk
    grid.unavailable = False
    version = building.rebuild()
    assert version.fingerprint == "new"
    assert count() == 1


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("model", ["grid", "new"])
def test_a_build_goes_live_although_a_file_is_refused(files: Files, settings: Any, model: str) -> None:
    many(200)
    refused = shop.product("a", photo()).photos.get()
    indexing.reconcile()
    settings.EMBEDDERS = {"default": configured(model)}
    Embedding.objects.update(fingerprint=model)
    Embedding.objects.filter(digest=refused.sha256).delete()
    files.refuse(refused)
    version = building.rebuild()
    assert version.state == "live"
    entries = IndexEntry.objects.filter(version=version)
    assert entries.filter(state="indexed").count() == 200
    assert list(entries.exclude(state="indexed").values_list("photo_id", "state")) == [(refused.pk, "failed")]


@pytest.mark.usefixtures("short_pauses")
def test_a_build_goes_on_with_what_was_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(4):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    embed, turns = Grid._embed, []

    def away_at_the_second(model: Grid, squares: np.ndarray) -> np.ndarray:
        turns.append(len(squares))
        if len(turns) == 2:
            raise EmbedderUnavailable("The model is asleep.")
        return embed(model, squares)

    Embedding.objects.all().delete()
    monkeypatch.setattr(Grid, "batch_size", 2)
    monkeypatch.setattr(Grid, "_embed", away_at_the_second)
    version = building.rebuild()
    assert version.photos == 2  # the others came too late for the fit
    assert index_of(version).count() == 4


def test_a_build_stops_while_the_storage_is_away(files: Files, settings: Any) -> None:
    for seed in range(4):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    settings.EMBEDDERS = {"default": configured("new")}
    files.refuse(ProductImage.objects.earliest("pk"))
    files.away = True
    with pytest.raises(BuildInterrupted, match="does not answer"):
        building.rebuild()
    files.away = False
    files.refused.clear()
    assert index_of(building.rebuild()).count() == 4


def test_a_build_whose_index_could_not_be_made_is_gone_on_with(makings: Makings) -> None:
    makings.away = False
    shop.product("a", photo())
    indexing.reconcile()
    makings.away = True
    with pytest.raises(IndexUnavailable):
        building.rebuild()
    begun = IndexVersion.objects.get(state="building")
    makings.away = False
    assert building.rebuild() == begun
    assert count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_index_of_a_build_is_made_while_nobody_waits(makings: Makings) -> None:
    makings.away = False
    building.rebuild()
    assert set(makings.seen) == {False}
    assert len(makings.seen) > 1


@pytest.mark.django_db(transaction=True)
def test_outsiders_are_led_to_a_version_when_it_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    led: list[tuple[int, str, bool]] = []

    def publish(index: EmbeddedIndex) -> None:
        state = IndexVersion.objects.values_list("state", flat=True).get(pk=index.version.pk)
        led.append((index.version.pk, state, connection.in_atomic_block))

    monkeypatch.setattr(EmbeddedIndex, "publish", publish)
    version = building.rebuild()
    assert led == [(version.pk, "live", False)]


def test_outsiders_are_not_led_to_a_version_that_was_discarded_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    led: list[int] = []
    ledger.ensure_live_version()

    def discarded(index: EmbeddedIndex) -> None:
        building.retire(index.version)

    monkeypatch.setattr(EmbeddedIndex, "activate", discarded)
    monkeypatch.setattr(EmbeddedIndex, "publish", lambda index: led.append(index.version.pk))
    with pytest.raises(JobCancelled, match="was discarded"):
        building.rebuild()
    assert led == []


def test_upkeep_publishes_a_live_version_that_could_not_be_published(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    led: list[int] = []

    def away(index: EmbeddedIndex) -> None:
        raise IndexUnavailable("The index is asleep.")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "publish", away)
        version = building.rebuild()
    assert version.state == "live"
    assert "outsiders: The index is asleep." in caplog.text
    monkeypatch.setattr(EmbeddedIndex, "publish", lambda index: led.append(index.version.pk))
    upkeep.maintain()
    assert led == [version.pk]


def test_an_unfinished_build_of_another_model_is_given_up_and_dropped() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    old = IndexVersion.objects.create(fingerprint="gone", colours_version=1, width=317)
    building.rebuild()
    old.refresh_from_db()
    assert (old.state, old.activated) == ("retired", None)
    assert upkeep.drop_retired(timedelta()) == 1
    assert not IndexVersion.objects.filter(pk=old.pk).exists()


def test_there_is_one_live_version_and_one_build() -> None:
    ledger.ensure_live_version()
    with pytest.raises(IntegrityError), transaction.atomic():
        IndexVersion.objects.create(fingerprint="x", colours_version=1, width=1, state="live")
    IndexVersion.objects.create(fingerprint="x", colours_version=1, width=1, state="building")
    with pytest.raises(IntegrityError), transaction.atomic():
        IndexVersion.objects.create(fingerprint="x", colours_version=1, width=1, state="ready")
