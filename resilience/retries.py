"""The one policy for calls that are worth another try: exponential backoff with full jitter, within a deadline."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    stop_never,
    wait_random_exponential,
)

FIRST_PAUSE = 0.2
"""Seconds; the first pause is at most this long, and each later one at most twice as long as the one before."""

LONGEST_PAUSE = 5.0
"""Seconds."""


def retrying(
    worth_retrying: Callable[[BaseException], bool],
    *,
    seconds: float | None = None,
    attempts: int | None = None,
    first_pause: float = FIRST_PAUSE,
    longest_pause: float = LONGEST_PAUSE,
    stop: Callable[[RetryCallState], bool] = stop_never,
) -> Retrying:
    """Return a tenacity `Retrying` that raises the last error when it gives up.

    Each pause is random from 0 up to its limit, so that callers that failed together do not come back together.

    worth_retrying: tells whether an error may go away by itself.
    seconds: no attempt starts later than this after the first.
    attempts: calls in all.
    stop: a further reason to give up, as tenacity defines it.
    """
    within = stop_never if seconds is None else stop_before_delay(seconds)
    at_most = stop_never if attempts is None else stop_after_attempt(attempts)
    return Retrying(
        retry=retry_if_exception(worth_retrying),
        wait=wait_random_exponential(multiplier=first_pause, max=longest_pause),
        stop=within | at_most | stop,  # type: ignore[operator]  # tenacity accepts any callable
        reraise=True,
    )
