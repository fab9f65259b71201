"""Photos in an S3 bucket: boto3 and django-storages with moto's server."""

from __future__ import annotations

import re
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.credentials import Credentials
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from catalogue import files
from catalogue.files import StorageRefused, StorageUnavailable
from catalogue.importers.uploads import Upload
from catalogue.management.commands import remove_orphan_files
from catalogue.models import Product, ProductImage
from tests import shop
from tests.catalogue.test_admin import product_form, upload
from tests.catalogue.test_metadata import SECRET, dirty
from tests.drawing import encoded, photo, picture
from tests.moto import BUCKET, REGION, S3, answering, close, failing, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]

PICTURE = photo()
LARGE = encoded(picture(size=(900, 1200)))


def get(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url)


def sent() -> list[str]:
    """The names of S3's operations that are asked for from now on."""
    operations: list[str] = []
    events = default_storage.connection.meta.client.meta.events  # type: ignore[attr-defined]
    events.register("before-send.s3", lambda event_name, **rest: operations.append(event_name.rpartition(".")[2]))
    return operations


def save(name: str = "photos/ab/a.jpg", data: bytes = PICTURE) -> str:
    return default_storage.save(name, ContentFile(data))


# Storing ---------------------------------------------------------------------------------------------


def test_photos_are_stored_with_content_type_and_cache_control(s3: S3) -> None:
    image = shop.product("A", LARGE).photos.get()
    stored = {key: s3.client.head_object(Bucket=BUCKET, Key=key) for key in s3.listed()}
    assert {f"media/{name}" for name in (image.file.name, image.thumbnail.name, image.large.name)} == set(stored)
    for key, head in stored.items():
        assert head["ContentType"] == "image/jpeg"
        assert "max-age=31536000, immutable" in head["CacheControl"]
        assert ("public" in head["CacheControl"]) is key.startswith("media/thumbnails/")
        assert ("s-maxage=86400" in head["CacheControl"]) is key.startswith("media/thumbnails/")
    assert shop.content(image) == LARGE


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".webp", "image/webp"), (".avif", "image/avif"), (".heic", "image/heic"), (".tif", "image/tiff")],
)
def test_every_format_is_stored_with_its_content_type(s3: S3, suffix: str, kind: str) -> None:
    name = save(f"photos/ab/a{suffix}")
    assert s3.client.head_object(Bucket=BUCKET, Key=f"media/{name}")["ContentType"] == kind


def test_no_two_uploads_share_a_name(s3: S3) -> None:
    name = files.photo_name("a" * 64, ".jpg")
    names = {save(name) for _ in range(5)}
    assert len(names) == 5
    assert all(files.is_photo_name(one) for one in names)


def test_queued_uploads_wait_in_the_bucket_for_any_worker(s3: S3, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    sent_files = SimpleUploadedFile("t.csv", b"sku\na\n"), SimpleUploadedFile("photos.zip", LARGE)
    kept = Upload.keep(*sent_files)
    kept.share()
    assert not kept.folder.exists()
    assert {key.partition("/")[0] for key in s3.listed()} == {"imports"}
    with pytest.raises(ValueError, match="not accessible"):
        storages["imports"].url(f"{kept.token}/table.csv")
    found = Upload.find(kept.token)
    assert (found.folder / "table.csv").read_bytes() == b"sku\na\n"
    assert (found.folder / "photos.zip").read_bytes() == LARGE
    found.unshare()
    assert s3.listed() == []


@pytest.mark.django_db(transaction=True)
def test_unused_files_are_removed_from_the_bucket(s3: S3) -> None:
    first, second = shop.product("A", LARGE), shop.product("B", LARGE)
    first.delete()
    assert len(s3.listed()) == 3
    assert shop.content(second.photos.get()) == LARGE
    second.delete()
    assert s3.listed() == []


@pytest.mark.django_db(transaction=True)
def test_the_files_of_many_products_are_removed_with_one_request(s3: S3) -> None:
    for number in range(4):
        shop.product(str(number), photo(seed=number))
    assert len(s3.listed()) >= 8
    operations = sent()
    Product.objects.all().delete()
    assert s3.listed() == []
    assert operations == ["DeleteObjects"]


def test_files_are_removed_a_thousand_at_a_time_and_may_be_missing(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    name = save()
    operations = sent()
    files.remove([name, "", *(files.photo_name(f"{number:064x}", ".jpg") for number in range(1_500))])
    assert operations == ["DeleteObjects"] * 2
    assert s3.listed() == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_photo_of_the_largest_size_is_one_request(s3: S3, settings: Any) -> None:
    operations = sent()
    name = save(data=bytes(settings.IMAGE_MAX_BYTES))
    assert operations == ["PutObject"]
    assert default_storage.size(name) == settings.IMAGE_MAX_BYTES


def test_orphans_are_found_in_a_bucket_too(s3: S3, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    image = shop.product("A", PICTURE).photos.get()
    orphan = save(files.photo_name("a" * 64, ".jpg"))
    call_command("remove_orphan_files")
    assert default_storage.exists(orphan)
    monkeypatch.setattr(remove_orphan_files, "ORPHANED_AFTER", timedelta(seconds=-5))
    call_command("remove_orphan_files")
    assert not default_storage.exists(orphan)
    assert default_storage.exists(image.file.name or "")


def test_missing_files_are_reported_as_missing(s3: S3) -> None:
    for ask in (default_storage.open, default_storage.size, default_storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            ask("photos/ab/none.jpg")
    default_storage.delete("photos/ab/none.jpg")
    assert not default_storage.exists("photos/ab/none.jpg")


# URLs --------------------------------------------------------------------------------------------------


def test_a_photo_has_a_signed_url(s3: S3) -> None:
    url = default_storage.url(save())
    asked = parse_qs(urlsplit(url).query)
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-Expires"] == ["86400"]
    assert f"/{REGION}/s3/aws4_request" in asked["X-Amz-Credential"][0]
    assert get(url).data == PICTURE
    assert get(url).headers["Content-Type"] == "image/jpeg"


def test_signing_needs_no_request(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("S3 was asked.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert default_storage.url("photos/ab/a.jpg").startswith(s3.url)


def test_a_url_stays_the_same_for_half_of_its_validity(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0 - 1_800_000_000.0 % 43_200
    monkeypatch.setattr("catalogue.buckets.time.time", lambda: now)
    first = default_storage.url("photos/ab/a.jpg")
    now += 43_100
    assert default_storage.url("photos/ab/a.jpg") == first
    assert default_storage._addresses.cache_info().misses == 1  # type: ignore[attr-defined]
    now += 200
    default_storage.url("photos/ab/a.jpg")
    assert default_storage._addresses.cache_info().misses == 2  # type: ignore[attr-defined]


def test_every_process_signs_the_same_url(s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = save()
    began = time.time() // 43_200 * 43_200
    given = []
    for seconds in (0, 100, 43_199):
        monkeypatch.setattr("catalogue.buckets.time.time", lambda seconds=seconds: began + seconds)
        use(s3.url, settings, monkeypatch)  # another process's storage, which remembers nothing
        given.append(default_storage.url(name))
    assert len(set(given)) == 1
    asked = parse_qs(urlsplit(given[0]).query)
    signed = datetime.strptime(asked["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z").timestamp()
    assert signed == began
    assert int(asked["X-Amz-Expires"][0]) == 86_400  # half of it is left when it is given out for the last time
    assert get(given[0]).data == PICTURE


def test_a_url_is_signed_like_botocore_signs_it(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 5, 4, 12, tzinfo=UTC)
    monkeypatch.setattr("catalogue.buckets.time.time", moment.timestamp)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    key = "media/photos/ab/a b+c.jpg"
    own = boto3.Session("testing", "testing", "token", region_name=REGION).client(
        "s3", endpoint_url=s3.url, config=Config(signature_version="s3v4", s3={"addressing_style": "path"})
    )
    expected = own.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=86_400)
    own.close()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment + timedelta(hours=1))
    assert default_storage.url("photos/ab/a b+c.jpg") == expected


def test_new_credentials_sign_new_urls(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
    assert "Credential=first" in default_storage.url("photos/ab/a.jpg")
    renewed = Credentials("second", "secret")
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: renewed)
    default_storage.url("photos/ab/a.jpg")
    assert default_storage._addresses.cache_info().misses == 2  # type: ignore[attr-defined]


def test_cloudfront_serves_renditions_only(s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(s3.url, settings, monkeypatch, cloudfront_domain="d111.cloudfront.net")
    assert default_storage.url("thumbnails/ab/a.jpg") == "https://d111.cloudfront.net/media/thumbnails/ab/a.jpg"
    for name in ("photos/ab/a.jpg", "thumbnails/../photos/ab/a.jpg", "photos/thumbnails/a.jpg"):
        assert "d111.cloudfront.net" not in default_storage.url(name)
        assert "X-Amz-Signature" in default_storage.url(name)
    with pytest.raises(ValueError, match="not accessible"):
        storages["queries"].url("a.jpg")


def test_browsers_may_use_another_endpoint_than_the_site(
    s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(s3.url, settings, monkeypatch, public_endpoint_url="https://pictures.shop.example")
    assert default_storage.url("photos/ab/a.jpg").startswith("https://pictures.shop.example/")
    assert default_storage.open(save()).read() == PICTURE


def test_the_content_security_policy_allows_the_bucket(
    s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for domain in ("", "d111.cloudfront.net"):
        use(s3.url, settings, monkeypatch, cloudfront_domain=domain)
        # A new client, since the middleware caches the policy.
        policy = Client().get("/")["Content-Security-Policy"]
        images = re.findall(r"img-src ([^;]+)", policy)[0].split()
        assert s3.url in images
        assert ("https://d111.cloudfront.net" in images) is bool(domain)


def test_a_page_names_signed_photos_that_browsers_can_fetch(client: Client, s3: S3) -> None:
    shop.product("A", LARGE)
    shown = client.get("/products/A/").content.decode()
    addresses = {url.replace("&amp;", "&") for url in re.findall(rf'{s3.url}/[^" ]+', shown)}
    assert len(addresses) >= 2
    assert all(get(url).status == 200 for url in addresses)


def test_permanent_urls_of_photos_redirect_to_signed_ones(client: Client, s3: S3, settings: Any) -> None:
    product = shop.product("A", LARGE)
    image = product.photos.get()
    shown = client.get("/products/A/").content.decode()
    remembered = re.search(r'property="og:image" content="http://testserver([^"]+)"', shown)
    assert remembered
    assert f'"image": ["http://testserver{remembered[1]}"]' in shown
    for path in (remembered[1], f"/media/{image.thumbnail.name}"):
        response = client.get(path)
        assert response.status_code == 302
        assert response["Cache-Control"] == "public, max-age=300"
        assert get(response["Location"]).status == 200
    product.visible_until = timezone.now()
    product.save()
    assert client.get(remembered[1]).status_code == 404
    assert client.get("/media/photos/ab/other.jpg").status_code == 404


def test_an_original_with_metadata_is_never_redirected_to(client: Client, s3: S3, admin_user: Any) -> None:
    image = shop.product("A", encoded(picture(size=(900, 1200)), "TIFF")).photos.get()
    shown = client.get("/products/A/").content.decode() + str(client.get("/api/v1/products/A/").json())
    assert str(image.file.name) not in shown
    assert str(image.large.name) in shown
    client.force_login(admin_user)
    assert client.get(f"/media/{image.file.name}").status_code == 404
    led = client.get(f"/media/{image.large.name}")
    assert get(led["Location"]).status == 200


def test_originals_in_a_bucket_lose_their_metadata_too(
    client: Client, s3: S3, django_capture_on_commit_callbacks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dirty(LARGE, 6)
    image = shop.product("A", data).photos.get()
    s3.client.put_object(Bucket=BUCKET, Key=f"media/{image.file.name}", Body=data)
    ProductImage.objects.update(stripped=False)
    assert client.get(f"/media/{image.file.name}").status_code == 404
    with django_capture_on_commit_callbacks(execute=True):
        call_command("remove_metadata")
    assert "Originals whose metadata was removed: 1." in capsys.readouterr().out
    again = ProductImage.objects.get()
    assert again.file.name != image.file.name
    assert {f"media/{getattr(again, column).name}" for column in files.COLUMNS} == set(s3.listed())
    assert SECRET not in shop.content(again)
    assert client.get(f"/media/{again.file.name}").status_code == 302


# Errors --------------------------------------------------------------------------------------------


def everything() -> list[Any]:
    return [
        save,
        lambda: default_storage.open("photos/ab/a.jpg"),
        lambda: default_storage.delete("photos/ab/a.jpg"),
        lambda: default_storage.listdir("photos"),
    ]


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (503, "SlowDown", StorageUnavailable, "tried again"),
        (400, "KMS.ThrottlingException", StorageUnavailable, "tried again"),
        (500, "KMS.KMSInternalException", StorageUnavailable, "tried again"),
        (500, "InternalError", StorageUnavailable, "tried again"),
        (404, "NoSuchBucket", StorageUnavailable, "AWS_STORAGE_BUCKET_NAME"),
        (301, "PermanentRedirect", StorageUnavailable, "AWS_S3_REGION_NAME"),
        (400, "AuthorizationHeaderMalformed", StorageUnavailable, "AWS_S3_REGION_NAME"),
        (403, "InvalidAccessKeyId", StorageUnavailable, "Renew them"),
        (403, "SignatureDoesNotMatch", StorageUnavailable, "Renew them"),
        (400, "ExpiredToken", StorageUnavailable, "Renew them"),
        (403, "AccessDenied", StorageRefused, "s3:PutObject"),
        (403, "InvalidObjectState", StorageRefused, "Restore it"),
        (400, "KMS.DisabledException", StorageRefused, "kms:Decrypt"),
        (400, "KMS.KMSInvalidStateException", StorageRefused, "kms:Decrypt"),
    ],
)
def test_errors_of_s3_say_what_to_do(
    settings: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[OSError], words: str
) -> None:
    with failing(status, code) as url:
        use(url, settings, monkeypatch)
        for ask in everything():
            with pytest.raises(kind, match=words) as told:
                ask()
            assert "testing" not in str(told.value)


def test_a_refused_head_request_is_understood_by_its_status(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, kind in ((403, StorageRefused), (301, StorageUnavailable), (400, StorageUnavailable)):
        with failing(status, "") as url:
            use(url, settings, monkeypatch)
            with pytest.raises(kind):
                default_storage.exists("photos/ab/a.jpg")


def test_an_unreachable_s3_is_explained(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    use(f"http://127.0.0.1:{port}", settings, monkeypatch)
    for ask in everything():
        with pytest.raises(StorageUnavailable, match="does not answer"):
            ask()


def test_a_missing_bucket_is_explained(s3: S3) -> None:
    s3.client.delete_bucket(Bucket=BUCKET)
    with pytest.raises(StorageUnavailable, match=f"bucket {BUCKET} does not exist"):
        save()


def test_without_credentials_pages_work_without_pictures(
    client: Client, s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.product("A", PICTURE)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    close()
    settings.STORAGES = dict(settings.STORAGES)  # a new dict drops cached storages
    looked = []
    look = boto3.Session.get_credentials
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: looked.append(1) or look(session))
    assert client.get("/products/A/").status_code == 200
    assert len(looked) == 1
    with pytest.raises(StorageUnavailable, match="no credentials"):
        save()


def test_a_file_that_cannot_be_removed_raises_no_error(
    s3: S3, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = save()
    with failing(503, "SlowDown") as url:
        use(url, settings, monkeypatch)
        files.remove([name])
    use(s3.url, settings, monkeypatch)
    assert default_storage.exists(name)


def test_removing_files_stops_when_s3_is_unavailable(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = [files.photo_name(f"{number:064x}", ".jpg") for number in range(1_500)]
    with failing(503, "SlowDown") as url:
        use(url, settings, monkeypatch)
        operations = sent()
        files.remove(names)
    assert operations == ["DeleteObjects"] * 3  # botocore's tries
    assert all(name in caplog.text for name in names)
    assert "tried again" in caplog.text


def test_only_the_file_that_cannot_be_removed_is_logged(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept, gone = "photos/ab/kept.jpg", "photos/ab/gone.jpg"
    refused = f"<Error><Key>media/{kept}</Key><Code>AccessDenied</Code><Message>No.</Message></Error>"
    missing = f"<Error><Key>media/{gone}</Key><Code>NoSuchKey</Code><Message>No.</Message></Error>"
    answer = f"<?xml version='1.0'?><DeleteResult>{refused}{missing}</DeleteResult>".encode()
    with answering(200, answer) as url:
        use(url, settings, monkeypatch)
        files.remove([kept, gone])
    [told] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert kept in told
    assert "s3:DeleteObject" in told


def test_staff_see_why_a_photo_cannot_be_stored(
    admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(403, "AccessDenied") as url:
        use(url, settings, monkeypatch)
        form = product_form({"upload": upload(PICTURE)}, sku="A")
        response = admin_client.post("/admin/catalogue/product/add/", form)
    assert response.status_code == 503
    assert "s3:PutObject" in response.content.decode()
    assert response["Retry-After"] == "30"
    assert not Product.objects.exists()
