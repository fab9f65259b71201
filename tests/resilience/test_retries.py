from __future__ import annotations

import pytest

from resilience.retries import retrying


class Flaky:
    """Fails with each of these errors in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def is_temporary(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)


def test_temporary_errors_are_retried_until_the_call_succeeds() -> None:
    call = Flaky(TimeoutError("one"), TimeoutError("two"))
    assert retrying(is_temporary, attempts=3, first_pause=0)(call) == "answer"
    assert call.calls == 3


def test_a_permanent_error_is_raised_at_once() -> None:
    call = Flaky(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        retrying(is_temporary, attempts=3, first_pause=0)(call)
    assert call.calls == 1


def test_the_last_error_is_raised_after_all_attempts() -> None:
    call = Flaky(TimeoutError("one"), TimeoutError("two"))
    with pytest.raises(TimeoutError, match="two"):
        retrying(is_temporary, attempts=2, first_pause=0)(call)


def test_no_attempt_starts_after_the_deadline() -> None:
    call = Flaky(TimeoutError("one"))
    with pytest.raises(TimeoutError, match="one"):
        retrying(is_temporary, seconds=0, first_pause=60)(call)
    assert call.calls == 1
