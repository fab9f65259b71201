"""Whether a new version may go live: complete, sound, and not worse than the live one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from catalogue.models import Product, ProductImage
from search.exceptions import BuildRefused
from search.indexes import index_of
from search.indexes.base import Document, Filter, Hit
from search.indexes.embedded import EmbeddedBackend, EmbeddedIndex
from search.lifecycle import activation, building, gate, jobs, upkeep
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.vision import colours
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.builds import unfinished
from tests.search.grid import Grid
from tests.search.lifecycle.test_building import many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two_grids")]

PHOTOS = 120


class Faulty(EmbeddedIndex):
    """An index that loses what it was given, or does not find what is nearest."""

    loses = 0
    misses = 0

    def upsert(self, documents: Sequence[Document]) -> None:
        super().upsert(documents[self.loses :])

    def search(self, vector: npt.NDArray[np.float32], k: int, where: Filter | None = None) -> list[Hit]:
        return super().search(vector, k + self.misses, where)[self.misses :]


class FaultyBackend(EmbeddedBackend):
    def open(self, version: IndexVersion) -> EmbeddedIndex:
        return Faulty(version, self.folder / str(version.pk))


@pytest.fixture
def faulty(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    settings.VECTOR_INDEXES = {
        "default": settings.VECTOR_INDEXES["default"] | {"BACKEND": f"{__name__}.FaultyBackend"}
    }
    monkeypatch.setattr(Faulty, "loses", 0)
    monkeypatch.setattr(Faulty, "misses", 0)
    return Faulty


def live() -> IndexVersion:
    version = IndexVersion.objects.live()
    assert version is not None
    return version


def see(fingerprint: str, apart: float) -> None:
    """What another model sees in the photos of `many`: how far apart it holds their two categories."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(PHOTOS, 192)).astype(np.float32)
    rows[::2, 0] += apart
    rows[1::2, 0] -= apart
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    Embedding.objects.bulk_create(
        [
            Embedding(
                digest=f"{number:064x}",
                fingerprint=fingerprint,
                embedding=Embedding.pack(row),
                colour=Embedding.pack(np.full(125, 125**-0.5, np.float32)),
                colours_version=colours.COLOURS_VERSION,
            )
            for number, row in enumerate(rows)
        ]
    )


@pytest.fixture
def indexed() -> IndexVersion:
    """A live version of a model that tells the two categories apart at once."""
    many(PHOTOS)
    Embedding.objects.all().delete()
    see("grid", apart=30)
    indexing.reconcile()
    return live()


def test_a_sound_build_goes_live_and_keeps_its_figures(indexed: IndexVersion) -> None:
    version = building.rebuild()
    figures = version.quality["gate"]
    assert figures["verdict"] == "accepted"
    assert (figures["indexed"], figures["documents"], figures["live_indexed"]) == (PHOTOS, PHOTOS, PHOTOS)
    assert (figures["recall_at_10"], figures["self_retrieval"]) == (1, 1)
    assert (figures["precision_at_1"], figures["live_precision_at_1"], figures["queries"]) == (1, 1, PHOTOS)


def test_a_model_with_lower_precision_by_category_is_refused(
    indexed: IndexVersion,
) -> None:
    see("other", apart=0)
    with pytest.raises(BuildRefused, match=r"right category for [45]\d\.\d % of the photos, against 100\.0 %"):
        building.rebuild("other")
    assert live() == indexed
    refused = IndexVersion.objects.get(state="ready")
    assert refused.refused
    run = IndexJob.objects.get()
    assert run.state == "failed"
    assert "--force" in run.reason
    assert "--cancel" in run.reason


def test_what_was_refused_is_switched_to_by_force_without_being_built_again(indexed: IndexVersion) -> None:
    see("other", apart=0)
    with pytest.raises(BuildRefused):
        building.rebuild("other")
    refused = IndexVersion.objects.get(state="ready")
    assert building.rebuild("other", force=True) == refused
    assert live() == refused
    assert live().quality["gate"]["verdict"] == "forced"


def test_a_better_model_is_switched_to(indexed: IndexVersion) -> None:
    Embedding.objects.all().delete()
    see("grid", apart=1)
    see("other", apart=30)
    version = building.rebuild("other")
    assert (live(), version.fingerprint) == (version, "other")
    assert version.quality["gate"]["live_precision_at_1"] < 0.9


def test_an_index_that_has_lost_documents_is_not_switched_to(
    indexed: IndexVersion, faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "LOOK", 0)
    faulty.loses = 3
    with pytest.raises(BuildRefused, match="117 documents, but 120 photos count"):
        building.rebuild()
    assert live() == indexed


def test_an_index_that_does_not_find_what_is_nearest_is_not_switched_to(
    indexed: IndexVersion, faulty: type[Faulty]
) -> None:
    faulty.misses = 5
    with pytest.raises(
        BuildRefused,
        match=r"Its index finds 5\d\.\d % of the ten nearest photos, less than 95 %. 0\.0 % of the photos",
    ):
        building.rebuild()
    assert live() == indexed


def test_what_a_sample_of_a_large_catalogue_misses_is_scaled_up(
    indexed: IndexVersion, faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.misses = 5
    whole = gate.measure(indexed, None).recall_at_10
    monkeypatch.setattr(gate, "GALLERY", 60)
    assert gate.measure(indexed, None).recall_at_10 == pytest.approx(whole, abs=0.15)


def test_copies_of_a_photo_may_be_found_before_it(indexed: IndexVersion) -> None:
    ProductImage.objects.update(sha256=f"{0:064x}")
    indexing.reconcile()
    figures = gate.measure(indexed, None)
    assert (figures.recall_at_10, figures.self_retrieval) == (1, 1)


def test_a_version_that_fails_photos_which_the_live_one_finds_is_refused(indexed: IndexVersion) -> None:
    version = unfinished()
    activation.bring_up_to_date(version, lambda *_: None)
    failed = IndexEntry.objects.filter(version=version)[:2]
    for entry in failed:
        index_of(version).delete({entry.photo_id: entry.generation})
        IndexEntry.objects.filter(pk=entry.pk).update(state="failed")
    with pytest.raises(BuildRefused, match="finds 118 photos, 2 fewer than the live version"):
        building.rebuild()


def test_a_lost_live_version_is_still_compared_with_and_replaced(indexed: IndexVersion) -> None:
    index_of(indexed).drop()
    version = building.rebuild()
    assert version.quality["gate"]["live_precision_at_1"] == 1
    assert live() == version


def test_an_empty_live_version_is_nothing_to_be_worse_than() -> None:
    first = ledger.ensure_live_version()
    many(PHOTOS)
    version = building.rebuild()
    assert live() == version != first
    assert version.quality["gate"]["live_precision_at_1"] is None
    assert version.quality["gate"]["precision_at_1"] > 0.5


def test_without_categories_there_is_no_precision_to_compare(indexed: IndexVersion) -> None:
    Product.objects.update(category=None)
    figures = gate.measure(indexed, indexed)
    assert (figures.precision_at_1, figures.queries, figures.refusals()) == (None, 0, [])


def test_a_model_that_has_seen_other_photos_only_is_not_compared_with(indexed: IndexVersion) -> None:
    see("other", apart=0)
    Embedding.objects.filter(fingerprint="grid").delete()
    version = building.rebuild("other")
    assert version.quality["gate"]["precision_at_1"] is None
    assert version.quality["gate"]["recall_at_10"] == 1


def test_one_photo_fewer_of_a_few_is_chance() -> None:
    figures = gate.Figures(60, 60, 0, 60, 1.0, 1.0, 0.95, 0.98, difference_at_most=0.0, queries=60)
    assert figures.refusals() == []
    worse = gate.Figures(60, 60, 0, 60, 1.0, 1.0, 0.80, 0.98, difference_at_most=-0.05, queries=60)
    assert len(worse.refusals()) == 1


def test_photos_that_change_meanwhile_do_not_make_an_index_incomplete() -> None:
    assert gate.Figures(indexed=100, documents=97, pending=3, live_indexed=0).complete
    assert not gate.Figures(indexed=100, documents=97, pending=2, live_indexed=0).complete


def test_an_empty_catalogue_goes_live() -> None:
    first = ledger.ensure_live_version()
    version = building.rebuild()
    assert live() == version != first
    assert version.quality["gate"]["recall_at_10"] is None


# What the worker does by itself ------------------------------------------------------------------------------


@pytest.fixture
def refused(indexed: IndexVersion, faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch) -> IndexVersion:
    """A refit that the worker has begun by itself, and that was refused."""
    faulty.misses = 1
    assert upkeep.maintain() is None
    return IndexVersion.objects.get(state="ready")


def test_a_refused_refit_is_not_built_again_until_the_catalogue_has_grown(
    refused: IndexVersion, faulty: type[Faulty]
) -> None:
    for _round in range(3):
        assert upkeep.maintain() is None
    upkeep.catch_up()
    assert IndexJob.objects.count() == 1
    building.cancel()
    assert upkeep.maintain() is None
    grow()
    faulty.misses = 0
    version = upkeep.maintain()
    assert version is not None
    assert version == live() != refused


def test_what_was_refused_gives_way_to_the_next_refit(refused: IndexVersion, faulty: type[Faulty]) -> None:
    grow()
    faulty.misses = 0
    version = upkeep.maintain()
    assert version is not None
    refused.refresh_from_db()
    assert (version.photos, refused.state) == (2 * PHOTOS, "retired")


def grow() -> None:
    """Twice the photos, with contents that are known."""
    products = Product.objects.bulk_create([Product(sku=f"new-{n}", title="x") for n in range(PHOTOS)])
    ProductImage.objects.bulk_create(
        [
            ProductImage(product=made, file="f", thumbnail="t", large="t", width=1, height=1, sha256=f"{n:064x}")
            for n, made in enumerate(products)
        ]
    )
    indexing.reconcile()


def test_an_import_whose_refit_is_refused_ends_with_its_photos_searchable(
    indexed: IndexVersion, faulty: type[Faulty], caplog: pytest.LogCaptureFixture
) -> None:
    faulty.misses = 1
    shop.product("one more", photo())
    upkeep.catch_up()
    assert index_of(live()).count() == PHOTOS + 1
    assert "was not made live" in caplog.text


def test_the_worker_leaves_a_build_of_another_model_to_staff(indexed: IndexVersion) -> None:
    see("other", apart=0)
    with pytest.raises(BuildRefused):
        building.rebuild("other")
    IndexVersion.objects.filter(pk=indexed.pk).update(quality={}, photos=0)
    assert upkeep.maintain() is None
    assert IndexVersion.objects.get(state="ready").fingerprint == "other"


def test_the_gate_asks_no_model(indexed: IndexVersion) -> None:
    Grid.unavailable = True
    assert building.rebuild() == live()
    assert jobs.last(IndexJob.Kind.REBUILD) is not None
