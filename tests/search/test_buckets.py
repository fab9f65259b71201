"""Search with everything in a bucket: photos are indexed, shoppers' pictures are private, faults are waited out."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from catalogue.models import Product
from search.models import IndexEntry, Query
from search.reading import queries
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.moto import BUCKET, S3, failing, use

pytestmark = pytest.mark.django_db(transaction=True)

BLUE_DRESS = photo("dress", shop.COLOURS["blue"], seed=9)


@pytest.fixture
def products(s3: S3) -> list[Product]:
    made = [shop.product(f"dress-{name}", photo("dress", colour)) for name, colour in shop.COLOURS.items()]
    indexing.reconcile()
    return made


def ask(client: Client) -> Any:
    return client.post("/search/", {"image": SimpleUploadedFile("photo.jpg", BLUE_DRESS)})


def states() -> set[str]:
    return set(IndexEntry.objects.values_list("state", flat=True))


def test_photos_are_indexed_found_and_shown(client: Client, s3: S3, products: list[Product]) -> None:
    assert states() == {IndexEntry.State.INDEXED}
    response = client.get(ask(client)["Location"])
    shown = response.content.decode()
    assert "dress-blue" in shown
    addresses = {url.replace("&amp;", "&") for url in re.findall(rf'src="({s3.url}/[^" ]+)', shown)}
    assert len(addresses) == len(products)
    assert all(urllib3.request("GET", url).status == 200 for url in addresses)


def test_a_shoppers_picture_is_served_only_by_the_site(client: Client, s3: S3, products: list[Product]) -> None:
    address = ask(client)["Location"]
    [key] = s3.listed("queries/")
    assert s3.client.head_object(Bucket=BUCKET, Key=key)["CacheControl"] == "private, no-store"
    assert key.rpartition("/")[2] not in client.get(address).content.decode().replace("/picture.jpg", "")
    picture = client.get(f"{address}picture.jpg")
    assert b"".join(picture.streaming_content)[:3] == b"\xff\xd8\xff"  # type: ignore[attr-defined]
    client.post(f"{address}forget/")
    assert s3.listed("queries/") == []
    assert client.get(f"{address}picture.jpg").status_code == 410


def test_the_samples_clients_get_signed_addresses(client: Client, s3: S3, products: list[Product]) -> None:
    import base64

    body = {"base64img": base64.b64encode(BLUE_DRESS).decode(), "k": 2}
    images = client.post("/postImage", json.dumps(body), content_type="application/json").json()["images"]
    assert len(images) == 2
    assert all("X-Amz-Signature=" in url and urllib3.request("GET", url).status == 200 for url in images)


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied"), (404, "NoSuchBucket")])
def test_photos_wait_while_s3_is_away_and_are_indexed_when_it_is_back(
    s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    for number in range(3):
        shop.product(str(number), photo(seed=number))
    with failing(status, code) as url:
        use(url, settings, monkeypatch)
        assert indexing.reconcile().postponed == 3
    waiting = IndexEntry.objects.filter(state=IndexEntry.State.PENDING)
    assert waiting.count() == 3
    assert all(entry.reason.endswith(".") and entry.next_try for entry in waiting)
    use(s3.url, settings, monkeypatch)
    ledger.retry_now()
    assert indexing.reconcile().indexed == 3


def test_an_archived_photo_waits_alone_and_is_indexed_when_it_is_restored(s3: S3) -> None:
    photos = [shop.product(str(number), photo(seed=number)).photos.get() for number in range(3)]
    key = f"media/{photos[0].file.name}"
    source = {"Bucket": BUCKET, "Key": key}
    s3.client.copy_object(Bucket=BUCKET, Key=key, CopySource=source, StorageClass="GLACIER")
    outcome = indexing.reconcile()
    assert (outcome.indexed, outcome.failed, outcome.postponed) == (2, 0, 1)
    assert "Restore it" in IndexEntry.objects.get(photo_id=photos[0].pk).reason
    s3.client.restore_object(Bucket=BUCKET, Key=key, RestoreRequest={"Days": 1})
    ledger.retry_now()
    assert indexing.reconcile().indexed == 1


def test_a_photo_that_is_missing_fails_for_good_and_alone(s3: S3) -> None:
    lost, kept = shop.product("lost", photo(seed=1)), shop.product("kept", photo(seed=2))
    s3.client.delete_object(Bucket=BUCKET, Key=f"media/{lost.photos.get().file.name}")
    outcome = indexing.reconcile()
    assert (outcome.indexed, outcome.failed, outcome.postponed) == (1, 1, 0)
    entry = IndexEntry.objects.get(photo_id=lost.photos.get().pk)
    assert entry.state == IndexEntry.State.FAILED
    assert "missing from storage" in entry.reason
    assert IndexEntry.objects.get(photo_id=kept.photos.get().pk).state == IndexEntry.State.INDEXED


def test_pages_stay_available_while_the_storage_is_down(
    client: Client, s3: S3, products: list[Product], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(503, "SlowDown") as url:
        use(url, settings, monkeypatch)
        response = ask(client)
        assert response.status_code == 503
        assert "Try again in a minute" in response.content.decode()
        assert "S3" not in response.content.decode()
        answer = client.post("/api/v1/search/", {"image": SimpleUploadedFile("photo.jpg", BLUE_DRESS)})
        assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
        assert client.get("/products/dress-blue/").status_code == 200
        assert client.post("/search/", {"product": "dress-blue"}).status_code == 303
    # What S3 may have stored all the same is deleted when it is back.
    assert all(query.gone for query in Query.objects.filter(kind=Query.Kind.PICTURE))
    use(s3.url, settings, monkeypatch)
    assert queries.delete_expired() == 2


def test_what_could_not_be_deleted_is_deleted_when_s3_is_back(
    client: Client, s3: S3, products: list[Product], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client)
    Query.objects.update(expires=timezone.now() - timedelta(seconds=1))
    with failing(503, "SlowDown") as url:
        use(url, settings, monkeypatch)
        assert queries.delete_expired() == 0
    use(s3.url, settings, monkeypatch)
    assert queries.delete_expired() == 1
    assert s3.listed("queries/") == []
