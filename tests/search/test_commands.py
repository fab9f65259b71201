"""The commands of search, as a person or a supervisor runs them."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command

from catalogue.models import Product, ProductImage
from evaluation.management.commands import evaluate
from search import worker as work
from search.lifecycle import building, gate, jobs
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.vision import matches
from search.writing import indexing, ledger
from search.writing.embedding import Embedded
from tests import shop
from tests.drawing import photo
from tests.search.builds import unfinished
from tests.search.grid import Grid, configured

pytestmark = pytest.mark.usefixtures("grid")


def told(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def figures(*command: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(told(*command, "--json"))
    return answer


# sync_index, index_status, rebuild_index --------------------------------------------------------------------


@pytest.mark.django_db
def test_sync_index_indexes_what_is_pending_and_says_how_many() -> None:
    shop.product("a", photo(), photo("hat"))
    assert figures("sync_index") == {"indexed": 2, "gone": 0, "failed": 0, "postponed": 0}
    assert "indexed: 0" in told("sync_index")


@pytest.mark.django_db
def test_sync_index_fails_and_points_to_the_reasons_when_the_model_is_away(
    grid: type[Grid], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    with pytest.raises(SystemExit) as ended:
        told("sync_index")
    assert ended.value.code == 1
    assert "index_status" in capsys.readouterr().err
    assert figures("index_status")["reasons"] == {"The model is asleep.": 1}


@pytest.mark.django_db
def test_index_status_counts_photos_by_state_and_tells_why_some_failed() -> None:
    shop.product("a", photo())
    missing = shop.product("b", photo("hat")).photos.get()
    missing.file.storage.delete(missing.file.name)
    indexing.reconcile()
    shop.product("c", photo("dress"))
    status = figures("index_status")
    assert (status["photos"], status["indexed"], status["failed"], status["pending"]) == (3, 1, 1, 1)
    assert status["documents"] == 1
    assert list(status["reasons"].values()) == [1]
    assert status["model"] == "grid"


@pytest.mark.django_db
def test_index_status_tells_of_an_index_of_another_model_than_the_configured(settings: Any) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    assert figures("index_status")["advice"] is None
    settings.EMBEDDERS = {"default": configured("new"), "former": configured()}
    assert "rebuild_index" in figures("index_status")["advice"]


@pytest.mark.django_db
def test_rebuild_index_switches_to_a_new_version_with_every_photo() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    before = ledger.ensure_live_version()
    answer = figures("rebuild_index")
    assert answer["version"] == ledger.ensure_live_version().pk != before.pk
    assert answer["photos"] == 1
    assert answer["projection"] == "nothing"
    assert "fewer than 400" in answer["reason"]


@pytest.mark.django_db
def test_rebuild_index_tells_in_a_sentence_why_it_stopped(grid: type[Grid]) -> None:
    shop.product("a", photo())
    grid.unavailable = True
    with pytest.raises(CommandError, match="asleep"):
        told("rebuild_index")


@pytest.mark.django_db
def test_rebuild_index_knows_only_configured_models() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        told("rebuild_index", "--model", "other")


@pytest.fixture
def other(two_grids: None) -> str:
    """A second model, beside the default."""
    return "other"


@pytest.mark.django_db
def test_rebuild_index_builds_with_another_model_and_goes_back(other: str) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    before = ledger.ensure_live_version()
    assert figures("rebuild_index", "--model", other)["model"] == "other"
    assert figures("index_status")["former"] == before.pk
    answer = figures("rebuild_index", "--rollback")
    assert (answer["version"], answer["model"]) == (before.pk, "grid")
    assert ledger.ensure_live_version() == before


@pytest.mark.django_db
def test_rebuild_index_tells_why_it_cannot_go_back() -> None:
    ledger.ensure_live_version()
    with pytest.raises(CommandError, match="no version to roll back to"):
        told("rebuild_index", "--rollback")


@pytest.mark.django_db
def test_rebuild_index_continues_or_cancels_an_unfinished_build(other: str) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    build = unfinished(other)
    assert figures("rebuild_index")["version"] == build.pk
    build = unfinished()
    assert figures("rebuild_index", "--cancel") == {"discarded": build.pk}
    with pytest.raises(CommandError, match="no rebuild to cancel"):
        told("rebuild_index", "--cancel")
    assert figures("index_status")["building"] is None


@pytest.mark.django_db
def test_rebuild_index_is_forced_where_the_new_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shop.product("a", photo())
    indexing.reconcile()
    monkeypatch.setattr(gate, "RECALL_AT_10", 1.1)
    with pytest.raises(CommandError, match="--force"):
        told("rebuild_index")
    status = figures("index_status")
    assert status["building_gate"]["verdict"] == "refused"
    answer = figures("rebuild_index", "--force")
    assert (answer["version"], answer["gate"]["verdict"]) == (status["building"], "forced")


@pytest.mark.django_db
def test_rebuild_index_says_that_another_job_is_running() -> None:
    with jobs.recorded(IndexJob.Kind.REBUILD), pytest.raises(CommandError, match="Another job is running: rebuild"):
        figures("rebuild_index")


@pytest.mark.django_db
def test_sync_index_leaves_a_former_version_as_it_is() -> None:
    made = shop.product("a", photo())
    indexing.reconcile()
    building.rebuild()
    made.price = 5
    made.save()
    assert figures("sync_index")["indexed"] == 1


# evaluate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def products() -> list[Product]:
    made = shop.fill(per_kind=5)  # 60 photos in four categories
    indexing.reconcile()
    return made


@pytest.mark.django_db
def test_evaluate_measures_precision_colour_and_originals(products: list[Product]) -> None:
    answer = figures("evaluate", "--sample", "3", "--colour-weight", "0", "0.5")
    assert answer["photos"] == 60
    plain, coloured = answer["held_out"]
    assert (plain["colour_weight"], coloured["colour_weight"]) == (0, 0.5)
    assert plain["queries"] == 60
    low, high = plain["P@1"][1:]
    assert 0.25 < low <= plain["P@1"][0] <= high <= 1
    assert set(plain["categories"]) == {"Shirt", "Trousers", "Dress", "Hat"}
    assert coloured["colour_difference"][0] <= plain["colour_difference"][0]
    assert answer["originals"]["JPEG quality 30"] == {
        "queries": 3, "R@1": [1, 1, 1], "same_item": [1, 1, 1]
    }  # fmt: skip
    assert 0.5 < answer["let_through"] <= 1
    assert [row["colour_weight"] for row in answer["feedback"]] == [0, 0, 0, 0.5, 0.5, 0.5]
    assert [row["queries"] for row in answer["feedback"] if row["judged"] == "all queries"] == [60, 60]


@pytest.mark.django_db
def test_evaluate_without_a_sample_asks_neither_the_model_nor_the_files(
    products: list[Product], grid: type[Grid]
) -> None:
    for image in ProductImage.objects.all():
        image.file.storage.delete(image.file.name)
    calls = grid.calls
    text = told("evaluate", "--sample", "0", "--folds", "3")
    assert grid.calls == calls
    assert "Held-out photos" in text
    assert "Trousers" in text
    assert "JPEG" not in text


@pytest.mark.django_db
def test_evaluate_goes_round_photos_whose_files_are_missing(products: list[Product]) -> None:
    for image in ProductImage.objects.order_by("pk")[2:]:
        image.file.storage.delete(image.file.name)
    answer = figures("evaluate", "--sample", "60", "--colour-weight", "0")
    assert answer["originals"]["mirrored"]["queries"] == 2
    assert answer["held_out"][0]["colour_difference"] is None


@pytest.mark.django_db
def test_evaluate_says_what_a_small_shop_lacks() -> None:
    shop.product("a", photo())
    indexing.reconcile()
    with pytest.raises(CommandError, match="at least 50 indexed photos"):
        told("evaluate")


@pytest.mark.django_db
@pytest.mark.parametrize("options", [("--folds", "1"), ("--colour-weight", "0.9"), ("--sample", "-1")])
def test_evaluate_refuses_options_out_of_range(options: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="give a"):
        told("evaluate", *options)


@pytest.mark.django_db
def test_what_is_evaluated_is_in_the_order_of_the_photos(products: list[Product]) -> None:
    photos, ids = evaluate.load(ledger.ensure_live_version())
    assert ids == list(ProductImage.objects.order_by("pk").values_list("pk", flat=True))
    row = ids.index(products[7].photos.get().pk)
    assert photos.products[row] == products[7].pk
    stored = Embedding.objects.get(digest=products[7].photos.get().sha256)
    assert photos.embeddings[row].tobytes() == bytes(stored.embedding)


# work -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_worker_drains_the_ledger_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "STEP", 2)
    ledger.ensure_live_version()
    for seed in range(5):
        shop.product(f"p{seed}", photo(seed=seed))
    work.WorkerTasks(threading.Event().is_set).drain()
    assert set(IndexEntry.objects.values_list("state", flat=True)) == {"indexed"}


@pytest.mark.django_db
def test_a_stopping_worker_starts_no_further_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "STEP", 2)
    ledger.ensure_live_version()
    for seed in range(5):
        shop.product(f"p{seed}", photo("hat", seed=seed))
    stop = threading.Event()
    embed = indexing.embed

    def then_stop(*args: Any) -> Embedded:
        stop.set()
        return embed(*args)

    monkeypatch.setattr(indexing, "embed", then_stop)
    work.WorkerTasks(stop.is_set).drain()
    assert IndexEntry.objects.filter(state="indexed").count() == 2
    assert IndexEntry.objects.filter(state="pending", leased_until=None).count() == 3


@pytest.mark.django_db
def test_the_worker_does_not_ask_a_model_that_is_away_over_and_over(grid: type[Grid]) -> None:
    ledger.ensure_live_version()
    shop.product("a", photo())
    grid.unavailable = True
    work.WorkerTasks(threading.Event().is_set).drain()
    assert grid.calls == 1


@pytest.mark.django_db
def test_the_worker_refits_once_the_catalogue_has_grown_enough() -> None:
    first = ledger.ensure_live_version()
    for seed in range(matches.MIN_PHOTOS):
        shop.product(f"p{seed}", photo(seed=seed))
    work.WorkerTasks(threading.Event().is_set).drain()
    live = IndexVersion.objects.live()
    assert live is not None
    assert (live.pk != first.pk, live.photos) == (True, matches.MIN_PHOTOS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA_DIR with an empty shop."""
    path: Path = tmp_path_factory.mktemp("data")
    subprocess.run([*MANAGE, "migrate", "-v", "0"], env=environment(path), check=True, timeout=120)  # noqa: S603
    return path


MANAGE = [sys.executable, str(site.BASE_DIR / "manage.py")]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return {**kept, "DATA_DIR": str(folder), "LOG_LEVEL": "INFO"}


@pytest.fixture
def worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603
        [*MANAGE, "work", "--pause", "0.05"], env=environment(folder), stderr=subprocess.PIPE, text=True
    )
    yield process
    # In good order: a worker that is killed stays written down as one that is there.
    process.terminate()
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def test_the_worker_removes_uploads_that_nobody_went_on_with(worker: subprocess.Popen[str], folder: Path) -> None:
    abandoned, waiting = (folder / "imports" / "uploads" / (letter * 32) for letter in "ab")
    for path in (abandoned, waiting):
        path.mkdir(parents=True)
        (path / "photos.zip").write_bytes(b"zip")
    os.utime(abandoned, (0, 0))
    until = time.monotonic() + 60
    while abandoned.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not abandoned.exists()
    assert waiting.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_worker_runs_until_a_signal_and_then_ends_in_order(
    worker: subprocess.Popen[str], folder: Path, number: signal.Signals
) -> None:
    assert worker.stderr is not None
    assert "waits for photos" in worker.stderr.readline()
    with sqlite3.connect(folder / "db.sqlite3") as database:
        end = time.monotonic() + 30
        while not database.execute("SELECT count(*) FROM search_indexversion WHERE state = 'live'").fetchone()[0]:
            assert time.monotonic() < end
            time.sleep(0.05)
        worker.send_signal(number)
        _out, log = worker.communicate(timeout=30)
        assert worker.returncode == 0
        assert log.splitlines()[-1].endswith("The worker has stopped.")
        assert "Traceback" not in log
        assert database.execute("SELECT count(*) FROM search_worker WHERE ended IS NULL").fetchone() == (0,)
    database.close()
