"""FEIDEGGER as a source, with photos on a local server."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalogue.importers.feidegger import FeideggerSource, sku
from catalogue.importers.records import ProductRecord, Reject, SourceRefused
from catalogue.models import Product, ProductImage
from tests.catalogue.test_import_catalogue import run, small
from tests.web import LOOPBACK, Web, page, web

TEXTS = [f"Ein {word} Kleid mit langen Ärmeln." for word in ("rotes", "kurzes", "festliches", "schlichtes", "weites")]


@pytest.fixture
def site(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    settings.DATA_DIR = tmp_path / "data"
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    monkeypatch.setattr("catalogue.fetching.PAUSE", 0.001)
    with web() as running:
        yield running


def release(tmp_path: Path, entries: Any) -> Path:
    path = tmp_path / "FEIDEGGER_release_1.2.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def dress(url: str, **members: Any) -> dict[str, Any]:
    return {"url": url, "split": "3", "descriptions": TEXTS, **members}


@pytest.mark.django_db
def test_each_dress_is_a_product_with_its_five_descriptions(site: Web, tmp_path: Path) -> None:
    urls = [site.put(f"/{seed}.jpg", page(small(seed))) for seed in range(3)]
    summary, status, told = run(release(tmp_path, [dress(url) for url in urls]), "--format", "feidegger")
    assert (status, told, summary["created"], summary["photos_added"]) == (0, "", 3, 3)
    made = Product.objects.get(sku=sku(urls[0]))
    assert made.description.splitlines() == TEXTS
    assert made.title == TEXTS[0]
    assert made.attributes["split"] == "3"
    assert made.category is not None
    assert made.category.name == "Kleider"


@pytest.mark.django_db
def test_a_second_run_downloads_only_what_failed(site: Web, tmp_path: Path) -> None:
    good, shaky, down = (site.url + path for path in ("/good.jpg", "/shaky.jpg", "/down.jpg"))
    site.put("/good.jpg", page(small(1)))
    site.put("/shaky.jpg", page(status=503), page(status=429), page(small(2)))
    site.put("/down.jpg", page(status=503))
    entries = [
        dress(good),
        dress(shaky),
        dress(down),
        dress(site.url + "/gone.jpg"),
        dress("http://10.0.0.1/dress.jpg"),
        dress(good),
        {"split": "1", "descriptions": TEXTS},
        dress(site.url + "/other.jpg", descriptions="Ein Kleid."),
        "a dress",
    ]
    path = release(tmp_path, entries)
    summary, status, _ = run(path, "--format", "feidegger")
    assert (status, summary["created"], summary["rejected"]) == (3, 2, 7)
    with Path(summary["rejects_file"]).open(encoding="utf-8") as file:
        reasons = {row["where"]: row["reason"] for row in csv.DictReader(file)}
    assert "does not answer" in reasons["entry 3"]
    assert "nothing at this address" in reasons["entry 4"]
    assert "public web site" in reasons["entry 5"]
    assert "already in entry 1" in reasons["entry 6"]
    assert "url" in reasons["entry 7"]
    assert "descriptions" in reasons["entry 8"]
    assert "url" in reasons["entry 9"]

    Product.objects.filter(sku=sku(good)).update(title="Mein Kleid")
    site.asked.clear()
    site.put("/down.jpg", page(small(3)))
    summary, status, _ = run(path, "--format", "feidegger")
    assert (status, summary["created"], summary["unchanged"]) == (3, 1, 2)
    assert set(site.asked) == {"/down.jpg", "/gone.jpg"}
    assert Product.objects.get(sku=sku(good)).title == "Mein Kleid"
    assert ProductImage.objects.count() == 3


@pytest.mark.django_db
def test_downloads_run_in_parallel_up_to_the_option(site: Web, tmp_path: Path) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def slowly(seed: int) -> Any:
        def answer(request: Any) -> None:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.1)
            with lock:
                under_way -= 1
            page(small(seed))(request)

        return answer

    entries = [dress(site.put(f"/{seed}.jpg", slowly(seed))) for seed in range(12)]
    summary, status, _ = run(release(tmp_path, entries), "--format", "feidegger", "--downloads", "6")
    assert (status, summary["photos_added"]) == (0, 12)
    assert 2 <= most <= 6


@pytest.mark.django_db
@pytest.mark.parametrize("member", ["url", "split", "descriptions"])
def test_half_of_a_pair_of_characters_rejects_its_entry_alone(tmp_path: Path, member: str) -> None:
    bad = {"url": "https://a.example/\ud800.jpg", "split": "\ud800", "descriptions": ["\ud800"]}
    first_one = dress("https://a.example/1.jpg") | {member: bad[member]}
    path = release(tmp_path, [first_one, dress("https://a.example/2.jpg")])
    first, second = FeideggerSource(path)
    assert isinstance(first, Reject)
    assert isinstance(second, ProductRecord)


@pytest.mark.parametrize(
    "content",
    ["{", "{}", "[]", '[{"photo": "a.jpg"}]', "[" * 100_000],
    ids=["cut", "object", "empty", "other", "deep"],
)
def test_another_file_is_refused_whole(tmp_path: Path, content: str) -> None:
    path = tmp_path / "release.json"
    path.write_text(content)
    with pytest.raises(SourceRefused):
        FeideggerSource(path)
