"""Going back to the version that was live before."""

from __future__ import annotations

from typing import Any

import pytest

from catalogue.models import Product, ProductImage
from jobs.exceptions import JobCancelled
from search import worker
from search.exceptions import BuildInterrupted, RollbackRefused
from search.indexes import index_of
from search.lifecycle import audit, building, jobs, rollback, upkeep
from search.models import KEPT, IndexDelta, IndexEntry, IndexJob, IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.conftest import Files
from tests.search.grid import Grid, configured
from tests.search.lifecycle.test_building import many
from tests.search.lifecycle.test_upkeep import age

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two_grids")]


@pytest.fixture
def former() -> IndexVersion:
    """A version that was live, until one of another model took its place."""
    for name in ("kept", "changed", "deleted", "pictured"):
        shop.product(name, photo(seed=len(name)), price=10)
    indexing.reconcile()
    version = ledger.ensure_live_version()
    building.rebuild("other")
    assert live().fingerprint == "other"
    return version


def live() -> IndexVersion:
    version = IndexVersion.objects.live()
    assert version is not None
    return version


def change() -> None:
    """All that can happen to a catalogue."""
    Product.objects.filter(sku="changed").update(price=99)
    Product.objects.get(sku="deleted").delete()
    image = ProductImage.objects.get(product__sku="pictured")
    image.set_content(photo("hat"))
    image.save()
    shop.product("new", photo("dress"))


def prices(version: IndexVersion) -> dict[int, int]:
    """What the index of a version has of each photo's price, in hundredths."""
    deltas = IndexDelta.objects.filter(version=version, vector__isnull=False)
    return {photo_id: attributes["price"] for photo_id, attributes in deltas.values_list("photo_id", "attributes")}


def test_a_rollback_brings_the_previous_version_up_to_date(former: IndexVersion, grid: type[Grid]) -> None:
    present = live()
    change()
    indexing.sync()
    calls = grid.calls
    assert rollback.roll_back() == former == live()
    assert grid.calls == calls + 2  # for the photos that its model has not seen
    assert audit.run().agree
    changed = ProductImage.objects.get(product__sku="changed").pk
    assert prices(live())[changed] == 9900
    assert {photo_id for photo_id, _generation in index_of(former).ids()} == {
        *ProductImage.objects.values_list("pk", flat=True)
    }
    present.refresh_from_db()
    assert present.state == "retired"
    assert live().retired is None


def test_going_back_twice_goes_forward(former: IndexVersion) -> None:
    present = live()
    rollback.roll_back()
    change()
    assert rollback.roll_back() == present == live()
    assert audit.run().agree


def test_changes_are_noted_for_the_former_version_and_not_indexed_in_it(
    former: IndexVersion, grid: type[Grid]
) -> None:
    before = dict(index_of(former).ids())
    change()
    calls = grid.calls
    indexing.sync()
    assert grid.calls == calls + 2  # of the live version's model alone
    assert IndexEntry.objects.filter(version=former, state="pending").count() == 4
    assert dict(index_of(former).ids()) == before


def test_an_older_version_is_no_longer_noted_for(former: IndexVersion) -> None:
    building.rebuild("default", force=True)
    change()
    assert not IndexEntry.objects.filter(version=former, state="pending").exists()
    assert IndexVersion.objects.former() != former


def test_readers_that_took_the_version_before_the_switch_go_on(former: IndexVersion) -> None:
    taken = live()
    rollback.roll_back()
    change()
    assert index_of(taken).count() == 4
    assert upkeep.drop_retired() == 0


def test_going_back_is_written_down_and_told_step_by_step(former: IndexVersion) -> None:
    told: list[str] = []
    change()
    rollback.roll_back(lambda stage, _done, _total: told.append(stage))
    run = IndexJob.objects.first()
    assert run is not None
    assert (run.kind, run.state, run.version, run.photos) == ("rollback", "done", former, 4)
    assert list(dict.fromkeys(told)) == ["index", "check"]


def test_staff_have_the_worker_go_back(former: IndexVersion) -> None:
    jobs.ask(IndexJob.Kind.ROLLBACK)
    taken = IndexJob.objects.take()
    assert taken is not None
    worker.perform(taken)
    assert live() == former


def test_search_uses_the_live_version_until_the_rollback_is_done(former: IndexVersion) -> None:
    change()
    seen: set[int] = set()
    rollback.roll_back(lambda *_: seen.add(live().pk))
    assert former.pk not in seen


def test_what_was_gone_back_from_is_not_learnt_again_at_once() -> None:
    first = ledger.ensure_live_version()
    many(60)
    building.rebuild()
    assert rollback.roll_back() == first == live()
    assert (first.photos, upkeep.maintain()) == (0, None)
    assert live() == first


# Refusals ---------------------------------------------------------------------------------------------------


def refused(match: str) -> None:
    """Going back is refused before anything is done."""
    before = list(IndexVersion.objects.order_by("pk").values("pk", "state", "retired", "activated"))
    with pytest.raises(RollbackRefused, match=match):
        rollback.roll_back()
    assert list(IndexVersion.objects.order_by("pk").values("pk", "state", "retired", "activated")) == before


def test_where_no_version_was_live_before_there_is_none_to_go_back_to() -> None:
    ledger.ensure_live_version()
    refused("no version to roll back to: the previous version is kept for 7 days")


def test_a_version_that_is_no_longer_kept_cannot_be_gone_back_to(former: IndexVersion) -> None:
    age(former, KEPT)
    refused("no version to roll back to")


def test_a_build_that_was_discarded_is_none_to_go_back_to() -> None:
    ledger.ensure_live_version()
    IndexVersion.objects.create(fingerprint="grid", colours_version=1, width=317)
    building.cancel()
    refused("no version to roll back to")


def test_a_version_whose_model_is_not_configured_cannot_be_gone_back_to(former: IndexVersion, settings: Any) -> None:
    settings.EMBEDDERS = {"default": configured("other")}
    refused(f"Version {former.pk} cannot be rolled back to, because its model grid is unavailable")


def test_a_version_whose_index_is_lost_cannot_be_gone_back_to(former: IndexVersion) -> None:
    index_of(former).drop()
    refused(f"Version {former.pk} cannot be rolled back to, because its index is lost")


def test_a_build_that_is_not_finished_is_in_the_way(former: IndexVersion) -> None:
    IndexVersion.objects.create(fingerprint="grid", colours_version=1, width=317)
    refused("A rebuild is not finished")


def test_a_rollback_that_is_cancelled_leaves_the_version_retired(
    former: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.running.NOTE", 0.0)

    def cancel(stage: str, *_photos: int) -> None:
        if stage == "index":
            building.cancel()

    shop.product("new", photo("dress"))
    with pytest.raises(JobCancelled):
        rollback.roll_back(cancel)
    former.refresh_from_db()
    assert former.state == "retired"
    assert rollback.roll_back() == former


@pytest.mark.usefixtures("short_pauses")
def test_a_file_that_is_refused_is_no_obstacle(former: IndexVersion, files: Files) -> None:
    change()
    refused = ProductImage.objects.get(product__sku="new")
    files.refuse(refused)
    assert rollback.roll_back(force=True) == former == live()
    assert IndexEntry.objects.get(version=former, photo_id=refused.pk).state == "failed"


# Crashes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(former: IndexVersion, grid: type[Grid]) -> IndexVersion:
    """The former version half-way back, as its model was away."""
    change()
    grid.unavailable = True
    with pytest.raises(BuildInterrupted):
        rollback.roll_back()
    grid.unavailable = False
    former.refresh_from_db()
    assert former.returning
    return former


def test_going_back_that_was_interrupted_is_gone_on_with(interrupted: IndexVersion) -> None:
    ledger.retry_now()
    assert rollback.roll_back() == interrupted == live()
    assert audit.run().agree


def test_an_interrupted_rollback_does_not_go_live_by_itself(interrupted: IndexVersion) -> None:
    present = live()
    ledger.retry_now()
    indexing.sync()
    upkeep.maintain()
    assert live() == present
    assert not IndexEntry.objects.filter(version=interrupted, state="pending").exists()


def test_a_rebuild_cancels_an_interrupted_rollback(interrupted: IndexVersion) -> None:
    retired = interrupted.retired
    version = building.rebuild()
    interrupted.refresh_from_db()
    assert version == live() != interrupted
    assert (interrupted.state, interrupted.retired) == ("retired", retired)


def test_an_interrupted_rollback_can_be_cancelled(interrupted: IndexVersion) -> None:
    building.cancel()
    interrupted.refresh_from_db()
    assert interrupted.state == "retired"
    assert IndexVersion.objects.former() == interrupted
    change_again = shop.product("later", photo("hat", seed=9))
    ledger.retry_now()
    assert rollback.roll_back() == live() == interrupted
    assert change_again.photos.get().pk in dict(index_of(interrupted).ids())
