"""The shared cache as a table of the database.

Values are JSON, here and in Redis: nothing that somebody has put into a cache is executed, as a pickle would be. What
is no JSON, such as values of earlier releases, counts as not there; what cannot become JSON is logged and not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.cache.backends import db
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone
from django.utils.functional import Promise

logger = logging.getLogger(__name__)

UNREADABLE = object()
"""What a value is that is no JSON."""


FOREVER = datetime(9999, 12, 30, tzinfo=UTC)
"""When a value ends that does not."""


class JSON:
    """Values as JSON. Tuples come back as lists, dataclasses as dicts; lazy text, dates and UUIDs as strings. Bytes
    and other objects are refused with `orjson.JSONEncodeError`, a TypeError."""

    def dumps(self, value: Any) -> bytes:
        return orjson.dumps(value, default=_text)

    def loads(self, data: bytes | str) -> Any:
        """The value, or `UNREADABLE`."""
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return UNREADABLE


def _text(value: Any) -> str:
    """A lazy string as what it says now."""
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def log_refused(error: orjson.JSONEncodeError) -> None:
    """A mistake of ours, or of an app's, for which no page has to fail."""
    logger.error("A value is not cached: %s", error, exc_info=error)


_json = JSON()


class DatabaseCache(db.DatabaseCache):
    """Django's own table and keys, with values of JSON where Django has pickles."""

    # Django's, of which its stubs do not know.
    _table: str
    _cull: Callable[..., None]

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        names = {self.make_and_validate_key(key, version=version): key for key in keys}
        if not names:
            return {}
        connection = connections[router.db_for_read(self.cache_model_class) or "default"]
        table = connection.ops.quote_name(self._table)
        places = ", ".join(["%s"] * len(names))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT cache_key, value FROM {table} WHERE cache_key IN ({places}) AND expires > %s",  # noqa: S608
                [*names, connection.ops.adapt_datetimefield_value(timezone.now())],
            )
            found = {names[name]: _json.loads(value) for name, value in cursor.fetchall()}
        return {key: value for key, value in found.items() if value is not UNREADABLE}

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        """`set`, `add` or `touch`, each in one statement; whether it changed anything."""
        alias = router.db_for_write(self.cache_model_class) or "default"
        connection = connections[alias]
        table = connection.ops.quote_name(self._table)
        now = timezone.now()
        until = self.get_backend_timeout(timeout)
        expires = FOREVER if until is None else datetime.fromtimestamp(until, UTC)
        times = [connection.ops.adapt_datetimefield_value(moment) for moment in (expires.replace(microsecond=0), now)]
        if mode == "touch":
            statement = f"UPDATE {table} SET expires = %s WHERE expires > %s AND cache_key = %s"  # noqa: S608
            values = [*times, key]
        else:
            statement = (
                f"INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "  # noqa: S608
                "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
            )
            try:
                values = [key, _json.dumps(value).decode(), times[0]]
            except orjson.JSONEncodeError as error:
                log_refused(error)
                return False
            if mode == "add":
                statement += f" WHERE {table}.expires <= %s"
                values.append(times[1])
        try:
            with transaction.atomic(using=alias), connection.cursor() as cursor:
                self._make_room(alias, cursor, now)
                cursor.execute(statement, values)
                return bool(cursor.rowcount > 0)
        except DatabaseError:
            return False  # as Django has it: a page does not fail for what it can do without

    def _make_room(self, alias: str, cursor: Any, now: datetime) -> None:
        cursor.execute(f"SELECT COUNT(*) FROM {connections[alias].ops.quote_name(self._table)}")  # noqa: S608
        (count,) = cursor.fetchone()
        if count > self._max_entries:
            self._cull(alias, cursor, now, count)
