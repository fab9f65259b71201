"""Whether catalogue, ledger and index agree, and what mends them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from catalogue.models import Product, ProductImage
from search import worker
from search.exceptions import IndexMissing
from search.indexes import index_of
from search.indexes.base import Document
from search.lifecycle import audit, jobs, upkeep
from search.lifecycle.audit import Difference, Entry, Standing
from search.models import Embedding, IndexEntry, IndexJob, IndexVersion
from search.writing import indexing, ledger
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


@pytest.fixture
def version() -> IndexVersion:
    """Five photos, indexed."""
    for seed in range(5):
        shop.product(f"p{seed}", photo(seed=seed))
    indexing.reconcile()
    return ledger.ensure_live_version()


def photos() -> list[int]:
    return list(ProductImage.objects.order_by("pk").values_list("pk", flat=True))


def document(version: IndexVersion, photo_id: int, generation: int) -> Document:
    vector = np.zeros(version.width, np.float32)
    vector[0] = 1
    return Document(photo_id=photo_id, generation=generation, vector=vector, product_id=1)


# What can be wrong: each leaves the three as they should never be -----------------------------------------------

Spoil = Callable[[IndexVersion, int], int]


def lost_document(version: IndexVersion, pk: int) -> int:
    """With a deletion that the ledger knows nothing of."""
    index_of(version).delete({pk: 1_000})
    return pk


def lost_entry(version: IndexVersion, pk: int) -> int:
    IndexEntry.objects.filter(photo_id=pk).delete()
    return pk


def entry_gone(version: IndexVersion, pk: int) -> int:
    IndexEntry.objects.filter(photo_id=pk).update(state="gone")
    return pk


def old_document(version: IndexVersion, pk: int) -> int:
    IndexEntry.objects.filter(photo_id=pk).update(generation=9)
    return pk


def newer_document(version: IndexVersion, pk: int) -> int:
    """As after the database was set back to a copy of it."""
    index_of(version).upsert([document(version, pk, 50)])
    return pk


def failed_with_document(version: IndexVersion, pk: int) -> int:
    IndexEntry.objects.filter(photo_id=pk).update(state="failed")
    image = ProductImage.objects.get(pk=pk)
    image.file.storage.delete(image.file.name)
    Embedding.objects.filter(digest=image.sha256).delete()
    return pk


def document_of_nothing(version: IndexVersion, pk: int) -> int:
    index_of(version).upsert([document(version, 999, 7)])
    return 999


def entry_of_nothing(version: IndexVersion, pk: int) -> int:
    IndexEntry.objects.create(version=version, photo_id=999, generation=3, state="indexed")
    return 999


def risen_document(version: IndexVersion, pk: int) -> int:
    """A late write that has brought a deleted photo back."""
    product = Product.objects.get(photos=pk)
    product.delete()
    indexing.sync()
    index_of(version).upsert([document(version, pk, 60)])
    return pk


FAULTS: dict[str, list[Spoil]] = {
    "missing": [lost_document, lost_entry, entry_gone],
    "stale": [old_document, newer_document, failed_with_document],
    "orphaned": [document_of_nothing, entry_of_nothing, risen_document],
}
ALL = [(kind, spoil) for kind, faults in FAULTS.items() for spoil in faults]


def test_where_all_agree_nothing_is_found(version: IndexVersion) -> None:
    findings = audit.run()
    assert (findings.photos, findings.total, findings.first, findings.agree) == (5, 0, {}, True)


@pytest.mark.parametrize(("kind", "spoil"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_each_difference_is_found_and_repaired_through_the_ledger(
    version: IndexVersion, kind: str, spoil: Spoil
) -> None:
    wrong = spoil(version, photos()[2])
    before = IndexEntry.objects.filter(photo_id=wrong).values_list("generation", flat=True).first() or 0
    findings = audit.run()
    assert findings.first == {kind: [wrong]}
    assert findings.total == 1
    assert not findings.agree

    repaired = audit.run(repair=True)
    assert (repaired.total, repaired.repaired, repaired.agree) == (0, 1, True)
    assert IndexEntry.objects.get(photo_id=wrong).generation > before
    assert audit.run().agree
    documents = dict(index_of(version).ids())
    assert set(documents) == set(photos()) - ({wrong} if spoil is failed_with_document else set())


def test_many_differences_are_counted_and_the_first_named(
    version: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    monkeypatch.setattr(audit, "AGAIN", 4)
    for number in range(900, 900 + 2 * audit.NAMED):
        index_of(version).upsert([document(version, number, 1)])
    for pk in photos():
        old_document(version, pk)
    findings = audit.run()
    assert (findings.orphaned, findings.stale, findings.missing) == (20, 5, 0)
    assert findings.first["orphaned"] == list(range(900, 900 + audit.NAMED))
    assert findings.first["stale"] == photos()
    assert audit.run(repair=True).repaired == 25


def test_photos_that_are_pending_or_failed_in_order_are_no_difference(version: IndexVersion) -> None:
    damaged = ProductImage.objects.get(product__sku="p0")
    damaged.file.storage.delete(damaged.file.name)
    Product.objects.filter(sku="p0").update(price=1)
    damaged.set_content(photo("hat"))
    damaged.save()
    damaged.file.storage.delete(damaged.file.name)
    indexing.sync()
    Product.objects.filter(sku="p1").update(price=1)
    Product.objects.get(sku="p2").delete()
    states = set(IndexEntry.objects.values_list("state", flat=True))
    assert states == {"failed", "pending", "indexed"}
    assert audit.run().agree


def test_what_is_indexed_between_the_two_looks_is_no_difference(version: IndexVersion) -> None:
    Product.objects.filter(sku="p1").update(price=1)

    def work(stage: str, done: int, total: int) -> None:
        if done == 0:
            indexing.sync()

    seen = ledger.ensure_live_version()
    rows = dict(audit._standings(seen))  # what a slow look had seen before
    doubtful = list(rows)
    indexing.sync()
    findings = audit.Findings()
    audit._look_again(seen, doubtful, findings)
    assert findings.total == 0
    assert audit.run(work).agree


def test_what_changes_while_it_is_looked_at_again_is_no_difference(
    version: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = old_document(version, photos()[0])
    index = index_of(version)

    def meanwhile(ids: list[int]) -> dict[int, int]:
        Product.objects.filter(photos=wrong).update(price=1)
        return type(index).generations(index, ids)

    monkeypatch.setattr(index, "generations", meanwhile, raising=False)
    assert audit.run().agree


def test_a_lost_index_is_reported(version: IndexVersion) -> None:
    index_of(version).drop()
    with pytest.raises(IndexMissing, match="rebuild_index"):
        audit.run()
    assert IndexJob.objects.get().state == "failed"


def test_a_repair_without_the_model_says_that_photos_wait(version: IndexVersion, grid: type[Grid]) -> None:
    lost_entry(version, photos()[0])
    image = ProductImage.objects.get(pk=photos()[0])
    image.set_content(photo("dress"))
    ProductImage.objects.filter(pk=image.pk).update(sha256=image.sha256, file=image.file)
    IndexEntry.objects.filter(photo_id=image.pk).delete()
    grid.unavailable = True
    findings = audit.run(repair=True)
    assert (findings.repaired, findings.waiting, findings.agree) == (1, 1, False)


def test_the_last_result_is_kept(version: IndexVersion) -> None:
    lost_entry(version, photos()[0])
    audit.run()
    kept = jobs.last(IndexJob.Kind.AUDIT)
    assert kept is not None
    assert (kept.version, kept.photos, kept.result["missing"]) == (version, 5, 1)
    IndexJob.objects.update(ended=timezone.now() - timedelta(days=200))
    jobs.forget()
    assert jobs.last(IndexJob.Kind.AUDIT) == kept


@pytest.mark.parametrize(
    ("standing", "difference"),
    [
        (Standing(True, Entry(3, "indexed"), 3), None),
        (Standing(True, Entry(3, "indexed"), None), Difference.MISSING),
        (Standing(True, None, None), Difference.MISSING),
        (Standing(True, None, 3), Difference.MISSING),
        (Standing(True, Entry(3, "indexed"), 2), Difference.STALE),
        (Standing(True, Entry(3, "pending"), None), None),
        (Standing(True, Entry(3, "failed"), None), None),
        (Standing(True, Entry(3, "failed"), 2), Difference.STALE),
        (Standing(False, Entry(3, "gone"), None), None),
        (Standing(False, Entry(3, "gone"), 2), Difference.ORPHANED),
        (Standing(False, Entry(3, "indexed"), None), Difference.ORPHANED),
        (Standing(False, None, 2), Difference.ORPHANED),
        (Standing(False, Entry(3, "pending"), 2), None),
    ],
)
def test_what_counts_as_a_difference(standing: Standing, difference: Difference | None) -> None:
    assert standing.difference() == difference


# When a worker looks by itself ---------------------------------------------------------------------------------


def test_a_worker_looks_once_a_day(version: IndexVersion) -> None:
    assert not audit.due()  # the shop has just been opened
    IndexVersion.objects.update(created=timezone.now() - audit.EVERY - timedelta(minutes=1))
    assert audit.due()
    audit.run()
    assert not audit.due()
    IndexJob.objects.update(created=timezone.now() - audit.EVERY - timedelta(minutes=1))
    assert audit.due()


def test_the_worker_audits_when_it_is_due_and_logs_differences(
    version: IndexVersion, caplog: pytest.LogCaptureFixture
) -> None:
    upkeep.maintain()
    assert not IndexJob.objects.exists()
    lost_document(version, photos()[0])
    IndexVersion.objects.update(created=timezone.now() - timedelta(days=2))
    for _round in range(2):
        upkeep.maintain()
    assert IndexJob.objects.get().result["missing"] == 1
    assert "1 photos missing, 0 stale, 0 orphaned. Run “manage.py audit_index --repair”" in caplog.text


def test_the_worker_does_not_audit_while_a_job_is_queued_or_running(version: IndexVersion) -> None:
    IndexVersion.objects.update(created=timezone.now() - timedelta(days=2))
    run, _new = jobs.ask(IndexJob.Kind.SYNC)
    assert not audit.due()
    jobs.cancel(run.pk)
    with jobs.recorded(IndexJob.Kind.REBUILD):
        assert not audit.due()
    assert audit.due()


def test_a_shop_without_an_index_has_nothing_to_look_at() -> None:
    assert not audit.due()


@pytest.mark.parametrize("repair", [False, True])
def test_staff_have_the_worker_look_and_repair(version: IndexVersion, repair: bool) -> None:
    lost_entry(version, photos()[0])
    jobs.ask(IndexJob.Kind.AUDIT, options={"repair": repair})
    taken = IndexJob.objects.take()
    assert taken is not None
    worker.perform(taken)
    taken.refresh_from_db()
    assert (taken.state, taken.result["missing"], taken.result["repaired"]) == ("done", int(not repair), int(repair))


# The command ------------------------------------------------------------------------------------------------


def told(*options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("audit_index", "--json", *options, stdout=out)
    return dict(json.loads(out.getvalue()))


def test_audit_index_tells_that_all_agree(version: IndexVersion) -> None:
    assert told() == {
        "photos": 5, "missing": 0, "stale": 0, "orphaned": 0, "first": {}, "repaired": 0, "waiting": 0
    }  # fmt: skip


def test_audit_index_fails_until_what_it_finds_is_repaired(
    version: IndexVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    lost_document(version, photos()[0])
    with pytest.raises(SystemExit) as ended:
        told()
    assert ended.value.code == 1
    assert "audit_index --repair" in capsys.readouterr().err
    assert told("--repair")["repaired"] == 1
    assert told()["missing"] == 0
