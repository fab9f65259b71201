"""The page of the index: its numbers first, what failed and why, what is under way, and its buttons."""

from __future__ import annotations

import html
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import LEASE
from search.admin import job_words, overview
from search.lifecycle import building, jobs
from search.models import Embedding, IndexedMinute, IndexEntry, IndexJob, IndexVersion, Worker
from search.worker import WorkerTasks
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.grid import configured

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]

INDEX = reverse("admin:search_index")
NUMBERS = reverse("admin:search_index_numbers")
REBUILD = reverse("admin:search_index_rebuild")
DO = reverse("admin:search_index_do")


@pytest.fixture
def live() -> IndexVersion:
    return IndexVersion.objects.create(
        fingerprint="grid", colours_version=1, width=317, state=IndexVersion.State.LIVE, activated=timezone.now()
    )


def clerk(*codenames: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, address: str = INDEX) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def words(page: str) -> str:
    """What a reader sees of a page, on one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def put(state: str, *, count: int = 1, reason: str = "", **fields: Any) -> None:
    """Photos in a state, of which only the ledger knows."""
    version = IndexVersion.objects.live()
    first = 1_000 + IndexEntry.objects.count()
    for number in range(count):
        IndexEntry.objects.create(version=version, photo_id=first + number, state=state, reason=reason, **fields)


def at_work() -> None:
    Worker.objects.create()


# Numbers ----------------------------------------------------------------------------------------------------


def test_the_numbers_come_first(admin_client: Client) -> None:
    shop.product("a", photo(), photo("hat"), photo("dress"))
    missing = shop.product("b", photo("trousers")).photos.get()
    missing.file.storage.delete(missing.file.name)
    indexing.reconcile()
    seen = words(shown(admin_client))
    assert "4 photos 3 embedded 3 indexed 0 waiting 1 failed" in seen
    assert "75 % of the photos are indexed." in seen


def test_all_but_one_is_not_a_hundred_per_cent() -> None:
    found = overview.Coverage(photos=1_000, embedded=1_000, indexed=999, waiting=1, failed=0)
    assert found.percent == 99
    assert overview.Coverage(photos=0, embedded=0, indexed=0, waiting=0, failed=0).percent == 0


def test_a_photo_that_the_ledger_does_not_know_is_waiting(admin_client: Client, live: IndexVersion) -> None:
    shop.product("a", photo(), photo("hat"))
    IndexEntry.objects.filter(photo_id=IndexEntry.objects.first().photo_id).delete()  # type: ignore[union-attr]
    assert "2 waiting" in words(shown(admin_client))


def test_an_empty_shop_shows_the_next_steps(admin_client: Client) -> None:
    seen = words(shown(admin_client))
    assert "There are no photos yet. Import a catalogue or add a product" in seen
    assert "There is no index yet." in seen


def test_failures_are_grouped_by_reason_and_lead_to_their_photos(admin_client: Client, live: IndexVersion) -> None:
    images = list(shop.product("a", photo(), photo("hat"), photo("dress")).photos.all())
    for image, reason in zip(images, ["Damaged & <cut>.", "Missing.", "Missing."], strict=True):
        IndexEntry.objects.filter(photo_id=image.pk).update(state="failed", reason=reason)
    page = shown(admin_client)
    assert words(page).index("2 photos Missing.") < words(page).index("1 photo Damaged & <cut>.")
    links = [html.unescape(link) for link in re.findall(r'id="failed-\d-see" href="([^"]*)"', page)]
    assert parse_qs(urlsplit(links[1]).query) == {"index": ["failed"], "reason": ["Damaged & <cut>."]}
    listed = admin_client.get(links[0]).context["cl"].result_list
    assert {image.pk for image in listed} == {image.pk for image in images[1:]}


def test_all_photos_of_a_reason_are_tried_again(admin_client: Client, live: IndexVersion) -> None:
    put("failed", count=2, reason="Damaged.")
    put("failed", reason="Missing.")
    response = admin_client.post(DO, {"again": "Damaged."}, follow=True)
    assert "2 photos will be indexed again shortly." in response.content.decode()
    assert sorted(IndexEntry.objects.values_list("state", "reason")) == [
        ("failed", "Missing."), ("pending", ""), ("pending", ""),
    ]  # fmt: skip


def test_what_waits_for_another_try_says_why(admin_client: Client, live: IndexVersion) -> None:
    put("pending", reason="The model is asleep.", attempts=2)
    assert "Photos waiting to be retried 1 photo The model is asleep." in words(shown(admin_client))


def test_the_live_version_and_the_last_rebuild_are_shown(admin_client: Client) -> None:
    for seed in range(3):
        shop.product(f"p{seed}", photo(seed=seed))
    version = building.rebuild()
    began = timezone.now() - timedelta(minutes=10)
    IndexJob.objects.update(started=began, ended=began + timedelta(seconds=42))
    seen = words(shown(admin_client))
    assert f"Live version version {version.pk}" in seen
    assert "not calibrated: the catalogue is small" in seen
    assert "same item ≥ 0.850" in seen
    assert "took 42 seconds photos 3" in seen
    assert "fewer than 400 photos" in seen


def test_what_a_fit_has_measured_is_shown(admin_client: Client, live: IndexVersion) -> None:
    live.quality = {
        "kept": "components",
        "held_out_precision_at_10": {"nothing": 0.75, "components": 0.83},
    }
    live.save()
    IndexJob.objects.create(
        kind="rebuild", state="done", version=live, photos=9, started=timezone.now(), ended=timezone.now()
    )
    assert "without projection 0.750 components 0.830" in words(shown(admin_client))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (89, "89 seconds"), (90, "2 minutes"), (7_200, "2 hours")],
)
def test_durations_are_rounded_for_people(seconds: int, text: str) -> None:
    assert job_words.lasted(timedelta(seconds=seconds)) == text


def test_the_throughput_is_shown_per_minute(admin_client: Client, live: IndexVersion) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    assert "No photo was indexed in the last five minutes." in words(shown(admin_client))
    for ago in (1, 2):
        IndexedMinute.objects.create(minute=now - timedelta(minutes=ago), photos=600)
    page = shown(admin_client)
    rate = int(re.search(r"([\d,]+) photos a minute", words(page))[1].replace(",", ""))  # type: ignore[index]
    assert 390 <= rate <= 600
    assert page.count('width="6" height="48"') == 2


# What is under way ------------------------------------------------------------------------------------------


def test_a_rebuild_shows_how_far_it_is_to_other_processes(admin_client: Client, live: IndexVersion) -> None:
    seen: list[str] = []

    def look(stage: str, done: int, total: int) -> None:
        seen.append(words(shown(admin_client, NUMBERS)))

    shop.product("a", photo(), photo("hat"))
    building.rebuild(progress=look)
    assert any("Rebuild : fitting to the catalogue" in text for text in seen)
    assert any("Rebuild : indexing photos (0 of 2)" in text for text in seen)
    assert "No job is running." in words(shown(admin_client, NUMBERS))


def test_the_numbers_alone_are_no_whole_page_and_are_not_kept(admin_client: Client, live: IndexVersion) -> None:
    response = admin_client.get(NUMBERS)
    assert "<html" not in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]


def test_buttons_hang_on_a_form_outside_of_what_is_exchanged(admin_client: Client, live: IndexVersion) -> None:
    jobs.ask(IndexJob.Kind.SYNC)
    assert "csrfmiddlewaretoken" not in shown(admin_client, NUMBERS)
    page = shown(admin_client)
    assert page.count('<form id="index-do"') == 1
    assert page.index('id="index-parts"') < page.index('form="index-do" name="cancel"') < page.index('id="index-do"')


def test_the_page_is_asked_for_often_only_while_something_is_under_way(
    admin_client: Client, live: IndexVersion
) -> None:
    at_work()
    assert 'data-busy="false"' in shown(admin_client, NUMBERS)
    jobs.ask(IndexJob.Kind.SYNC)
    assert 'data-busy="true"' in shown(admin_client, NUMBERS)


def test_what_is_read_aloud_changes_by_the_quarter(admin_client: Client, live: IndexVersion) -> None:
    told = []
    now = timezone.now()
    run = IndexJob.objects.create(
        kind="rebuild", state="running", started=now, leased_until=now + LEASE, stage="index", total=100
    )
    for done in (1, 20, 24, 26, 49, 50):
        IndexJob.objects.filter(pk=run.pk).update(done=done)
        told.append(re.search('data-announcement="([^"]*)"', shown(admin_client, NUMBERS))[1])  # type: ignore[index]
    assert list(dict.fromkeys(told)) == [f"Rebuild: indexing photos, {quarter} %" for quarter in (0, 25, 50)]


def test_a_run_of_which_nothing_is_heard_says_so(admin_client: Client, live: IndexVersion) -> None:
    now = timezone.now()
    run = IndexJob.objects.create(kind="rebuild", state="running", started=now, leased_until=now + LEASE)
    assert "No progress for" not in words(shown(admin_client))
    IndexJob.objects.filter(pk=run.pk).update(leased_until=now + LEASE - timedelta(seconds=80))
    assert re.search(r"No progress for [89]\d seconds\.", words(shown(admin_client)))


def test_without_a_worker_the_page_says_since_when(admin_client: Client, live: IndexVersion) -> None:
    assert "none has ever been seen" in words(shown(admin_client))
    worker = Worker.objects.create(seen=timezone.now() - timedelta(hours=1))
    jobs.ask(IndexJob.Kind.SYNC)
    seen = words(shown(admin_client))
    assert "No worker is running; the last one was seen " in seen
    assert "Sync : waits for a worker" in seen
    Worker.objects.filter(pk=worker.pk).update(seen=timezone.now())
    seen = words(shown(admin_client))
    assert "No worker is running" not in seen
    assert "a worker starts it in a moment" in seen


def test_a_failed_rebuild_shows_its_reason_and_can_be_tried_again(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.product("a", photo())
    admin_client.post(DO, {"ask": "rebuild"})
    tasks = WorkerTasks(threading.Event().is_set)

    def full(*args: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(building, "load", full)
        tasks.run_jobs()
    page = shown(admin_client)
    assert "OSError: No space left on device" in page
    assert 'id="index-ask-again" form="index-do" name="ask" value="rebuild"' in page
    admin_client.post(DO, {"ask": "rebuild"})
    tasks.run_jobs()
    page = shown(admin_client)
    assert "No space left" not in page
    assert "Last rebuild when" in words(page)


# Buttons ----------------------------------------------------------------------------------------------------


def test_a_button_writes_a_request_down_and_does_nothing_else(admin_client: Client, live: IndexVersion) -> None:
    at_work()
    response = admin_client.post(DO, {"ask": "sync"}, follow=True)
    assert response.redirect_chain == [(INDEX, 302)]
    assert "Sync requested. A worker starts it in a moment." in response.content.decode()
    run = IndexJob.objects.get()
    assert (run.kind, run.state, run.asked_by.username) == ("sync", "waiting", "admin")  # type: ignore[union-attr]


def test_without_a_worker_the_answer_says_that_it_waits(admin_client: Client, live: IndexVersion) -> None:
    response = admin_client.post(DO, {"ask": "sync"}, follow=True)
    assert "No worker is running, so it waits for one." in response.content.decode()


def test_two_operators_who_press_at_once_make_one_request(admin_client: Client, live: IndexVersion) -> None:
    other = clerk("view_indexversion", "change_indexversion")
    admin_client.post(DO, {"ask": "rebuild"})
    response = other.post(DO, {"ask": "rebuild"}, follow=True)
    assert "Rebuild is already queued." in response.content.decode()
    assert IndexJob.objects.count() == 1


def test_what_runs_already_is_not_asked_for_again(admin_client: Client, live: IndexVersion) -> None:
    jobs.ask(IndexJob.Kind.REBUILD)
    IndexJob.objects.take()
    response = admin_client.post(DO, {"ask": "rebuild"}, follow=True)
    assert "Rebuild is already running." in response.content.decode()


def test_a_request_is_cancelled_while_it_waits(admin_client: Client, live: IndexVersion) -> None:
    run, _new = jobs.ask(IndexJob.Kind.REBUILD)
    page = shown(admin_client)
    assert f'name="cancel" value="{run.pk}"' in page
    response = admin_client.post(DO, {"cancel": run.pk}, follow=True)
    assert "The rebuild was cancelled." in response.content.decode()
    assert IndexJob.objects.get().state == "cancelled"


@pytest.mark.parametrize("pk", ["0", "x", "", "999999999999999999999"])
def test_cancelling_an_unknown_job_says_so(admin_client: Client, live: IndexVersion, pk: str) -> None:
    response = admin_client.post(DO, {"cancel": pk}, follow=True)
    assert "This job has already ended." in response.content.decode()


def test_an_unknown_button_does_nothing(admin_client: Client, live: IndexVersion) -> None:
    response = admin_client.post(DO, {"ask": "explode"}, follow=True)
    assert "Unknown action." in response.content.decode()
    assert not IndexJob.objects.exists()


def test_a_rebuild_says_what_it_will_change_before_it_is_asked_for(admin_client: Client) -> None:
    made = shop.product("a", photo(), photo("hat"), photo("dress"), photo("trousers"))
    indexing.reconcile()
    IndexJob.objects.create(
        kind="rebuild", state="done", photos=2, started=timezone.now() - timedelta(seconds=30), ended=timezone.now()
    )
    seen = words(shown(admin_client, REBUILD))
    assert "all 4 photos of the catalogue" in seen
    assert "the model is not asked again" in seen
    assert "It takes about 60 seconds, judging by the last rebuild." in seen
    assert "Search keeps using the live version" in seen
    Embedding.objects.filter(digest=made.photos.first().sha256).delete()  # type: ignore[union-attr]
    assert "The model has to embed 1 photo;" in words(shown(admin_client, REBUILD))
    assert IndexJob.objects.count() == 1


def test_a_rebuild_with_another_model_says_so(admin_client: Client, settings: Any) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    settings.EMBEDDERS = {"default": configured("other")}
    seen = words(shown(admin_client, REBUILD))
    assert "The model differs from the live version's: other embeds all photos." in seen


# Who may ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [INDEX, NUMBERS])
def test_the_page_is_for_those_who_may_view_versions(address: str) -> None:
    assert clerk("view_product").get(address).status_code == 403
    assert Client().get(address).status_code == 302


def test_those_who_only_look_see_no_buttons_and_press_none(live: IndexVersion) -> None:
    put("failed", reason="Damaged.")
    viewer = clerk("view_indexversion")
    page = shown(viewer)
    assert "Damaged." in page
    assert 'form="index-do"' not in page
    assert REBUILD not in page
    assert viewer.get(REBUILD).status_code == 403
    for button in ({"ask": "sync"}, {"ask": "rebuild"}, {"cancel": "1"}, {"again": "Damaged."}):
        assert viewer.post(DO, button).status_code == 403
    assert not IndexJob.objects.exists()
    assert IndexEntry.objects.get().state == "failed"


def test_buttons_need_a_post_and_a_token(live: IndexVersion) -> None:
    boss = User.objects.create_superuser("owner")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(boss)
    assert strict.get(DO).status_code == 405
    assert strict.post(DO, {"ask": "sync"}).status_code == 403
    assert not IndexJob.objects.exists()


# Costs ------------------------------------------------------------------------------------------------------


def cost(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("address", [INDEX, NUMBERS, REBUILD])
def test_the_page_costs_the_same_queries_whatever_there_is(
    admin_client: Client, live: IndexVersion, address: str
) -> None:
    shop.product("a", photo())
    at_work()
    jobs.ask(IndexJob.Kind.SYNC)
    few = cost(admin_client, address)
    assert few <= 16
    for number in range(3):
        put("failed", reason=f"Reason {number}.")
        put("pending", reason=f"Cause {number}.")
        version = IndexVersion.objects.create(fingerprint="old", colours_version=1, width=9, state="retired")
        IndexEntry.objects.create(version=version, photo_id=1)
        IndexJob.objects.create(kind="sync", state="failed", ended=timezone.now())
        shop.product(f"more-{number}", photo(seed=number))
    assert cost(admin_client, address) == few


# The first page ---------------------------------------------------------------------------------------------


def test_the_first_page_of_the_admin_sums_the_index_up(
    live: IndexVersion, django_assert_max_num_queries: Any
) -> None:
    shop.product("a", photo(), photo("hat"))
    IndexEntry.objects.filter(photo_id=IndexEntry.objects.first().photo_id).update(state="failed")  # type: ignore[union-attr]
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("owner")
    with django_assert_max_num_queries(8):
        context = overview.summary(request)
    seen = words(render_to_string("search/admin/overview.html", context))
    assert "0 % of the photos are indexed: 0 of 2. 1 is waiting. 1 failed: see why." in seen
    assert "No worker is running" in seen


def test_the_admin_index_hides_the_index_from_unauthorized_staff() -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_user("clerk", is_staff=True)
    assert overview.summary(request) == {}
    assert not render_to_string("search/admin/overview.html", {}).strip()


# What search stands on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [INDEX, "/admin/"])
def test_an_unavailable_index_is_shown_first(admin_client: Client, settings: Any, address: str) -> None:
    shop.product("a", photo())
    live = ledger.ensure_live_version()
    indexing.reconcile()
    assert "Search is unavailable" not in words(shown(admin_client, address))
    options = {"hosts": ["http://127.0.0.1:1"]}
    settings.VECTOR_INDEXES = settings.VECTOR_INDEXES | {
        "away": {"BACKEND": "search.indexes.opensearch.backend.OpenSearchBackend", "OPTIONS": options}
    }
    live.backend = "away"
    live.save()
    assert "Search is unavailable. OpenSearch does not answer." in words(shown(admin_client, address))


@pytest.mark.parametrize("address", [INDEX, "/admin/"])
def test_workers_that_cannot_be_told_are_not_taken_for_missing(
    admin_client: Client, settings: Any, address: str
) -> None:
    ledger.ensure_live_version()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    seen = words(shown(admin_client, address))
    assert "Redis (REDIS_URL) does not answer" in seen
    assert "No worker is running" not in seen


@pytest.mark.parametrize("key", ["1" * 4_500, "1" * 20, "x"])
def test_a_key_that_no_row_has_is_nothing_to_be_cancelled(admin_client: Client, key: str) -> None:
    shown = admin_client.post(DO, {"cancel": key}, follow=True).content.decode()
    assert "This job has already ended." in shown


@pytest.mark.parametrize("key", ["1" * 4_500, "1" * 20, "x"])
def test_a_photo_that_no_product_has_is_not_tried_again(admin_client: Client, key: str) -> None:
    product = shop.product("a", photo())
    address = reverse("admin:catalogue_product_try_again", args=[product.pk])
    assert admin_client.post(address, {"photo": key}).status_code == 302
