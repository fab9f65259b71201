"""Tells the workers about changes, if there is a broker: one message for each transaction, and no failed saves.

A message only names photos. What to do with them is in the ledger, so a message may be lost, duplicated or late: the
workers look for pending photos every minute anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from resilience.breaker import Breaker

logger = logging.getLogger(__name__)

#: Photos that a person saves at once. More of them in one transaction are an import or a change of many products, and
#: wait where nobody waits for them.
BY_HAND = 32
#: Photos of one message.
MESSAGE = 500
_breaker = Breaker()


class Batch:
    """The photos that one transaction has changed; called when it is committed."""

    def __init__(self) -> None:
        self.ids: set[int] = set()

    def __call__(self) -> None:
        publish(sorted(self.ids))


def away() -> bool:
    """Whether a broker is configured but does not answer. Takes at most a second."""
    if not settings.REDIS_URL:
        return False
    import redis

    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1) as connection:
            connection.ping()
    except redis.RedisError as error:
        logger.warning("Redis does not answer: %s", error)
        return True
    return False


def tell(ids: Iterable[int]) -> None:
    """Tell the workers about these photos when the current transaction is committed."""
    if not settings.REDIS_URL:
        return
    callbacks = transaction.get_connection().run_on_commit
    batch = next((callback for _, callback, _ in callbacks if isinstance(callback, Batch)), None)
    if batch is None:
        batch = Batch()
        # Not by `on_commit`, which would tie it to the savepoint that is open now. Photos of one that is rolled back
        # are in the batch for nothing: none of their entries is pending.
        callbacks.append((set(), batch, True))
    batch.ids.update(ids)


def publish(ids: list[int]) -> None:
    """Send the workers these photos. If the broker is unavailable, that is logged and nothing else happens."""
    from search import tasks

    if _breaker.refusal():
        return
    task = tasks.sync if len(ids) <= BY_HAND else tasks.sync_many
    try:
        for start in range(0, len(ids), MESSAGE):
            task.delay(ids[start : start + MESSAGE])
    except Exception as error:
        # Any error: the change is committed, and must not look as if it had failed.
        logger.warning(
            "The workers could not be told of changed photos (%s: %s). They look for what is pending each minute.",
            type(error).__name__,
            error,
        )
        _breaker.open(error)
    else:
        _breaker.close()
