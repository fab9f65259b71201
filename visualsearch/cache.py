"""The shared cache in Redis. The site keeps running without it: what cannot be read counts as missing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import orjson
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import RedisError

from resilience.breaker import Breaker
from visualsearch.cachetable import JSON, UNREADABLE, log_refused

logger = logging.getLogger(__name__)

T = TypeVar("T")

breaker = Breaker()
"""Shared by the process, since Django makes a client for each thread."""


class Client(RedisCacheClient):
    """Django's client, which treats an unavailable Redis as an empty cache that drops what is written to it."""

    def __init__(self, servers: list[str], **options: Any) -> None:
        super().__init__(servers, serializer=cast(Any, JSON()), **options)

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        return self._ask(partial(super().add, key, value, timeout), True)

    def get(self, key: Any, default: Any) -> Any:
        value = self._ask(partial(super().get, key, default), default)
        return default if value is UNREADABLE else value

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        self._ask(partial(super().set, key, value, timeout), None)

    def touch(self, key: Any, timeout: Any) -> bool:
        return self._ask(partial(super().touch, key, timeout), False)

    def delete(self, key: Any) -> bool:
        return self._ask(partial(super().delete, key), False)

    def get_many(self, keys: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = self._ask(partial(super().get_many, keys), {})
        return {key: value for key, value in found.items() if value is not UNREADABLE}

    def has_key(self, key: Any) -> bool:
        return self._ask(partial(super().has_key, key), False)

    def incr(self, key: Any, delta: int) -> Any:
        """Raises ValueError where there is no such key, as with any cache."""
        value = self._ask(partial(super().incr, key, delta), None)
        if value is None:
            raise ValueError(f"Key {key!r} not found.")
        return value

    def set_many(self, data: Any, timeout: Any) -> None:
        self._ask(partial(super().set_many, data, timeout), None)

    def delete_many(self, keys: Any) -> None:
        self._ask(partial(super().delete_many, keys), None)

    def spend(self, key: Any, cost: int, limit: int, period: int) -> tuple[int, float, bool] | None:
        """What is used, the seconds that are left, and whether there was room. Returns None if Redis
        is unavailable."""
        return self._ask(partial(self._spend, key, cost, limit, period), None)

    def _spend(self, key: Any, cost: int, limit: int, period: int) -> tuple[int, float, bool]:
        client = self.get_client(write=True)
        used, left, allowed = client.eval(_SPEND, 1, key, cost, limit, period * 1_000)
        return int(used), left / 1_000, bool(allowed)

    def delete_like(self, pattern: str) -> None:
        """Delete the keys that match a Redis pattern."""
        self._ask(partial(self._delete_like, pattern), None)

    def _delete_like(self, pattern: str) -> None:
        client = self.get_client(write=True)
        for key in client.scan_iter(match=pattern, count=1_000):
            client.unlink(key)

    def _ask(self, question: Callable[[], T], otherwise: T) -> T:
        if breaker.refusal():
            return otherwise
        try:
            answer = question()
        except orjson.JSONEncodeError as error:
            log_refused(error)
            return otherwise
        except RedisError as error:
            if breaker.open(error):
                logger.warning(
                    "Redis is unavailable (%s: %s). The site runs without its cache.", type(error).__name__, error
                )
            return otherwise
        if breaker.close():
            logger.warning("Redis is available again.")
        return answer


_SPEND = """
local cost, limit, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local left = redis.call('PTTL', KEYS[1])
if left <= 0 or left > period then used, left = 0, period end
if used + cost > limit then return {used, left, 0} end
redis.call('SET', KEYS[1], used + cost, 'PX', left)
return {used + cost, left, 1}
"""
"""Counts within a window that begins with its first key, as `search.web.throttling` does in the database."""


class Cache(RedisCache):
    """Django's Redis cache with the tolerant client. It shares its Redis database with the broker's queues."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = Client

    def spend(self, key: str, cost: int, limit: int, period: int) -> tuple[int, float, bool] | None:
        """Count in a window of `period` seconds that admits `limit`: one atomic step, for all processes.

        Returns what is used, the seconds until the window ends, and whether there was room; None if Redis is
        unavailable.
        """
        return cast(Client, self._cache).spend(self.make_and_validate_key(key), cost, limit, period)

    def clear(self) -> None:
        """Delete only the cache's keys: Django would flush the database, and the broker's messages with it."""
        cast(Client, self._cache).delete_like(f"{self.key_prefix}:*")
