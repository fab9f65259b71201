"""Imports and exports in the admin."""

from __future__ import annotations

import csv
import io
import os
import time
import zipfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.storage import FileSystemStorage, default_storage
from django.test import Client
from django.utils import timezone

from catalogue.admin import importing
from catalogue.importers import jobs, uploads
from catalogue.importers.records import SourceRefused
from catalogue.models import Brand, Category, ImportJob, Product, ProductImage
from jobs import running
from jobs.exceptions import JobCancelled, WorkStopped
from tests import shop
from tests.catalogue.observing import queries
from tests.catalogue.staff import EDITOR, EXPORT, IMPORT, OPERATOR, PROCESS, PRODUCTS, VIEWER, file, member, page
from tests.drawing import photo
from tests.web import LOOPBACK, web
from tests.web import page as web_page

pytestmark = pytest.mark.django_db

CSV, XLSX = "0", "1"
HEADER = ["sku", "title", "category", "brand", "price", "stock", "photos", "alt"]


def table(*rows: list[str], header: list[str] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


def book(*rows: list[Any], header: list[str] = HEADER) -> bytes:
    made = openpyxl.Workbook()
    for row in [header, *rows]:
        made.active.append(row)  # type: ignore[union-attr]
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def zipped(*, folder: str = "photos", **photos: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in photos.items():
            archive.writestr(f"{folder}/{name}.jpg", data)
    return out.getvalue()


def look(client: Client, rows: str | bytes | None = None, photos: bytes | None = None, name: str = "t.csv") -> Any:
    """Upload files for a preview."""
    sent: dict[str, Any] = {}
    if rows is not None:
        sent["table"] = file(rows, name)
    if photos is not None:
        sent["photos"] = file(photos, "photos.zip")
    return client.post(IMPORT, sent)


def queue(client: Client, *files: Any, **options: Any) -> str:
    """Send files, look, and go on. Returns the address of the import's page."""
    token = look(client, *files, **options).context["upload"].token
    return str(client.post(PROCESS, {"upload": token})["Location"])


def work() -> None:
    """What a worker does with the queued imports."""
    while job := ImportJob.objects.take():
        with suppress(SourceRefused):
            jobs.run(job)


def bring_in(client: Client, *files: Any, **options: Any) -> Any:
    """Import files; returns the page of the import."""
    address = queue(client, *files, **options)
    work()
    return client.get(address)


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return dict(response.context["form"].errors)


@pytest.fixture(autouse=True)
def _data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def kept() -> list[Path]:
    return list(uploads._folder().iterdir()) if uploads._folder().exists() else []


# Preview ------------------------------------------------------------------------------------------------


def test_the_preview_shows_changes_and_writes_nothing(admin_client: Client) -> None:
    coats = shop.category("Coats")
    shop.product("old", title="Old coat", price="10.00", category=coats)
    shop.product("same", title="Same coat", price="3.00", category=coats)
    rows = table(
        ["old", "Old coat", "Clothes > Coats", "Acme", "12.50"],
        ["new", "New hat", "Hats", "", "5.00"],
        ["same", "Same coat", "Coats", "", "3.00"],
        header=HEADER[:5],
    )
    response = look(admin_client, rows)
    shown = page(response)
    summary = response.context["outcome"].summary
    assert (summary.created, summary.updated, summary.unchanged, summary.rejected) == (1, 1, 1, 0)
    assert "<del>10.00</del>" in shown
    assert "<ins>12.50</ins>" in shown
    assert "<del>Coats</del>" in shown
    assert "<ins>Clothes &gt; Coats</ins>" in shown
    assert "New hat" in shown
    assert "Same coat" not in shown
    assert "Import 2 products" in shown
    assert Product.objects.count() == 2
    assert not Brand.objects.exists()
    assert Category.objects.count() == 1


def test_photos_are_downloaded_up_to_a_limit(
    admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    monkeypatch.setattr(uploads, "MAX_ADDRESSES", 1)
    with web() as site:
        address = site.put("/hat.jpg", web_page(photo("hat")))
        rows = table(["a", "Hat", address], ["b", "Coat", address], header=["sku", "title", "image_url"])
        assert "import_catalogue" in page(look(admin_client, rows))
        bring_in(admin_client, rows)
    assert list(ProductImage.objects.values_list("product__sku", flat=True)) == ["a"]


def test_bad_rows_are_listed_and_good_ones_imported(admin_client: Client) -> None:
    rows = table(["a", "Coat", "", "", "59,90"], ["b", "", "", "", "1"], ["c", "Hat", "", "", "2"], header=HEADER[:5])
    shown = page(look(admin_client, rows))
    assert "line 2" in shown
    assert "price is &#x27;59,90&#x27;; write a number with a point, as in 59.90." in shown
    assert "title is &#x27;&#x27;: This field cannot be blank." in shown
    done = bring_in(admin_client, rows)
    assert list(Product.objects.values_list("sku", flat=True)) == ["c"]
    assert "line 2" in page(done)


def test_without_changes_there_is_nothing_to_confirm(admin_client: Client) -> None:
    shop.product("a", title="Coat")
    response = look(admin_client, table(["a", "Coat"], header=HEADER[:2]))
    assert "There is nothing to import" in page(response)
    assert 'name="upload"' not in page(response)
    assert kept() == []


@pytest.mark.parametrize(
    ("rows", "name", "sentence"),
    [
        ("name,price\nCoat,3\n", "t.csv", "The column 'sku' is missing"),
        ("sku,titel\na,Coat\n", "t.csv", "did you mean 'title'?"),
        ("sku\na\n".encode("utf-16"), "t.csv", "The table is UTF-16."),
        (b"no workbook", "t.xlsx", "The table cannot be read as an Excel workbook."),
        (b"%PDF-1.4", "t.pdf", "This file is not a table that can be read."),
        (b"\xd0\xcf\x11\xe0", "t.xls", "This file is not a table that can be read."),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(
    admin_client: Client, rows: str | bytes, name: str, sentence: str
) -> None:
    response = look(admin_client, rows, name=name)
    assert sentence in errors(response)["table"][0]
    assert str(uploads._folder()) not in page(response)
    assert kept() == []


def test_choosing_no_files_is_refused(admin_client: Client) -> None:
    assert "Choose a table, a zip of photos, or both." in errors(look(admin_client))["table"]


# Import -------------------------------------------------------------------------------------------------


def test_an_import_creates_categories_and_brands_and_is_logged(admin_client: Client) -> None:
    rows = table(["a", "Coat", "Clothes > Coats", "Acme", "12.50", "4"], header=HEADER[:6])
    response = bring_in(admin_client, rows)
    assert "Import finished: 1 new product, 0 changed, 0 photos added." in page(response)
    made = Product.objects.get()
    assert (made.price, made.stock, str(made.brand)) == (Decimal("12.50"), 4, "Acme")
    assert made.category is not None
    assert [c.name for c in made.category.ancestors(include_self=True)] == ["Clothes", "Coats"]
    assert "Imported." in page(admin_client.get(f"{PRODUCTS}{made.pk}/history/"))
    assert kept() == []


def test_a_workbook_is_imported_like_a_csv_table(admin_client: Client) -> None:
    rows = book([1001, "Coat", "Clothes > Coats", "Acme", 0.1 + 0.2, 4.0, None, None], [None] * 8)
    bring_in(admin_client, rows, name="Prices.XLSX")
    made = Product.objects.get()
    assert (made.sku, made.price, made.stock) == ("1001", Decimal("0.30"), 4)


def test_photos_in_the_zip_are_found_by_their_names_in_the_table(
    admin_client: Client, announced: list[list[int]]
) -> None:
    rows = table(["a", "Coat", "", "", "", "", "photos/front.jpg|back.jpg", "From the front|"])
    bring_in(admin_client, rows, zipped(front=photo("shirt"), back=photo("hat")))
    images = Product.objects.get().photos.all()
    assert [(shop.content(image), image.alt) for image in images] == [
        (photo("shirt"), "From the front"),
        (photo("hat"), ""),
    ]
    # The preview announces its photos too, in the transaction that is rolled back.
    assert {image.pk for image in images} <= {pk for ids in announced for pk in ids}


def test_the_preview_lists_broken_and_missing_photos(admin_client: Client) -> None:
    rows = table(["a", "Coat", "", "", "", "", "good.jpg|bad.jpg|gone.jpg", ""])
    archive = zipped(good=photo(), bad=b"no picture")
    response = look(admin_client, rows, archive)
    shown = page(response)
    assert "photos/bad.jpg" in shown
    assert "not a picture in a known format" in shown
    assert "There is no photo of this name in the zip." in shown
    assert not Product.objects.exists()
    bring_in(admin_client, rows, archive)
    assert Product.objects.get().photos.count() == 1


def test_a_zip_alone_makes_a_product_of_each_photo(admin_client: Client) -> None:
    bring_in(admin_client, None, zipped(folder="photos/coats", red_coat=photo()))
    made = Product.objects.get()
    assert (made.sku, made.title, str(made.category)) == ("coats/red_coat.jpg", "Red coat", "Coats")


def test_a_stored_photo_is_named_as_in_an_export(admin_client: Client) -> None:
    made = shop.product("a", photo("hat"))
    name = made.photos.get().file.name
    bring_in(admin_client, table(["b", "Copy", "", "", "", "", name, ""]))
    assert shop.content(Product.objects.get(sku="b").photos.get()) == photo("hat")


def test_a_stored_photo_that_vanishes_is_rejected(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = shop.product("a", photo("hat")).photos.get().file
    default_storage.delete(stored.name or "")
    monkeypatch.setattr(FileSystemStorage, "exists", lambda *_: True)  # as it was a moment ago
    outcome = look(admin_client, table(["b", "Copy", "", "", "", "", stored.name or "", ""])).context["outcome"]
    assert outcome.summary.created == 0
    assert any("The shop has no such photo." in reject.reason for reject in outcome.rejects)


@pytest.mark.parametrize("name", ["photos/../secret_key", "../secret_key", "thumbnails/aa/x.jpg", "/etc/passwd"])
def test_a_table_can_name_stored_photos_only(admin_client: Client, name: str) -> None:
    response = look(admin_client, table(["b", "Copy", "", "", "", "", name, ""]))
    assert response.context["outcome"].summary.created == 0
    assert "There is no photo of this name in the zip." in page(response)


# Limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_table_of_too_many_rows_is_refused(admin_client: Client, settings: Any, kind: str) -> None:
    settings.IMPORT_MAX_ROWS = 2
    rows = [[str(number), "Coat"] for number in range(3)]
    sent = table(*rows, header=HEADER[:2]) if kind == "csv" else book(*rows, header=HEADER[:2])
    (sentence,) = errors(look(admin_client, sent, name=f"t.{kind}"))["table"]
    assert "rows" in sentence
    assert "Split it" in sentence
    assert kept() == []


def test_a_table_of_too_many_bytes_is_refused(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TABLE_BYTES", 10)
    assert "The table is larger than" in errors(look(admin_client, table(["a", "Coat"])))["table"][0]


def test_a_preview_that_takes_too_long_is_refused_and_not_kept(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_SECONDS", 1e-9)
    photos = zipped(a=photo(), b=photo("hat"))
    assert "import_catalogue" in errors(look(admin_client, None, photos))["photos"][0]
    assert kept() == []
    assert not ProductImage.objects.exists()


def test_an_import_that_takes_too_long_can_be_continued(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 1)
    rows = table(*([str(number), "Coat"] for number in range(3)), header=HEADER[:2])
    address = queue(admin_client, rows)
    monkeypatch.setattr(jobs, "MAX_SECONDS", 1e-9)
    work()
    shown = page(admin_client.get(address))
    assert "The import stopped" in shown
    assert "more than 0 seconds of processor time" in shown
    assert "Choose the same files again to continue" in shown
    assert (Product.objects.count(), ImportJob.objects.get().result["created"]) == (1, 1)
    assert kept() == []
    monkeypatch.undo()
    bring_in(admin_client, rows)
    assert Product.objects.count() == 3


def test_files_waiting_for_their_preview_need_not_be_sent_again(admin_client: Client) -> None:
    with importing._previewing:
        waiting = look(admin_client, table(["a", "Coat"], header=HEADER[:2]))
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (503, "60")
    assert "Another preview is being prepared" in waiting.content.decode()
    assert f'action="{IMPORT}"' in waiting.content.decode()
    (upload,) = kept()
    assert f'value="{upload.name}"' in waiting.content.decode()

    again = admin_client.post(IMPORT, {"upload": upload.name})

    assert again.context["outcome"].summary.created == 1
    assert not Product.objects.exists()
    admin_client.post(PROCESS, {"upload": upload.name})
    work()
    assert Product.objects.count() == 1


def test_refused_files_that_waited_are_not_kept(admin_client: Client) -> None:
    with importing._previewing:
        look(admin_client, table(["a"], header=["number"]))
    (upload,) = kept()

    page(admin_client.post(IMPORT, {"upload": upload.name}, follow=True))

    assert kept() == []


def test_a_zip_of_too_many_photos_or_bytes_is_refused(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(a=photo(), b=photo("hat"))
    monkeypatch.setattr(uploads, "MAX_PHOTOS", 1)
    assert (
        "The zip has 2 files; at most 1 are taken at once." in errors(look(admin_client, None, archive))["photos"][0]
    )
    monkeypatch.setattr(uploads, "MAX_PHOTOS", 10)
    monkeypatch.setattr(uploads, "MAX_EXPANDED_BYTES", 100)
    assert "expands to" in errors(look(admin_client, None, archive))["photos"][0]


# Between preview and import -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [IMPORT, PROCESS])
@pytest.mark.parametrize("token", ["", "0" * 32, "../media"])
def test_expired_files_have_to_be_chosen_again(admin_client: Client, address: str, token: str) -> None:
    response = admin_client.post(address, {"upload": token}, follow=True)
    assert response.redirect_chain == [(IMPORT, 302)]
    assert "These files have expired." in page(response)


def test_an_unused_upload_is_removed_after_a_day(admin_client: Client) -> None:
    rows = table(["a", "Coat"], header=HEADER[:2])
    look(admin_client, rows)
    (folder,) = kept()
    os.utime(folder, (0, 0))
    look(admin_client, rows)
    assert folder not in kept()
    assert len(kept()) == 1


def test_the_oldest_of_too_many_uploads_are_removed(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_KEPT", 2)
    tokens = []
    for age in (300, 200, 100):
        token = look(admin_client, table(["a", "Coat"], header=HEADER[:2])).context["upload"].token
        os.utime(uploads.Upload(token).folder, (time.time() - age,) * 2)
        tokens.append(token)
    assert {path.name for path in kept()} == set(tokens[1:])


def test_importing_needs_a_post(admin_client: Client) -> None:
    assert admin_client.get(PROCESS).status_code == 405


def test_the_number_of_queries_does_not_grow_with_the_rows(admin_client: Client) -> None:
    def imported(first: int, count: int) -> int:
        rows = [[f"{n}", "Coat", "Clothes > Coats", "Acme"] for n in range(first, first + count)]
        return queries(lambda: bring_in(admin_client, table(*rows, header=HEADER[:4])))

    imported(0, 1)  # creates the category and the brand
    assert imported(10, 2) == imported(20, 30)


# The job ----------------------------------------------------------------------------------------------------

COAT = table(["a", "Coat"], header=HEADER[:2])
THREE = table(*([str(number), "Coat"] for number in range(3)), header=HEADER[:2])


def interrupt(address: str, client: Client, error: Exception | None, **values: Any) -> ImportJob:
    """Run the queued import until its second batch; then its row changes, or its process stops."""
    job = ImportJob.objects.take()
    assert job is not None
    seen: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        if done == 1 and not seen:
            seen.append(page(client.get(address)))
            if values:
                ImportJob.objects.update(**values)
            if error:
                raise error

    with suppress(WorkStopped, JobCancelled, RuntimeError):
        jobs.run(job, progress)
    assert "1 of 3 rows and photos" in seen[0]
    return ImportJob.objects.get()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 1)


def test_an_import_waits_for_a_worker_and_is_asked_for_once(admin_client: Client) -> None:
    token = look(admin_client, COAT).context["upload"].token
    addresses = {admin_client.post(PROCESS, {"upload": token})["Location"] for _ in range(2)}
    assert len(addresses) == ImportJob.objects.count() == 1
    address = addresses.pop()
    assert "Waiting for a worker" in page(admin_client.get(address))
    assert f'href="{address}"' in page(admin_client.get(IMPORT))
    assert not Product.objects.exists()
    uploads.remove_abandoned()
    os.utime(kept()[0], (0, 0))
    uploads.remove_abandoned()
    assert len(kept()) == 1
    work()
    assert "data-refresh" not in page(admin_client.get(address))


@pytest.mark.usefixtures("small_batches")
def test_a_stopped_worker_leaves_the_import_to_the_next(admin_client: Client) -> None:
    address = queue(admin_client, THREE)
    job = interrupt(address, admin_client, WorkStopped())
    assert (job.state, job.attempts, len(kept())) == ("waiting", 0, 1)
    work()
    job.refresh_from_db()
    assert (job.state, job.result["created"], job.result["unchanged"]) == ("done", 3, 0)
    assert LogEntry.objects.filter(change_message="Imported.").count() == 3


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(("attempts", "state", "files"), [(1, "done", 0), (3, "failed", 0)])
def test_the_import_of_a_dead_worker_is_taken_over_or_fails(
    admin_client: Client, attempts: int, state: str, files: int
) -> None:
    address = queue(admin_client, THREE)
    assert ImportJob.objects.take() is not None
    assert ImportJob.objects.take() is None  # its lease holds
    ImportJob.objects.update(leased_until=timezone.now(), attempts=attempts)
    work()
    jobs.delete_uploads()
    assert (ImportJob.objects.get().state, len(kept())) == (state, files)
    assert ("Its process ended before it was done." in page(admin_client.get(address))) == (state == "failed")


@pytest.mark.usefixtures("small_batches")
def test_a_worker_that_lost_its_import_ends_its_part(admin_client: Client) -> None:
    address = queue(admin_client, THREE)
    job = interrupt(address, admin_client, None, owner="another")
    assert (job.state, job.owner, Product.objects.count()) == ("running", "another", 2)


@pytest.mark.usefixtures("small_batches")
def test_a_running_import_can_be_cancelled(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "NOTE", 0.0)
    address = queue(admin_client, THREE)
    job = ImportJob.objects.take()
    assert job is not None
    with pytest.raises(JobCancelled):
        jobs.run(job, lambda stage, done, total: admin_client.post(address) if done else None)
    assert "The import was cancelled" in page(admin_client.get(address))
    assert (Product.objects.count(), kept()) == (2, [])  # the batch under way was finished
    assert "This import has already ended." in page(admin_client.post(address, follow=True))


def test_a_waiting_import_can_be_cancelled(admin_client: Client) -> None:
    address = queue(admin_client, COAT)
    shown = page(admin_client.post(address, follow=True))
    assert "Products already imported stay in the shop." in shown
    work()
    assert (Product.objects.count(), kept()) == (0, [])


def test_an_import_that_meets_an_error_says_so(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    address = queue(admin_client, COAT)
    job = ImportJob.objects.take()
    assert job is not None
    monkeypatch.setattr(uploads.Upload, "open", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.run(job)
    assert "ZeroDivisionError" in page(admin_client.get(address))
    assert kept() == []


def test_imports_queue_up_to_a_limit_and_run_in_their_order(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_QUEUED", 2)
    for title in ("Coat", "Hat"):
        queue(admin_client, table(["a", title], header=HEADER[:2]))
    token = look(admin_client, COAT).context["upload"].token
    refused = page(admin_client.post(PROCESS, {"upload": token}, follow=True))
    assert "2 imports are queued already. Try again later." in refused
    work()
    assert Product.objects.get().title == "Hat"


def test_queued_files_reach_workers_of_other_machines(admin_client: Client, settings: Any, tmp_path: Path) -> None:
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "shared"}}
    settings.STORAGES = settings.STORAGES | {"imports": storage}
    address = queue(admin_client, None, zipped(folder="photos/coats", red_coat=photo()))
    assert kept() == []
    settings.DATA_DIR = tmp_path / "other machine"
    work()
    assert "1 new product" in page(admin_client.get(address))
    assert Product.objects.get().sku == "coats/red_coat.jpg"
    assert [path for path in (tmp_path / "shared").rglob("*") if path.is_file()] == []
    assert kept() == []


# Export -----------------------------------------------------------------------------------------------------


def export(client: Client, kind: str, query: str = "", **fields: Any) -> Any:
    form = client.get(EXPORT).context["form"]
    chosen = {name: "on" for name in form.fields if name.startswith("productresource_")}
    return client.post(f"{EXPORT}{query}", {"format": kind, "resource": "0", **chosen, **fields})


def read_csv(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_an_export_has_the_columns_of_an_import(admin_client: Client) -> None:
    coats = shop.category("Coats", shop.category("Clothes"))
    made = shop.product("a", photo(), title="Coat", category=coats, brand=shop.brand("Acme"), price="12.50", stock=0)
    (row,) = read_csv(export(admin_client, CSV))
    assert list(row) == [
        "sku", "title", "description", "category", "brand", "price", "currency", "stock", "attributes",
        "external_url", "visible_from", "visible_until", "photos", "alt",
    ]  # fmt: skip
    assert (row["category"], row["brand"], row["price"], row["stock"]) == ("Clothes > Coats", "Acme", "12.50", "0")
    assert row["photos"] == made.photos.get().file.name


@pytest.mark.parametrize(("kind", "name"), [(CSV, "t.csv"), (XLSX, "t.xlsx")])
def test_importing_an_export_changes_nothing(admin_client: Client, kind: str, name: str) -> None:
    shop.product("a", photo(), photo("hat"), title='=HYPERLINK("x")', description="-1, two\nlines; and “more”")
    shop.product("b", category=shop.category("Tops/Shirts"), attributes={"fit": "loose"}, price="0.10", stock=3)
    shop.product("c", visible_until="2030-01-31T09:00:00+01:00", title="+1", brand=shop.brand("Acme"))
    shop.product("d", photo("dress"), photo("trousers"), category=shop.category("A > B", shop.category("C/D")))
    ProductImage.objects.filter(product__sku="d").update(alt="Front | back, [1]")
    sent = export(admin_client, kind).content
    summary = look(admin_client, sent, name=name).context["outcome"].summary
    assert (summary.unchanged, summary.created, summary.updated, summary.rejected) == (4, 0, 0, 0)


def test_a_workbook_that_would_truncate_a_text_is_refused(admin_client: Client) -> None:
    made = shop.product("a", description="x" * 32_767)
    sheet: Any = openpyxl.load_workbook(io.BytesIO(export(admin_client, XLSX).content)).active
    assert sheet["C2"].value == made.description
    Product.objects.update(description="x" * 32_765 + "\N{DRESS}!")
    refused = page(export(admin_client, XLSX))
    assert "description of a is longer than a cell of a workbook may be (32,767 characters). Choose CSV." in refused
    assert len(read_csv(export(admin_client, CSV))[0]["description"]) == 32_767


@pytest.mark.parametrize("title", ["=1+1", "@SUM(A1)", "+1", "-1", "＝1+1", "＋1", "－1", "＠SUM(A1)"])
def test_no_title_becomes_a_formula(admin_client: Client, title: str) -> None:
    shop.product("a", title=title)
    assert read_csv(export(admin_client, CSV))[0]["title"] == f" {title}"
    sheet: Any = openpyxl.load_workbook(io.BytesIO(export(admin_client, XLSX).content)).active
    assert (sheet["B2"].value, sheet["B2"].data_type) == (title, "s")


def test_a_workbook_has_prices_and_stock_as_numbers(admin_client: Client) -> None:
    shop.product("a", price="12.50", stock=4)
    sheet: Any = openpyxl.load_workbook(io.BytesIO(export(admin_client, XLSX).content)).active
    row = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[2]], strict=True))
    assert (row["price"], row["stock"]) == (12.5, 4)


def test_filtered_or_selected_products_are_exported(admin_client: Client) -> None:
    inside = shop.product("in", category=shop.category("Coats"))
    shop.product("out")
    found = read_csv(export(admin_client, CSV, f"?category={shop.category('Coats').pk}"))
    assert [row["sku"] for row in found] == ["in"]
    chosen = {"action": "export_admin_action", "_selected_action": [inside.pk]}
    assert "Export 1 selected item." in page(admin_client.post(PRODUCTS, chosen))
    assert [row["sku"] for row in read_csv(export(admin_client, CSV, export_items=[inside.pk]))] == ["in"]


def test_a_whole_list_is_exported_by_its_filter(admin_client: Client) -> None:
    made = shop.product("in", category=shop.category("Coats"))
    query = f"?category={shop.category('Coats').pk}"
    chosen = {"action": "export_admin_action", "_selected_action": [made.pk], "select_across": "1", "index": "0"}
    assert admin_client.post(f"{PRODUCTS}{query}", chosen)["Location"] == f"{EXPORT}{query}"


def test_the_queries_of_an_export_do_not_grow_with_the_products(admin_client: Client) -> None:
    shop.product("first", photo(), category=shop.category("Coats"), brand=shop.brand("Acme"))
    few = queries(lambda: export(admin_client, CSV))
    shop.fill(per_kind=1)
    assert queries(lambda: export(admin_client, CSV)) == few


# Permissions ----------------------------------------------------------------------------------------------------


def test_editors_import_and_export() -> None:
    client = member(EDITOR)
    shown = page(client.get(PRODUCTS))
    assert IMPORT in shown
    assert EXPORT in shown
    bring_in(client, table(["a", "Coat"], header=HEADER[:2]))
    assert Product.objects.count() == 1


@pytest.mark.parametrize("role", [VIEWER, OPERATOR])
def test_viewers_and_operators_export_but_cannot_import(role: str) -> None:
    client = member(role)
    shown = page(client.get(PRODUCTS))
    assert IMPORT not in shown
    assert EXPORT in shown
    assert client.get(IMPORT).status_code == 403
    assert client.post(PROCESS, {"upload": "0" * 32}).status_code == 403
    assert client.get(EXPORT).status_code == 200


def test_exporting_needs_the_view_permission() -> None:
    client = member(permissions=("view_brand",))
    assert client.get(EXPORT).status_code == 403
    assert client.post(EXPORT, {"format": CSV}).status_code == 403
