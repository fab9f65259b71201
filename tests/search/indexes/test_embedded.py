from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from django.db import connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from search.exceptions import IndexMissing
from search.indexes import embedded
from search.indexes.embedded import EmbeddedBackend
from search.models import IndexDelta, IndexVersion
from tests.search.indexes.contract import (
    WIDTH,
    VectorIndexContract,
    document,
    found,
    new_version,
    thorough,
)

QUERY = np.ones(WIDTH, np.float32)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "indexes"


@pytest.fixture
def make_backend(folder):
    return lambda: EmbeddedBackend("default", folder=folder)


@pytest.fixture
def index(db, make_backend):
    index = make_backend().open(new_version())
    index.create()
    return index


@pytest.fixture
def compacting(monkeypatch):
    """Every `maintain` with a change at all writes a new file."""
    monkeypatch.setattr(embedded, "_LEAST_CHANGES", 0)
    monkeypatch.setattr(embedded, "_CHANGED_SHARE", 0)


class TestEmbeddedIndex(VectorIndexContract):
    pass


@pytest.mark.usefixtures("compacting")
class TestCompactedEmbeddedIndex(VectorIndexContract):
    pass


def files(index) -> list[str]:
    return sorted(path.name for path in index._snapshots.path.iterdir())


def base_of(index) -> int:
    return IndexVersion.objects.values_list("base_sequence", flat=True).get(pk=index.version.pk)


def test_few_changes_are_not_worth_a_new_file(index):
    index.upsert([document(photo_id) for photo_id in range(1, 1_001)])
    index.maintain()
    assert base_of(index) == 1
    index.delete({1: 1})
    index.upsert([document(2_000)])
    index.maintain()
    assert base_of(index) == 4
    assert not IndexDelta.objects.exists()
    assert found(index, k=2_000) == [*range(2, 1_001), 2_000]


def test_a_compacted_index_remembers_its_deletions(compacting, index, make_backend):
    index.upsert([document(1, generation=3)])
    index.delete({1: 5, 2: 5})
    index.maintain()
    assert not IndexDelta.objects.exists()
    late = make_backend().open(index.version)
    late.upsert([document(1, generation=5), document(2, generation=4)])
    assert found(late) == []
    late.maintain()
    late.upsert([document(1, generation=6)])
    late.maintain()
    assert found(make_backend().open(index.version)) == [1]
    late.delete({1: 5})
    assert found(late) == [1]


def test_the_file_before_the_last_is_kept_for_readers_under_way(compacting, index, make_backend):
    for photo_id in (1, 2, 3):
        index.upsert([document(photo_id)])
        index.maintain()
    assert files(index) == ["3.npz", "4.npz"]
    assert found(make_backend().open(index.version)) == [1, 2, 3]


def test_a_reader_that_missed_changes_before_they_went_into_a_file_loads_it(compacting, index, make_backend):
    late = make_backend().open(index.version)
    index.upsert([document(1), document(2)])
    assert found(late) == [1, 2]
    index.delete({1: 2})
    index.maintain()
    index.upsert([document(3)])
    assert found(late) == [2, 3]


def test_a_reader_takes_a_file_that_was_replaced_while_it_opened_it(compacting, index, make_backend):
    late = make_backend().open(index.version)
    index.upsert([document(1)])
    changes = type(late)._changes
    interrupted = []

    def overtaken(since):
        seen = changes(late, since)
        if not interrupted:
            interrupted.append(True)
            for photo_id in (2, 3):
                index.upsert([document(photo_id)])
                index.maintain()
        return seen

    late._changes = overtaken
    assert found(late) == [1, 2, 3]


def test_of_several_workers_one_compacts(compacting, shared_database, make_backend):
    index = make_backend().open(new_version())
    index.create()
    index.upsert([document(photo_id) for photo_id in range(1, 50)])

    def maintain(worker):
        try:
            worker.maintain()
        finally:
            connections.close_all()

    workers = [make_backend().open(index.version) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(maintain, workers))
    assert files(index) == ["1.npz", "2.npz"]
    assert found(make_backend().open(index.version)) == list(range(1, 50))


def test_a_worker_that_another_was_quicker_than_removes_nothing(compacting, index, make_backend):
    index.upsert([document(1)])
    slow = make_backend().open(index.version)
    changes = type(slow)._changes

    def overtaken(since):
        index.maintain()
        return changes(slow, since)

    slow._changes = overtaken
    slow.maintain()
    assert files(index) == ["1.npz", "2.npz"]


@thorough
@given(data=st.data())
def test_a_damaged_file_is_detected_or_harmless(compacting, db, make_backend, data):
    index = make_backend().open(new_version())
    index.create()
    index.upsert([document(1), document(2, -QUERY)])
    index.maintain()
    path = index._snapshots.path / f"{base_of(index)}.npz"
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    told = f"The index file {path} is damaged: run “manage.py rebuild_index”."
    assert answer(make_backend().open(index.version)) in ([1, 2], told)


def answer(index) -> list[int] | str:
    try:
        return found(index)
    except IndexMissing as error:
        return str(error)


def test_a_lost_file_is_detected(index, make_backend):
    (index._snapshots.path / f"{base_of(index)}.npz").unlink()
    with pytest.raises(IndexMissing, match="rebuild_index"):
        make_backend().open(index.version).search(QUERY, 3)
    with pytest.raises(IndexMissing, match="rebuild_index"):
        index.upsert([document(1)])


def test_dropping_removes_the_files(index, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        index.drop()
    assert not index._snapshots.path.exists()


def test_a_change_that_is_rolled_back_was_never_seen_by_others(shared_database, make_backend):
    index = make_backend().open(new_version())
    index.create()
    index.upsert([document(1)])
    assert found(index) == [1]
    with transaction.atomic():
        index.upsert([document(2)])
        assert found(index) == [1, 2]
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(look_once, index).result() == [1]
        transaction.set_rollback(True)
    # The next change takes the number that was rolled back.
    index.upsert([document(3)])
    assert found(index) == [1, 3]


def look_once(index):
    try:
        return found(index)
    finally:
        connections.close_all()


def test_a_database_that_was_set_back_is_followed(shared_database, make_backend):
    index = make_backend().open(new_version())
    index.create()
    index.upsert([document(1)])
    before = IndexVersion.objects.values().get(pk=index.version.pk)
    index.upsert([document(2)])
    assert found(index) == [1, 2]
    IndexDelta.objects.filter(photo_id=2).delete()
    IndexVersion.objects.filter(pk=index.version.pk).update(sequence=before["sequence"])
    assert found(index) == [1]


SECOND_PROCESS = """
import sys
from pathlib import Path
import django
from django.conf import settings

django.setup()
settings.DATABASES["default"]["NAME"] = sys.argv[1]

import numpy as np
from search.indexes.base import Document
from search.indexes.embedded import EmbeddedBackend
from search.models import IndexVersion

index = EmbeddedBackend("default", folder=Path(sys.argv[2])).open(IndexVersion.objects.get(pk=int(sys.argv[3])))
for line in sys.stdin:
    order, photo_id = line.split()
    if order == "add":
        vector = np.ones(index.version.width, np.float32)
        index.upsert([Document(photo_id=int(photo_id), generation=1, vector=vector, product_id=1)])
    elif order == "delete":
        index.delete({int(photo_id): 1})
    hits = index.search(np.ones(index.version.width, np.float32), 10)
    print(*(hit.photo_id for hit in hits), flush=True)
"""


def test_another_process_sees_changes_at_its_next_search(compacting, shared_database, make_backend, folder):
    name = connections["default"].settings_dict["NAME"]
    index = make_backend().open(new_version())
    index.create()
    index.upsert([document(1)])
    arguments = [sys.executable, "-c", SECOND_PROCESS, name, str(folder), str(index.version.pk)]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "visualsearch.settings",
        "DATA_DIR": str(folder.parent / "data"),
    }
    with subprocess.Popen(  # noqa: S603
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env=environment,
    ) as process:

        def other(order: str, photo_id: int = 0) -> str:
            print(order, photo_id, file=process.stdin, flush=True)
            return process.stdout.readline().strip()

        assert other("look") == "1"
        index.upsert([document(2)])
        assert other("look") == "1 2"
        index.delete({1: 2})
        index.maintain()
        assert other("add", 3) == "2 3"
        assert found(index) == [2, 3]
        assert other("delete", 2) == "3"
        assert found(index) == [3]
        process.stdin.close()
    assert process.returncode == 0


def test_many_small_changes_leave_few_segments(index):
    for photo_id in range(1, 65):
        index.upsert([document(photo_id)])
        index.upsert([document(1, generation=photo_id + 1)])
    contents = index._current()
    for generation in range(66, 120):
        contents = contents.changed(*changed(contents, generation))
        assert len(contents.segments) <= 8
        assert sum(len(segment.alive) for segment in contents.segments) <= 64 * 1.2
    assert contents.count() == 64


def changed(contents, generation):
    rows = contents.segments[0].living
    return (
        contents.sequence + 1,
        rows.take(np.arange(1))._replace(generation=np.array([generation])),
        np.array([], int),
    )


def test_a_process_keeps_the_versions_that_it_used_last(db, make_backend):
    backend = make_backend()
    versions = [new_version() for _ in range(4)]
    first, second, *_ = [backend.open(version) for version in versions[:3]]
    assert backend.open(versions[0]) is first
    backend.open(versions[3])
    assert backend.open(versions[0]) is first
    assert backend.open(versions[1]) is not second


def test_a_search_asks_the_database_once(index, django_assert_num_queries):
    index.upsert([document(1)])
    index.search(QUERY, 3)
    with django_assert_num_queries(1):
        index.search(QUERY, 3)


def test_a_number_beyond_float16_is_refused(index):
    with pytest.raises(ValueError, match="too large"):
        index.upsert([document(1, QUERY * 1e5)])


def test_a_folder_that_cannot_be_made_is_reported_by_the_checks(tmp_path):
    assert EmbeddedBackend("default", folder=tmp_path / "new" / "indexes").check() == []
    (tmp_path / "file").touch()
    [error] = EmbeddedBackend("default", folder=tmp_path / "file" / "indexes").check()
    assert "cannot keep its files" in error.msg


def test_importing_the_backend_does_not_load_faiss():
    program = "import sys, django; django.setup(); import search.indexes.embedded; sys.exit('faiss' in sys.modules)"
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=60)  # noqa: S603
