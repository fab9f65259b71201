from __future__ import annotations

import pytest

from search import breaker
from search.breaker import Breaker
from search.exceptions import EmbedderError, EmbedderUnavailable


def fail(found: Breaker, error: Exception, timeout: float) -> None:
    with pytest.raises(type(error), match=str(error)), found.guarded(timeout):
        raise error


def test_while_one_tries_again_the_others_are_refused_and_then_let_through(monkeypatch):
    monkeypatch.setattr(breaker, "REST", 0.0)
    found = Breaker(EmbedderUnavailable)
    fail(found, EmbedderUnavailable("It hangs."), 0.0)
    with found.guarded(60):
        for _ in range(3):
            with pytest.raises(EmbedderUnavailable, match="It hangs"), found.guarded(60):
                pytest.fail("It was let through.")
    with found.guarded(60), found.guarded(60):
        pass


@pytest.mark.parametrize("error", [EmbedderUnavailable("Busy."), EmbedderError("Wrong."), ValueError("Odd.")])
def test_what_fails_without_a_wait_refuses_nobody(error):
    found = Breaker(EmbedderUnavailable)
    fail(found, error, 60)
    with found.guarded(60):
        pass


def test_a_try_that_never_ends_does_not_keep_the_others_out_for_ever(monkeypatch):
    monkeypatch.setattr(breaker, "REST", 0.0)
    found = Breaker(EmbedderUnavailable)
    fail(found, EmbedderUnavailable("It hangs."), 0.0)
    with found.guarded(0.0), found.guarded(60):
        pass
