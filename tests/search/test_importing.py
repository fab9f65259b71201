"""Imports and the demo end with their photos searchable."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalogue.models import Product
from search.exceptions import BuildInterrupted
from search.lifecycle import building, upkeep
from search.models import IndexEntry
from search.reading import queries, ranking, results
from search.vision.matches import MIN_PHOTOS
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import KINDS, photo
from tests.search.grid import Grid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


def folder(root: Path, number: int) -> Path:
    for seed in range(number):
        kind = KINDS[seed % len(KINDS)]
        path = root / "shop" / kind / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(kind, seed=seed))
    return root / "shop"


def run(*arguments: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("import_catalogue", *map(str, arguments), "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def test_an_import_ends_with_its_photos_searchable(tmp_path: Path) -> None:
    assert run(folder(tmp_path, 4))["photos_added"] == 4
    query = queries.from_picture(photo("dress", seed=2))
    page = results.page(ranking.rank(query))
    assert page.results[0].product.sku == "dress/2.jpg"
    assert len(page.results) == 4


def test_a_large_import_is_learnt_from_and_each_photo_is_embedded_once(tmp_path: Path, grid: type[Grid]) -> None:
    run(folder(tmp_path, MIN_PHOTOS + 3))
    assert grid.calls == MIN_PHOTOS + 3
    assert ledger.ensure_live_version().calibration.photos == MIN_PHOTOS + 3


def test_a_repeated_import_indexes_nothing(tmp_path: Path, grid: type[Grid]) -> None:
    source = folder(tmp_path, 4)
    run(source)
    generations = list(IndexEntry.objects.values_list("generation", flat=True))
    assert run(source)["unchanged"] == 4
    assert list(IndexEntry.objects.values_list("generation", flat=True)) == generations
    assert grid.calls == 4


def test_a_dry_run_indexes_nothing(tmp_path: Path) -> None:
    run(folder(tmp_path, 4), "--dry-run")
    assert not IndexEntry.objects.exists()
    assert not Product.objects.exists()


def test_an_import_without_the_model_keeps_the_products_and_warns(tmp_path: Path, grid: type[Grid]) -> None:
    grid.unavailable = True
    errors = StringIO()
    call_command("import_catalogue", str(folder(tmp_path, 4)), stdout=StringIO(), stderr=errors)
    assert Product.objects.count() == 4
    assert "4 photos wait for another try" in errors.getvalue()


def test_a_build_that_cannot_go_on_says_what_to_do(tmp_path: Path, grid: type[Grid]) -> None:
    grid.unavailable = True
    with pytest.raises(CommandError, match="sync_index"):
        run(folder(tmp_path, MIN_PHOTOS))
    assert Product.objects.count() == MIN_PHOTOS


def test_the_demo_is_searchable_and_goes_again(django_capture_on_commit_callbacks: Any) -> None:
    call_command("load_demo", "--products", "3", verbosity=0)
    product = Product.objects.get(sku="DEMO-0001")
    assert len(results.similar_to(product, 5)) == 2
    with django_capture_on_commit_callbacks(execute=True):
        call_command("load_demo", "--remove", verbosity=0)
    indexing.sync()
    assert not Product.objects.exists()
    assert set(IndexEntry.objects.values_list("state", flat=True)) == {"gone"}


def test_what_waits_longer_ends_the_catching_up(grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    upkeep.catch_up()
    assert IndexEntry.objects.get().state == "pending"
    with pytest.raises(BuildInterrupted, match="asleep"):
        building.rebuild()
