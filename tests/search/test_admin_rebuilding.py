"""The page of the index: cancelling, making a refused version live, rolling back, and the audit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalogue.models import Product
from jobs.exceptions import JobCancelled
from jobs.models import LEASE
from search import worker
from search.exceptions import BuildInterrupted, BuildRefused
from search.lifecycle import audit, building, gate, jobs, rollback
from search.models import KEPT, IndexEntry, IndexJob, IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.builds import unfinished
from tests.search.grid import Grid, configured
from tests.search.lifecycle.test_upkeep import age
from tests.search.test_admin_index import DO, INDEX, NUMBERS, REBUILD, at_work, clerk, cost, shown, words

pytestmark = pytest.mark.django_db

ROLLBACK = reverse("admin:search_index_rollback")
DISCARD = reverse("admin:search_index_discard")


@pytest.fixture(autouse=True)
def first(two_grids: None, monkeypatch: pytest.MonkeyPatch) -> IndexVersion:
    monkeypatch.setattr("jobs.running.NOTE", 0.0)
    shop.product("a", photo(), photo("hat"))
    indexing.reconcile()
    at_work()
    return live()


def live() -> IndexVersion:
    version = IndexVersion.objects.live()
    assert version is not None
    return version


def press(client: Client, **button: str) -> str:
    """What the page says after a button was pressed."""
    return words(client.post(DO, button, follow=True).content.decode())


def work() -> None:
    """What the worker does with what was asked for."""
    while run := IndexJob.objects.take():
        worker.perform(run)


# Cancelling -------------------------------------------------------------------------------------------------


def test_a_rebuild_under_way_is_cancelled_by_a_button(admin_client: Client) -> None:
    told: list[str] = []

    def press_cancel(stage: str, done: int, total: int) -> None:
        if stage == "index" and not told:
            assert 'id="index-cancel-running" form="index-do" name="cancel"' in shown(admin_client, NUMBERS)
            told.append(press(admin_client, cancel=str(IndexJob.objects.get(state="running").pk)))

    with pytest.raises(JobCancelled):
        building.rebuild("other", press_cancel)
    assert "The rebuild was cancelled. Embeddings are kept, so the next rebuild is quick." in told[0]
    assert not IndexVersion.objects.filter(state__in=["building", "ready"]).exists()
    assert "No job is running." in words(shown(admin_client, NUMBERS))


def test_cancelling_an_audit_leaves_an_unfinished_build(admin_client: Client) -> None:
    build = unfinished("other")
    job, _new = jobs.ask(IndexJob.Kind.AUDIT)
    assert "The job was cancelled." in press(admin_client, cancel=str(job.pk))
    job.refresh_from_db()
    assert (job.state, IndexVersion.objects.unfinished()) == ("cancelled", build)


def test_an_unfinished_build_is_discarded_by_a_button(admin_client: Client) -> None:
    build = unfinished("other")
    ledger.add_missing(build)
    IndexEntry.objects.filter(version=build).update(state="indexed")
    assert DISCARD in shown(admin_client)
    seen = words(shown(admin_client, DISCARD))
    assert f"Discard version {build.pk}? The version and the 2 photos indexed in it are deleted for good." in seen
    assert f"Search keeps using version {live().pk}. Discard Cancel" in seen
    assert "The rebuild was cancelled." in press(admin_client, discard=str(build.pk))
    assert not IndexVersion.objects.filter(state__in=["building", "ready"]).exists()


def test_without_a_build_there_is_nothing_to_discard(admin_client: Client) -> None:
    page = shown(admin_client, DISCARD)
    assert "There is no version to discard." in words(page)
    assert 'name="discard"' not in page
    assert "There is no rebuild to cancel." in press(admin_client, discard="1")


def test_a_rebuild_says_that_it_continues_an_interrupted_one(admin_client: Client) -> None:
    assert "continues the rebuild" not in words(shown(admin_client, REBUILD))
    unfinished("other")
    assert "This continues the rebuild that was interrupted." in words(shown(admin_client, REBUILD))


@pytest.mark.parametrize(("total", "said"), [(0, False), (1, False), (2, True)])
def test_progress_is_shown_of_a_stage_with_more_than_one_step(admin_client: Client, total: int, said: bool) -> None:
    lease = timezone.now() + LEASE
    IndexJob.objects.create(kind="rebuild", state="running", stage="index", leased_until=lease, total=total)
    assert (f"(0 of {total})" in words(shown(admin_client, NUMBERS))) is said


def test_a_build_that_was_left_is_gone_on_with_its_own_model(admin_client: Client) -> None:
    build = unfinished("other")
    assert f"The rebuild of version {build.pk} is not finished. Continue Discard" in words(shown(admin_client))
    press(admin_client, ask="rebuild")
    work()
    assert live() == build


# A version that was refused ---------------------------------------------------------------------------------


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> IndexVersion:
    monkeypatch.setattr(gate, "RECALL_AT_10", 1.1)
    with pytest.raises(BuildRefused):
        building.rebuild("other")
    return IndexVersion.objects.get(state="ready")


def test_a_refused_version_is_shown_with_its_figures_and_switched_to_anyway(
    admin_client: Client, refused: IndexVersion
) -> None:
    seen = words(shown(admin_client))
    assert f"Version {refused.pk} was built but is not live. Search still uses the live version." in seen
    assert "Its index finds 100.0 % of the ten nearest photos, less than 110 %." in seen
    assert "Make it live anyway Discard" in seen
    press(admin_client, switch=str(refused.pk))
    work()
    assert live() == refused
    assert "Make it live anyway" not in shown(admin_client)


def test_a_refused_version_is_discarded_by_a_button(
    admin_client: Client, refused: IndexVersion, first: IndexVersion
) -> None:
    press(admin_client, discard=str(refused.pk))
    refused.refresh_from_db()
    assert (refused.state, live()) == ("retired", first)
    assert "but is not live" not in words(shown(admin_client, NUMBERS)).replace(IndexJob.objects.last().reason, "")  # type: ignore[union-attr]


def test_what_was_measured_is_shown_of_the_live_version(admin_client: Client) -> None:
    building.rebuild()
    seen = words(shown(admin_client))
    assert "recall of the ten nearest 1.000 found first by their own vector 1.000" in seen


# Another model ----------------------------------------------------------------------------------------------


def test_staff_choose_the_model_of_a_rebuild(admin_client: Client) -> None:
    page = shown(admin_client, REBUILD)
    assert '<option value="default" selected>the configured model (grid)</option>' in page
    assert '<option value="other">other (other)</option>' in page
    assert "The new version goes live only if it is complete and not worse" in words(page)
    admin_client.post(DO, {"ask": "rebuild", "model": "other"})
    work()
    assert live().fingerprint == "other"


def test_a_model_that_is_not_configured_is_not_built_with(admin_client: Client) -> None:
    admin_client.post(DO, {"ask": "rebuild", "model": "nonsense"})
    assert IndexJob.objects.get().options == {"model": "default"}


# Going back -------------------------------------------------------------------------------------------------


def test_staff_go_back_after_they_have_seen_what_it_means(admin_client: Client, first: IndexVersion) -> None:
    assert ROLLBACK not in shown(admin_client)
    building.rebuild("other")
    Product.objects.update(price=5)
    page = shown(admin_client)
    assert ROLLBACK in page
    assert f"Roll back to version {first.pk}…" in words(page)
    seen = words(shown(admin_client, ROLLBACK))
    assert f", version {first.pk} of the model grid was live." in seen
    assert f"Roll back to version {first.pk} Cancel" in seen
    assert "2 photos have changed since then and are indexed first." in seen
    assert "kept for 7 days" in seen
    assert live() != first
    assert "Rollback requested." in press(admin_client, ask="rollback")
    work()
    assert live() == first


def test_the_rollback_page_explains_why_no_rollback_is_possible(
    admin_client: Client, settings: Any, first: IndexVersion
) -> None:
    assert "There is no version to roll back to." in words(shown(admin_client, ROLLBACK))
    building.rebuild("other")
    unfinished("other")
    assert "A rebuild is not finished" in words(shown(admin_client, ROLLBACK))
    settings.EMBEDDERS = {"default": configured("other")}
    page = shown(admin_client, ROLLBACK)
    assert "grid" in words(page)
    assert 'value="rollback"' not in page


def test_a_version_that_is_kept_no_longer_is_not_offered(admin_client: Client, first: IndexVersion) -> None:
    building.rebuild("other")
    age(first, KEPT)
    assert ROLLBACK not in shown(admin_client)


def test_a_version_that_has_indexed_nothing_is_not_offered(admin_client: Client, first: IndexVersion) -> None:
    building.rebuild("other")
    IndexEntry.objects.filter(version=first).update(state="pending")
    IndexVersion.objects.filter(pk=first.pk).update(sequence=0, base_sequence=0)
    assert ROLLBACK not in shown(admin_client)
    assert "There is no version to roll back to." in words(shown(admin_client, ROLLBACK))


def test_what_a_former_version_has_not_indexed_waits_for_nothing(admin_client: Client, first: IndexVersion) -> None:
    building.rebuild("other")
    IndexEntry.objects.filter(version=first).update(state="pending")
    assert f"{first.pk} retired 0 – 0" in words(shown(admin_client))


def test_an_interrupted_rollback_can_be_continued(
    admin_client: Client, first: IndexVersion, grid: type[Grid]
) -> None:
    building.rebuild("other")
    shop.product("new", photo("dress"))
    grid.unavailable = True
    with pytest.raises(BuildInterrupted):
        rollback.roll_back()
    grid.unavailable = False
    seen = words(shown(admin_client))
    assert (
        f"The rollback to version {first.pk} is not finished: the version is not up to date yet. Continue Keep"
        in seen
    )
    press(admin_client, ask="rollback")
    work()
    assert live() == first


# Audit ------------------------------------------------------------------------------------------------------


def test_an_audit_is_asked_for_shown_and_repaired_by_buttons(admin_client: Client) -> None:
    assert "The worker compares catalogue and index once a day." in words(shown(admin_client))
    lost = IndexEntry.objects.order_by("pk")[0].photo_id
    IndexEntry.objects.filter(photo_id=lost).delete()
    assert "Audit requested." in press(admin_client, ask="audit")
    work()
    seen = words(shown(admin_client))
    assert f"missing 1 photos {lost}" in seen
    assert "The index differs from the catalogue. Repair" in seen
    press(admin_client, repair="1")
    work()
    seen = words(shown(admin_client))
    assert "repaired 1" in seen
    assert "Catalogue, ledger and index agree." in seen


def test_an_audit_shows_how_far_it_is(admin_client: Client) -> None:
    seen: list[str] = []
    audit.run(lambda *_: seen.append(words(shown(admin_client, NUMBERS))))
    assert any("Audit : comparing catalogue and index (2 of 2)" in text for text in seen)


# Who may, and what it costs ---------------------------------------------------------------------------------


def test_those_who_only_look_see_figures_and_no_buttons(refused: IndexVersion) -> None:
    viewer = clerk("view_indexversion")
    page = shown(viewer)
    assert "was built but is not live" in words(page)
    assert 'form="index-do"' not in page
    assert viewer.get(ROLLBACK).status_code == viewer.get(DISCARD).status_code == 403
    for button in ("rollback", "audit"):
        assert viewer.post(DO, {"ask": button}).status_code == 403
    for button in ("discard", "switch", "repair"):
        assert viewer.post(DO, {button: "1"}).status_code == 403
    assert IndexJob.objects.count() == 1


def test_going_back_needs_a_post(admin_client: Client, first: IndexVersion) -> None:
    building.rebuild("other")
    shown(admin_client, ROLLBACK)
    assert not IndexJob.objects.filter(state="waiting").exists()
    assert admin_client.post(ROLLBACK).status_code == 405


@pytest.mark.parametrize("address", [INDEX, ROLLBACK])
def test_pages_cost_the_same_queries_whatever_there_is(
    admin_client: Client, address: str, refused: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    building.rebuild("other", force=True)
    few = cost(admin_client, address)
    assert few <= 16
    shop.product("b", photo("dress"))
    for _time in range(2):
        audit.run(repair=True)
    IndexJob.objects.create(kind="rebuild", state="running", started=timezone.now() - timedelta(hours=1))
    assert cost(admin_client, address) == few
