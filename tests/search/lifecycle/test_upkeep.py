"""The upkeep of the index: refits, and what is dropped because it is no longer needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalogue.models import Product
from search import worker
from search.exceptions import BuildInterrupted, IndexMissing, IndexUnavailable
from search.indexes import index_of
from search.lifecycle import building, jobs, upkeep
from search.models import KEPT, Embedding, IndexDelta, IndexJob, IndexVersion
from search.vision import fitting, matches
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.conftest import Makings
from tests.search.grid import configured
from tests.search.lifecycle.test_building import many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


def test_a_refit_keeps_the_model_and_what_staff_ask_for_takes_the_default(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    settings.EMBEDDERS = {"default": configured("new"), "former": configured()}
    monkeypatch.setattr(fitting, "is_due", lambda *_: True)
    refitted = upkeep.maintain()
    assert refitted is not None
    assert (refitted.embedder, refitted.fingerprint) == ("former", "grid")
    upkeep.catch_up()
    assert ledger.ensure_live_version().fingerprint == "grid"
    jobs.ask(IndexJob.Kind.REBUILD)
    taken = IndexJob.objects.take()
    assert taken is not None
    worker.perform(taken)
    assert (ledger.ensure_live_version().embedder, ledger.ensure_live_version().fingerprint) == ("default", "new")


def age(version: IndexVersion, by: timedelta) -> None:
    """As if it had been retired longer ago."""
    IndexVersion.objects.filter(pk=version.pk).update(retired=timezone.now() - by)


def test_a_retired_version_is_dropped_after_a_grace_period() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    old = ledger.ensure_live_version()
    former = building.rebuild()
    building.rebuild()
    age(old, timedelta(days=1))
    assert upkeep.drop_retired() == 0
    assert index_of(old).count() == 1
    age(former, upkeep.GRACE + timedelta(seconds=1))
    assert upkeep.drop_retired() == 1
    assert not IndexDelta.objects.filter(version_id=old.pk).exists()
    with pytest.raises(IndexMissing):
        index_of(old).count()
    assert index_of(former).count() == 1


def test_the_version_that_was_live_before_is_kept_for_days() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    former = ledger.ensure_live_version()
    building.rebuild()
    age(former, KEPT)
    assert upkeep.drop_retired() == 0
    assert IndexVersion.objects.former() is None
    age(former, KEPT + upkeep.GRACE + timedelta(seconds=1))
    assert upkeep.drop_retired() == 1


@pytest.mark.parametrize("state", ["retired", "building"])
def test_a_version_whose_index_is_no_longer_configured_is_forgotten(state: str) -> None:
    shop.product("p", photo(seed=1))
    long_ago = timezone.now() - timedelta(days=1)
    left = IndexVersion.objects.create(
        backend="elsewhere", fingerprint="grid", colours_version=1, width=317, state=state, retired=long_ago
    )
    version = building.rebuild()
    upkeep.drop_retired()
    assert not IndexVersion.objects.filter(pk=left.pk).exists()
    assert index_of(version).count() == 1


def test_the_worker_refits_when_the_catalogue_has_grown_enough() -> None:
    many(matches.MIN_PHOTOS - 1)
    indexing.reconcile()
    assert upkeep.maintain() is None
    shop.product("one more", photo())
    indexing.reconcile()
    version = upkeep.maintain()
    assert version is not None
    assert version.calibration.photos == matches.MIN_PHOTOS
    assert upkeep.maintain() is None


def test_the_index_of_an_empty_shop_that_could_not_be_made_is_made_later(makings: Makings) -> None:
    with pytest.raises(IndexUnavailable):
        ledger.ensure_live_version()
    makings.away = False
    upkeep.maintain()
    assert index_of(ledger.ensure_live_version()).count() == 0


def test_a_refit_that_is_interrupted_keeps_no_worker_from_its_audit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise BuildInterrupted("The build has stopped.")

    shop.product("a", photo())
    indexing.reconcile()
    IndexVersion.objects.update(created=timezone.now() - timedelta(days=2))
    monkeypatch.setattr(fitting, "is_due", lambda *_: True)
    monkeypatch.setattr(building, "rebuild", interrupted)
    assert upkeep.maintain() is None
    assert "The build has stopped." in caplog.messages
    assert IndexJob.objects.get().kind == "audit"


def test_a_refit_waits_until_what_is_pending_is_in() -> None:
    many(matches.MIN_PHOTOS)
    indexing.reconcile()
    Product.objects.filter(sku="p0").update(price=1)
    assert upkeep.maintain() is None


def test_embeddings_that_no_photo_has_any_more_are_deleted() -> None:
    kept, gone = shop.product("a", photo()), shop.product("b", photo("hat"))
    indexing.reconcile()
    gone.delete()
    assert upkeep.delete_orphans() == 1
    assert Embedding.objects.get().digest == kept.photos.get().sha256


def test_a_replaced_catalogue_is_refitted() -> None:
    shop.fill(per_kind=3)
    upkeep.catch_up()
    learnt = IndexVersion.objects.live()
    assert learnt is not None
    assert learnt.photos == 36
    Product.objects.all().delete()
    indexing.sync()
    emptied = upkeep.maintain()
    assert emptied is not None
    assert (emptied.photos, emptied.calibration_json) == (0, "")
    assert upkeep.maintain() is None
