from __future__ import annotations

import pytest

from resilience import breaker
from resilience.breaker import Breaker
from search.exceptions import EmbedderError, EmbedderUnavailable


def fail(found: Breaker, error: Exception, timeout: float) -> None:
    with pytest.raises(type(error), match=str(error)), found.guard(EmbedderUnavailable, timeout):
        raise error


def test_while_one_tries_again_the_others_are_refused_and_then_let_through(monkeypatch):
    monkeypatch.setattr(breaker, "REST", 0.0)
    found = Breaker()
    fail(found, EmbedderUnavailable("It hangs."), 0.0)
    with found.guard(EmbedderUnavailable, 60):
        for _ in range(3):
            with pytest.raises(EmbedderUnavailable, match="It hangs"), found.guard(EmbedderUnavailable, 60):
                pytest.fail("It was let through.")
    with found.guard(EmbedderUnavailable, 60), found.guard(EmbedderUnavailable, 60):
        pass


@pytest.mark.parametrize("error", [EmbedderUnavailable("Busy."), EmbedderError("Wrong."), ValueError("Odd.")])
def test_what_fails_without_a_wait_refuses_nobody(error):
    found = Breaker()
    fail(found, error, 60)
    with found.guard(EmbedderUnavailable, 60):
        pass


def test_a_try_that_never_ends_does_not_keep_the_others_out_for_ever(monkeypatch):
    monkeypatch.setattr(breaker, "REST", 0.0)
    found = Breaker()
    fail(found, EmbedderUnavailable("It hangs."), 0.0)
    with found.guard(EmbedderUnavailable, 0.0), found.guard(EmbedderUnavailable, 60):
        pass


def test_an_error_without_a_message_opens_the_breaker_too():
    found = Breaker()
    assert found.open(TimeoutError())
    assert found.refusal() == "TimeoutError"
