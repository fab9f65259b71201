from __future__ import annotations

import os
import threading

import pytest

from resilience.perprocess import PerProcess


def test_all_threads_of_a_process_share_one_object() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    shared = PerProcess(make)
    threads = [threading.Thread(target=shared.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [shared.get()]


def test_a_forked_process_makes_its_own_object(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = PerProcess(object)
    parents = shared.get()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert shared.get() is not parents


def test_an_object_that_could_not_be_made_is_made_at_the_next_call() -> None:
    results: list[object] = [1]

    def make() -> object:
        if results:
            raise OSError(results.pop())
        return "object"

    shared = PerProcess(make)
    with pytest.raises(OSError, match="1"):
        shared.get()
    assert shared.get() == "object"
