"""The site with its model behind an endpoint that misbehaves: what staff and shoppers meet, and what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalogue import images
from catalogue.models import ProductImage
from search import versions, worker
from search.exceptions import SpaceMismatch
from search.indexes import index_of
from search.lifecycle import building, jobs, upkeep
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion, Query
from search.reading import queries, ranking
from search.reading.refinement import Refinement
from search.vision import fitting
from search.vision.blocks import blocks
from search.vision.colours import COLOURS_VERSION
from search.vision.embedders import discovery, embedders
from search.vision.pictures import Box
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search import scripted
from tests.search.grid import configured

pytestmark = pytest.mark.django_db

BACKEND = "search.vision.embedders.sagemaker.SageMakerEmbedder"
OPTIONS = {
    "endpoint": scripted.NAME,
    "connect_timeout": 5,
    "read_timeout": 10,
    "query_timeout": 10,
    "attempts": 2,
    "backoff": 0.01,
}
IMPATIENT = {**OPTIONS, "read_timeout": 0.5, "query_timeout": 0.5}

PASSING: dict[str, tuple[scripted.Fault, str]] = {
    "slow": (scripted.hanging, "does not answer now"),
    "throttled": (scripted.error(429, "ThrottlingException"), "does not answer now"),
    "broken": (scripted.error(500, "InternalFailure"), "does not answer now"),
    "ill": (scripted.model_error(500, "out of memory"), "out of memory"),
    "cut off": (scripted.cut_off, "does not answer now"),
    "one row too few": (scripted.one_row_too_few, "rows of the shape"),
    "wrong dimensions": (scripted.one_number_too_many, "rows of the shape"),
    "not a number": (scripted.null, "rows of numbers"),
    "numbers in words": (scripted.text, "rows of numbers"),
    "HTML": (scripted.html, "not JSON"),
    "another model": (scripted.another_model, "rebuild_index"),
    "no model": (scripted.without_model, "without the model's fingerprint"),
}


@pytest.fixture(autouse=True)
def model(settings: Any, endpoint: scripted.Endpoint) -> None:
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}}


@pytest.fixture
def sold(model: None) -> ProductImage:
    """A photo that is indexed."""
    made: ProductImage = shop.product("a", photo()).photos.get()
    assert indexing.reconcile().indexed == 1
    return made


def upload(client: Client, address: str = "/search/", data: bytes | None = None) -> Any:
    return client.post(address, {"image": SimpleUploadedFile("photo.jpg", data or photo("dress"))})


def due_at_once() -> None:
    IndexEntry.objects.update(next_try=timezone.now())


def middle(data: bytes) -> tuple[int, ...]:
    """The colour in the middle of the square that the model is given of a photo."""
    size = scripted.MANIFEST.size
    return tuple(blocks(images.read(data, short_side=size).image, size, COLOURS_VERSION).square[32, 32].tolist())


def waits_for_another_try(sentence: str, admin_client: Client) -> None:
    """Whether a new photo waits, with the reason where staff look, and nothing of it is stored."""
    before = set(Embedding.objects.values_list("pk", flat=True))
    new = shop.product("b", photo("hat"), photo("trousers")).photos.first()
    assert indexing.reconcile().postponed == 2
    entry = IndexEntry.objects.get(photo_id=new.pk)  # type: ignore[union-attr]
    assert (entry.state, entry.attempts) == ("pending", 1)
    assert sentence in entry.reason
    assert scripted.NAME in entry.reason
    assert set(Embedding.objects.values_list("pk", flat=True)) == before
    response = admin_client.get(reverse("admin:search_index"))
    assert entry.reason in [reason.text for reason in response.context["postponed"]]


def shoppers_are_told_plainly(client: Client) -> None:
    """Whether a shopper's picture is answered with 503 and a sentence, on the page and by the API."""
    queries = Query.objects.count()
    for address in ("/search/", "/api/v1/search/"):
        response = upload(client, address)
        assert (response.status_code, response["Retry-After"]) == (503, "30")
        told = response.content.decode()
        assert "Try again in a minute" in told
        assert "manage.py" not in told
        assert scripted.NAME not in told
        assert "127.0.0.1" not in told
    assert Query.objects.count() == queries


@pytest.mark.parametrize(("fault", "sentence"), PASSING.values(), ids=PASSING)
def test_photos_wait_and_searches_fail_while_the_endpoint_is_down(
    sold: ProductImage,
    endpoint: scripted.Endpoint,
    client: Client,
    admin_client: Client,
    settings: Any,
    fault: Any,
    sentence: str,
) -> None:
    embedders["default"].warm()
    endpoint.always = fault
    if fault is scripted.hanging:
        settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": IMPATIENT}}
    waits_for_another_try(sentence, admin_client)
    shoppers_are_told_plainly(client)
    endpoint.always = None
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}}
    due_at_once()
    assert indexing.sync().indexed == 2
    assert upload(client).status_code == 303


def test_an_endpoint_that_is_not_there_is_waited_for(
    sold: ProductImage,
    endpoint: scripted.Endpoint,
    client: Client,
    admin_client: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted.use("http://127.0.0.1:9", monkeypatch)  # discard: nothing listens
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}}  # as in a new process
    waits_for_another_try("Could not connect", admin_client)
    shoppers_are_told_plainly(client)
    scripted.use(endpoint.url, monkeypatch)
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}}
    due_at_once()
    assert indexing.sync().indexed == 2


@pytest.mark.parametrize(
    "fault", [scripted.error(429, "ThrottlingException"), scripted.error(500, "InternalFailure")]
)
def test_a_fault_that_passes_at_once_is_noticed_by_nobody(
    sold: ProductImage, endpoint: scripted.Endpoint, client: Client, fault: scripted.Fault
) -> None:
    endpoint.script.append(fault)
    shop.product("b", photo("hat"))
    assert indexing.reconcile().indexed == 1
    endpoint.script.append(fault)
    assert upload(client).status_code == 303


@pytest.mark.parametrize("status", [400, 500])
def test_one_bad_picture_of_thirty_two_fails_alone_with_its_reason(
    endpoint: scripted.Endpoint, admin_client: Client, status: int
) -> None:
    for number in range(31):
        shop.product(f"p{number}", photo("shirt", f"#4020{64 + number:02x}", seed=number))
    odd = photo("shirt", "#00c0f0", seed=77)
    bad = shop.product("odd", odd).photos.get()
    endpoint.bad, endpoint.bad_status = middle(odd), status  # type: ignore[assignment]
    outcome = indexing.reconcile()
    assert (outcome.indexed, outcome.failed, outcome.postponed) == (31, 1, 0)
    entry = IndexEntry.objects.get(photo_id=bad.pk)
    assert (entry.state, entry.reason) == ("failed", "The model rejects this picture: This is no image.")
    assert not Embedding.objects.filter(digest=bad.sha256).exists()
    assert Embedding.objects.count() == 31
    response = admin_client.get(reverse("admin:search_index"))
    assert [(reason.text, reason.photos) for reason in response.context["failures"]] == [(entry.reason, 1)]


def test_a_shopper_s_picture_that_the_model_refuses_is_the_picture_s_fault(
    sold: ProductImage, endpoint: scripted.Endpoint, client: Client
) -> None:
    endpoint.bad = middle(photo("dress"))  # type: ignore[assignment]
    for address in ("/search/", "/api/v1/search/"):
        response = upload(client, address)
        assert response.status_code == 422
        assert "This picture cannot be searched with. Try another one." in response.content.decode()
    query = queries.from_picture(photo("hat"))
    endpoint.always = scripted.model_error(400, "no")
    endpoint.script.extend([scripted.model_error(400, "no"), scripted.fine])  # the box, and the probe
    assert client.get(f"{query.get_absolute_url()}?box=0,0,0.5,0.5").status_code == 422


def test_stored_embeddings_are_searched_while_the_model_is_unavailable(
    endpoint: scripted.Endpoint, client: Client, settings: Any
) -> None:
    shop.fill()
    indexing.reconcile()
    query, box = queries.from_picture(photo("dress")), Box(0, 0, 0.5, 0.5)
    ranking.rank(query, Refinement(box=box))
    asked = len(endpoint.seen)
    endpoint.script.extend([scripted.dropped] * 99)
    settings.EMBEDDERS = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {**OPTIONS, "region": "eu-west-2"}}
    }  # not cached
    response = client.post("/search/", {"product": "hat-red-0"})
    assert response.status_code == 303
    for address in (
        response["Location"],
        query.get_absolute_url(),
        f"{query.get_absolute_url()}?box=0,0,0.5,0.5",
        f"{query.get_absolute_url()}?colour_weight=0.4&category=hat",
        "/products/",
        "/api/v1/products/hat-red-0/similar/",
    ):
        assert client.get(address, follow=True).status_code == 200, address
    assert len(endpoint.seen) == asked
    assert client.get(f"{query.get_absolute_url()}?box=0.5,0,1,0.5").status_code == 503


def test_an_endpoint_that_was_given_another_model_wants_a_rebuild(
    sold: ProductImage, endpoint: scripted.Endpoint, client: Client
) -> None:
    endpoint.manifest = scripted.OTHER
    shop.product("b", photo("hat"))
    assert indexing.reconcile().postponed == 1
    due_at_once()
    assert indexing.reconcile().postponed == 1
    assert "rebuild_index" in IndexEntry.objects.get(state="pending").reason
    with pytest.raises(SpaceMismatch, match="rebuild_index"):
        versions.embedder_of(ledger.ensure_live_version())
    shoppers_are_told_plainly(client)
    assert upload(client).status_code == 503
    assert set(Embedding.objects.values_list("fingerprint", flat=True)) == {ledger.ensure_live_version().fingerprint}
    assert client.post("/search/", {"product": "a"}).status_code == 303
    version = building.rebuild()
    assert version.fingerprint.startswith(scripted.OTHER.fingerprint)
    assert IndexEntry.objects.filter(version=version, state="indexed").count() == 2
    assert upload(client).status_code == 303


@pytest.mark.parametrize("asked_by_staff", [False, True])
def test_a_rebuild_takes_the_model_that_the_endpoint_has_by_then(
    sold: ProductImage, endpoint: scripted.Endpoint, asked_by_staff: bool
) -> None:
    assert embedders["default"].fingerprint.startswith(scripted.MANIFEST.fingerprint)
    endpoint.manifest = scripted.OTHER  # and nobody has asked it for anything since
    if asked_by_staff:
        jobs.ask(IndexJob.Kind.REBUILD)
        run = IndexJob.objects.take()
        assert run
        worker.perform(run)
    else:
        building.rebuild()
    assert ledger.ensure_live_version().fingerprint.startswith(scripted.OTHER.fingerprint)
    assert upload(Client()).status_code == 303


def test_a_refit_that_nobody_asked_for_takes_no_other_model(
    sold: ProductImage, endpoint: scripted.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "is_due", lambda *_counts: True)
    endpoint.manifest = scripted.OTHER
    upkeep.maintain()
    assert ledger.ensure_live_version().fingerprint.startswith(scripted.MANIFEST.fingerprint)


def test_an_update_that_is_taken_back_is_noticed_soon(
    sold: ProductImage, endpoint: scripted.Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SOON", 0.0)
    endpoint.manifest = scripted.OTHER
    assert upload(client).status_code == 503
    assert upload(client).status_code == 503  # the other model is known by now
    endpoint.manifest = scripted.MANIFEST
    for _ in range(2):
        upload(client)
    assert upload(client).status_code == 303


def test_a_shopper_is_not_told_where_an_index_that_is_lost_was(
    sold: ProductImage, endpoint: scripted.Endpoint, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    index_of(ledger.ensure_live_version()).drop()
    IndexVersion.objects.all().delete()
    for address in ("/search/", "/api/v1/search/"):
        response = upload(client, address)
        assert response.status_code == 503
        told = response.content.decode()
        assert "unavailable right now" in told
        assert "manage.py" not in told
    assert "manage.py" in caplog.text


def test_an_endpoint_that_hangs_is_asked_for_one_batch_of_a_claim(endpoint: scripted.Endpoint, settings: Any) -> None:
    options = {**OPTIONS, "request_bytes": 40_000, "concurrency": 1, "attempts": 1, "read_timeout": 0.5}
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    assert embedders["default"].batch_size == 2
    shop.product("a", *(photo("shirt", f"#4020{64 + number:02x}", seed=number) for number in range(8)))
    endpoint.always = scripted.hanging
    assert indexing.reconcile().postponed == 8
    assert len(endpoint.asked) <= 1
    assert len(set(IndexEntry.objects.values_list("reason", flat=True))) == 1


def test_a_new_process_with_a_local_model_does_not_ask_an_endpoint(
    endpoint: scripted.Endpoint, settings: Any
) -> None:
    grid = configured()
    settings.EMBEDDERS = {"default": grid}
    live = ledger.ensure_live_version()
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}, "grid": grid}
    assert versions.embedder_of(live).alias == "grid"
    assert endpoint.seen == []


def test_an_index_of_the_model_in_process_goes_on_until_it_is_rebuilt(
    endpoint: scripted.Endpoint, client: Client, admin_client: Client, settings: Any
) -> None:
    grid = configured()
    settings.EMBEDDERS = {"default": grid}
    shop.product("a", photo())
    indexing.reconcile()
    settings.EMBEDDERS = {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}, "grid": grid}
    live = ledger.ensure_live_version()
    assert versions.embedder_of(live).alias == "grid"
    shop.product("b", photo("hat"))
    assert indexing.reconcile().indexed == 1
    assert upload(client).status_code == 303
    assert endpoint.asked == []
    shown = admin_client.get(reverse("admin:search_index")).content.decode()
    assert "keeps answering with it" in shown
    building.rebuild()
    assert versions.embedder_of(ledger.ensure_live_version()).alias == "default"
    assert "keeps answering with it" not in admin_client.get(reverse("admin:search_index")).content.decode()


def test_an_endpoint_that_never_answered_is_not_named_to_shoppers(
    endpoint: scripted.Endpoint, client: Client
) -> None:
    IndexVersion.objects.create(fingerprint="x-p1", colours_version=COLOURS_VERSION, width=317, state="live")
    endpoint.script.extend([scripted.dropped] * 99)
    shoppers_are_told_plainly(client)
    told = client.get("/readyz").json()["parts"]["embedder"]
    assert told == "The model could not be asked what it is; the site's log says why."
