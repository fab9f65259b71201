"""The command import_catalogue: sources, output and exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.core.management.base import CommandError

from catalogue.importers.command import ImportCommand
from catalogue.importers.importer import Summary
from catalogue.management.commands.import_catalogue import Command
from catalogue.models import Category, Product, ProductImage
from tests.drawing import encoded, picture
from tests.web import LOOPBACK, page, web

#: The catalogue's own command, which search's replaces in the project.
IMPORT = """
import sys, django
django.setup()
from catalogue.management.commands.import_catalogue import Command
Command().run_from_argv(["manage.py", *sys.argv[1:], "--skip-checks"])
"""


def small(seed: int) -> bytes:
    return encoded(picture(seed=seed, size=(48, 64)))


@pytest.fixture
def shop(tmp_path: Path, settings: Any) -> Path:
    """A folder of five photos in three categories, one photo at the top."""
    settings.DATA_DIR = tmp_path / "data"
    folder = tmp_path / "shop"
    names = ["top.jpg", "hats/sun_hat.jpg", "hats/winter-hat 2.jpg", "women/coats/a.jpg", "women/coats/b.jpg"]
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(small(seed))
    return folder


def run(source: Path | str, *options: str, command: ImportCommand | None = None) -> tuple[dict[str, Any], int, str]:
    """The summary, the exit status, and the error message."""
    out, status, told = io.StringIO(), 0, ""
    try:
        call_command(command or Command(), str(source), "--json", *options, stdout=out, stderr=io.StringIO())
    except CommandError as error:
        status, told = error.returncode, str(error)
    return json.loads(out.getvalue() or "{}"), status, told


def table(shop: Path, *rows: list[str], name: str = "products.csv") -> Path:
    path = shop / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.django_db
class TestAddresses:
    def test_photos_are_fetched_from_their_addresses(self, shop: Path, settings: Any) -> None:
        settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
        with web() as site:
            front, back = (site.put(f"/{seed}.jpg", page(small(seed))) for seed in (1, 2))
            path = table(shop, ["sku", "title", "image_urls"], ["C-1", "Coat", f"{front} {back}"])
            summary, status, _ = run(path)
            assert (status, summary["photos_added"]) == (0, 2)
            summary, status, _ = run(path)
            assert (status, summary["unchanged"], summary["photos_added"]) == (0, 1, 0)
        assert [photo.position for photo in ProductImage.objects.order_by("pk")] == [0, 1]

    def test_a_photo_that_cannot_be_fetched_fails_alone_with_its_reason(
        self, shop: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
        monkeypatch.setattr("catalogue.fetching.PAUSE", 0.001)
        with web() as site:
            site.put("/good.jpg", page(small(1)))
            site.put("/late.jpg", page(status=503), page(small(2)))
            site.put("/words.jpg", page(b"just words"))
            rows = [
                ["A", "Coat", f"{site.url}/good.jpg|{site.url}/none.jpg"],
                ["B", "Hat", f"{site.url}/late.jpg"],
                ["C", "Bag", f"{site.url}/words.jpg"],
                ["D", "Shoe", "http://10.0.0.1/shoe.jpg"],
            ]
            summary, status, _ = run(table(shop, ["sku", "title", "image_urls"], *rows))
        assert (status, summary["created"], summary["rejected"]) == (3, 2, 3)
        with Path(summary["rejects_file"]).open(encoding="utf-8") as file:
            rejects = {row["sku"]: row for row in csv.DictReader(file)}
        assert rejects["A"]["photo"] == f"{site.url}/none.jpg"
        assert "nothing at this address" in rejects["A"]["reason"]
        assert "not a picture" in rejects["C"]["reason"]
        assert "public web site" in rejects["D"]["reason"]


@pytest.mark.django_db
class TestSources:
    def test_a_folder_becomes_categories_and_products(self, shop: Path) -> None:
        summary, status, _ = run(shop)
        assert status == 0
        assert (summary["created"], summary["photos_added"], summary["finished"]) == (5, 5, True)
        titles = dict(Product.objects.values_list("sku", "title"))
        assert titles["hats/winter-hat 2.jpg"] == "Winter hat 2"
        coats = Category.objects.get(name="Coats")
        assert coats.parent == Category.objects.get(name="Women")
        assert coats.products.count() == 2
        assert Product.objects.get(sku="top.jpg").category is None

    def test_a_zip_of_the_folder_is_the_same_source(self, shop: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
            for path in shop.rglob("*.jpg"):
                archive.write(path, path.relative_to(tmp_path))
        assert run(tmp_path / "shop.zip")[0]["created"] == 5
        assert run(shop)[0]["unchanged"] == 5

    def test_a_table_sets_all_fields_of_a_product(self, shop: Path) -> None:
        path = table(
            shop,
            ["sku", "title", "category", "brand", "price", "attribute:fit", "photos", "alt"],
            [
                "A-1",
                "Coat",
                "Women/Coats",
                "Nordvale",
                "129.90",
                "slim",
                "women/coats/a.jpg|women/coats/b.jpg",
                "x|y",
            ],
        )
        assert run(path)[1] == 0
        product = Product.objects.get()
        assert product.attributes == {"fit": "slim"}
        assert list(product.photos.values_list("position", "alt")) == [(0, "x"), (1, "y")]
        assert run(path)[0]["unchanged"] == 1

    def test_a_table_of_prices_changes_only_prices(self, shop: Path) -> None:
        run(shop)
        summary, status, _ = run(table(shop, ["sku", "price"], ["top.jpg", "5"], ["new", "5"]))
        assert (summary["updated"], summary["rejected"], status) == (1, 1, 3)
        product = Product.objects.get(sku="top.jpg")
        assert (product.price, product.photos.count()) == (5, 1)


@pytest.mark.django_db
class TestRejects:
    def test_bad_rows_and_photos_go_to_a_file_and_the_rest_goes_in(self, shop: Path) -> None:
        path = table(
            shop,
            ["sku", "title", "price", "photos"],
            ["A", "Coat", "12,50", "top.jpg"],
            ["B", "Hat", "5", "missing.jpg;hats/sun_hat.jpg"],
            ["C", "Cap", "5", "../secret.jpg"],
        )
        summary, status, told = run(path)
        assert (summary["created"], summary["rejected"], status) == (1, 3, 3)
        assert summary["rejects_file"] in told
        with Path(summary["rejects_file"]).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["where"], row["sku"], row["photo"]) for row in rows] == [
            ("line 2", "A", ""),
            ("line 3", "B", "missing.jpg"),
            ("line 4", "C", "../secret.jpg"),
        ]
        assert "as in 12.50" in rows[0]["reason"]
        assert Path(summary["rejects_file"]).parent.name == "imports"

    @pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r=", "＝", "＋", "－", "＠"])
    def test_no_cell_of_the_file_is_a_formula_and_each_can_be_read_back(self, shop: Path, sign: str) -> None:
        sku, name = f"x{sign}1", f"{sign}cmd|'/c calc'!A0"
        path = table(shop, ["sku", "title", "photos"], [sku, "Coat", name], [name, "", ""])
        summary, _status, _told = run(path, "--format", "csv")
        with Path(summary["rejects_file"]).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        cells = [cell for row in rows for cell in row.values()]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")) for cell in cells)
        assert name.strip() in {cell.strip() for cell in cells}

    def test_control_characters_are_escaped_on_the_terminal(self, shop: Path) -> None:
        (shop / "evil\x1b]0;title\x07\nhats.txt").write_text("not a picture")
        told = io.StringIO()
        with pytest.raises(CommandError):
            call_command(Command(), str(shop), stdout=io.StringIO(), stderr=told)
        assert "evil\\x1b]0;title\\x07\\nhats.txt" in told.getvalue()
        assert all(line.isprintable() for line in told.getvalue().splitlines())

    def test_the_file_may_be_named_and_be_json_lines(self, shop: Path, tmp_path: Path) -> None:
        (shop / "notes.txt").write_text("not a picture")
        target = tmp_path / "rejects.jsonl"
        run(shop, "--rejects", str(target))
        (reject,) = map(json.loads, target.read_text().splitlines())
        assert reject["where"] == "notes.txt"

    def test_without_rejects_there_is_no_file(self, shop: Path, settings: Any) -> None:
        assert run(shop)[0]["rejects_file"] is None
        assert not (settings.DATA_DIR / "imports").exists()

    def test_a_dry_run_writes_no_rejects_file_by_default(self, shop: Path, settings: Any) -> None:
        (shop / "notes.txt").write_text("not a picture")
        summary, status, told = run(shop, "--dry-run")
        assert (summary["rejected"], summary["rejects_file"], status) == (1, None, 3)
        assert told == "1 rejected; --rejects FILE saves all reasons."
        assert not settings.DATA_DIR.exists()

    def test_a_dry_run_writes_a_requested_rejects_file(self, shop: Path, tmp_path: Path) -> None:
        (shop / "notes.txt").write_text("not a picture")
        target = tmp_path / "rejects.csv"
        summary, _, told = run(shop, "--dry-run", "--rejects", str(target))
        assert summary["rejects_file"] == str(target)
        assert told == f"1 rejected; the reasons are in {target}."
        assert "notes.txt" in target.read_text()
        assert not Product.objects.exists()

    @pytest.mark.parametrize(("options", "shown"), [([], 5), (["--dry-run"], 50)], ids=["import", "dry run"])
    def test_the_first_reasons_are_shown(self, shop: Path, options: list[str], shown: int) -> None:
        for number in range(shown + 2):
            (shop / f"broken{number}.jpg").write_bytes(b"no picture")
        told = io.StringIO()
        with pytest.raises(CommandError, match=f"{shown + 2} rejected"):
            call_command(Command(), str(shop), *options, stdout=io.StringIO(), stderr=told)
        assert told.getvalue().count("not a picture in a known format") == shown
        assert "and 2 more" in told.getvalue()


@pytest.mark.django_db
class TestRefusals:
    @pytest.mark.parametrize("content", ["sku,titel\nA,Coat\n", "title\nCoat\n"])
    def test_a_wrong_header_ends_with_status_2_and_nothing_in(self, shop: Path, content: str) -> None:
        (shop / "t.csv").write_text(content)
        summary, status, told = run(shop / "t.csv")
        assert (summary, status) == ({}, 2)
        assert "The columns are: sku, title" in told
        assert not Product.objects.exists()

    def test_the_limit_of_a_zip_can_be_set(self, shop: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.write(shop / "top.jpg", "a.jpg")
        assert run(tmp_path / "x.zip", "--max-expanded", "10")[1] == 2
        assert run(tmp_path / "x.zip")[1] == 0

    def test_a_source_that_is_not_there_ends_with_status_2(self, tmp_path: Path) -> None:
        _, status, told = run(tmp_path / "nowhere")
        assert status == 2
        assert "Check the path" in told


class Listening(Command):
    """A subclass of another app."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    def batch_done(self, photo_ids: list[int]) -> None:
        self.told.append(len(photo_ids))

    def finish(self, summary: Summary) -> None:
        self.told.append(summary.created)


@pytest.mark.django_db
class TestHooks:
    def test_subclasses_are_called_after_batches_and_at_the_end(self, shop: Path) -> None:
        command = Listening()
        run(shop, "--batch", "2", command=command)
        assert command.told == [2, 2, 1, 5]

    def test_a_dry_run_is_not_finished_and_writes_nothing(self, shop: Path, settings: Any) -> None:
        command = Listening()
        summary, status, _ = run(shop, "--dry-run", command=command)
        assert (summary["created"], summary["dry_run"], status) == (5, True, 0)
        assert command.told == []
        assert not Product.objects.exists()
        assert not Path(settings.MEDIA_ROOT).exists()

    def test_an_interrupt_says_how_to_continue(self, shop: Path) -> None:
        class Interrupted(Listening):
            def batch_done(self, photo_ids: list[int]) -> None:
                super().batch_done(photo_ids)
                if len(self.told) == 2:
                    raise KeyboardInterrupt

        command = Interrupted()
        summary, status, told = run(shop, "--batch", "2", command=command)
        assert status == 130
        assert told == "Interrupted: 4 products imported; run the same command again to continue."
        assert (summary["finished"], command.told) == (False, [2, 2])
        assert run(shop)[0]["created"] == 1


def _environment(tmp_path: Path) -> dict[str, str]:
    own = {
        "DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "visualsearch.settings",
        "LOG_LEVEL": "WARNING",
    }
    return {"PATH": os.environ["PATH"], **own}


def _start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, *arguments],
        cwd=site.BASE_DIR,
        env=_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _rows(tmp_path: Path, query: str) -> list[Any]:
    database = sqlite3.connect(tmp_path / "data" / "db.sqlite3", timeout=20)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def _is_whole(tmp_path: Path, products: int) -> bool:
    """Whether each product has one photo, and the storage exactly the files of the photos."""
    names = {
        name for row in _rows(tmp_path, "SELECT file, thumbnail, large FROM catalogue_productimage") for name in row
    }
    media = tmp_path / "data" / "media"
    files = {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}
    counts = _rows(tmp_path, "SELECT count(*), count(DISTINCT product_id) FROM catalogue_productimage")
    return files == names and counts == [(products, products)]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database for processes."""
    folder = tmp_path_factory.mktemp("migrated")
    migration = _start(folder, "manage.py", "migrate", "-v0", "--skip-checks")
    assert migration.communicate(timeout=120) == ("", "")
    return folder / "data" / "db.sqlite3"


def _large_shop(tmp_path: Path, migrated: Path, products: int) -> Path:
    for seed in range(products):
        path = tmp_path / "shop" / f"category {seed % 5}" / f"{seed:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small(seed))
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data")
    return tmp_path / "shop"


def test_two_processes_can_import_the_same_source(tmp_path: Path, migrated: Path) -> None:
    source = _large_shop(tmp_path, migrated, 60)
    both = [
        _start(tmp_path, "-c", IMPORT, "import_catalogue", str(source), "--json", "--batch", "8") for _ in range(2)
    ]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    summaries = [json.loads(out.splitlines()[0]) for out, _ in ends]
    assert sum(summary["created"] for summary in summaries) == 60
    assert _rows(tmp_path, "SELECT count(*) FROM catalogue_category") == [(5,)]
    assert _is_whole(tmp_path, 60)


def test_ctrl_c_keeps_whole_batches_and_a_second_run_continues(tmp_path: Path, migrated: Path) -> None:
    source = _large_shop(tmp_path, migrated, 60)
    process = _start(tmp_path, "-c", IMPORT, "import_catalogue", str(source), "--json", "--batch", "2")
    deadline = time.monotonic() + 60
    while not _rows(tmp_path, "SELECT count(*) FROM catalogue_product")[0][0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60)
    products = json.loads(out)["created"]
    assert (process.returncode, f"{products} products imported; run the same command again" in told) == (130, True)
    assert 0 < products < 60
    assert _rows(tmp_path, "SELECT count(*) FROM catalogue_product")[0][0] - products in {0, 2}
    assert _is_whole(tmp_path, _rows(tmp_path, "SELECT count(*) FROM catalogue_product")[0][0])
    again = _start(tmp_path, "-c", IMPORT, "import_catalogue", str(source), "--json")
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert _is_whole(tmp_path, 60)
