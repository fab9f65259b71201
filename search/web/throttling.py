"""How many searches one client may make, pages and API together, whatever it sends at once.

`SEARCH_RATE` is a number of searches in a period. A client's window begins with its first search and ends a period
later; within it, each search uses as much as it costs (`Cost`). Counting and deciding are one atomic step of what all
processes share: a script in Redis, or a statement of the database. A window of a fixed length needs one number of a
client and is exact within it; over two windows that touch, a client may make the searches of both.

A client that has used up its window is refused from the memory of the process. If Redis is unavailable, or the
database cannot be written to, each process counts by itself.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from search.models import ThrottleWindow
from search.web.clients import client_key

logger = logging.getLogger(__name__)

MOST_CLIENTS = 10_000
"""That a process remembers."""

PATIENCE = 60
"""Seconds for which a statement may wait for its turn, or a machine's clock be late, and still count exactly."""

PERIODS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
"""Seconds, by the first letter of `SEARCH_RATE`'s period."""


class Cost(IntEnum):
    """What a search uses of `SEARCH_RATE`; never more than all of it."""

    STORED = 1  #: from what is stored: a product, an earlier search, another box of its picture
    PICTURE = 2  #: a stranger's picture is decoded, and the model looks at it
    ADDRESS = 3  #: and it is fetched before


@dataclass(frozen=True)
class Window:
    """Where a client stands after it has asked."""

    limit: int
    period: int
    used: int
    #: seconds until it ends
    left: float
    allowed: bool


class SearchThrottle(BaseThrottle):
    """Refuses a client that is known to have used up its window, before its request is read. Counts nothing."""

    window: Window | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        limit, period = parse_rate(settings.SEARCH_RATE)
        self.window = _here.full(client_key(request._request), Cost.STORED, limit, period)
        request._request.search_window = self.window  # type: ignore[attr-defined]
        return self.window is None

    def wait(self) -> float | None:
        return self.window.left if self.window else None


class SearchingView(APIView):
    """A view whose requests count as searches: it calls `charge` when it knows what one costs.

    A request that fails before that, such as one whose body cannot be read, or that costs more than is left, counts
    as the cheapest search: reading it costs something too.
    """

    throttle_classes = [SearchThrottle]

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        plain = getattr(request, "_request", request)
        window: Window | None = getattr(plain, "search_window", None)
        if window is None or not window.allowed:
            spend(plain, Cost.STORED)
        return super().finalize_response(request, response, *args, **kwargs)


def charge(request: HttpRequest | Request, cost: Cost) -> None:
    """Count a search. Raises Throttled if the client has made too many."""
    if not (window := spend(request, cost)).allowed:
        raise Throttled(window.left)


def spend(request: HttpRequest | Request, cost: int) -> Window:
    """Count a search of the client, if its window has room for it."""
    plain = request._request if isinstance(request, Request) else request
    limit, period = parse_rate(settings.SEARCH_RATE)
    client, cost = client_key(plain), int(min(cost, limit))
    window = _here.full(client, cost, limit, period)
    if window is None:
        window = _shared(client, cost, limit, period)
        if window is None:
            window = _here.spend(client, cost, limit, period)
        else:
            _here.note(client, window)  # also for the case that the shared count goes away
    plain.search_window = window  # type: ignore[attr-defined]  # for `RateLimit`
    return window


def forget() -> None:
    """Forget what this process remembers of clients."""
    _here.clear()


class RateLimit:
    """Middleware: says what is left to a client of its searches, as draft-ietf-httpapi-ratelimit-headers has it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        window: Window | None = getattr(request, "search_window", None)
        if window is not None:
            seconds = max(1, math.ceil(window.left))
            response.headers["RateLimit-Policy"] = f'"search";q={window.limit};w={window.period}'
            response.headers["RateLimit"] = f'"search";r={max(0, window.limit - window.used)};t={seconds}'
            if not window.allowed:
                response.headers["Retry-After"] = str(seconds)
        return response


@lru_cache
def parse_rate(rate: str) -> tuple[int, int]:
    """`60/min` -> 60 searches in 60 seconds."""
    number, _slash, period = rate.partition("/")
    return int(number), PERIODS[period[0]]


# Counting ---------------------------------------------------------------------------------------------------


def _shared(client: str, cost: int, limit: int, period: int) -> Window | None:
    """Count in what all processes share: the cache if it can count, else the database. None if unavailable."""
    count = getattr(cache, "spend", None)
    if count is None:
        try:
            return _in_database(client, cost, limit, period)
        except (OperationalError, InterfaceError) as error:
            # SQLite admits one writer at a time. The request itself may need no write at all.
            logger.warning("A search could not be counted in the database: %s", error)
            return None
    counted: tuple[int, float, bool] | None = count(f"throttle:{client}", cost, limit, period)
    return None if counted is None else Window(limit, period, *counted)


def _in_database(client: str, cost: int, limit: int, period: int) -> Window:
    """The statements are their own transactions, since requests have none: one that fails leaves nothing behind."""
    now = time.time()
    ends = now + period
    values: dict[str, str | float] = {
        "client": client,
        "cost": cost,
        "limit": limit,
        "now": now,
        "ends": ends,
        "latest": ends + PATIENCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        counted = cursor.fetchall()  # all of it: SQLite is at work until then
        if not counted:
            cursor.execute(_LOOK, values)
            counted = cursor.fetchall() or [(limit, now)]
            allowed = False
        else:
            allowed = True
    ((used, ends),) = counted
    return Window(limit, period, used, ends - time.time(), allowed)


_TABLE = ThrottleWindow._meta.db_table

# A window that ends later than any of now could is of another period: SEARCH_RATE or the clock was changed.
_OVER = f"({_TABLE}.ends <= %(now)s OR {_TABLE}.ends > %(latest)s)"

_COUNT = f"""
    INSERT INTO {_TABLE} (client, used, ends) VALUES (%(client)s, %(cost)s, %(ends)s)
    ON CONFLICT (client) DO UPDATE SET
        used = CASE WHEN {_OVER} THEN excluded.used ELSE {_TABLE}.used + excluded.used END,
        ends = CASE WHEN {_OVER} THEN excluded.ends ELSE {_TABLE}.ends END
    WHERE {_OVER} OR {_TABLE}.used + excluded.used <= %(limit)s
    RETURNING used, ends
"""  # noqa: S608 - the table's name is the model's

_LOOK = f"SELECT used, ends FROM {_TABLE} WHERE client = %(client)s"  # noqa: S608


def forget_windows() -> int:
    """Delete what has ended; returns how many rows."""
    return ThrottleWindow.objects.filter(ends__lte=time.time()).delete()[0]


class _Here:
    """Windows in the memory of this process, of `MOST_CLIENTS` clients."""

    def __init__(self) -> None:
        self._lock = Lock()
        #: used, and when it ends
        self._windows: dict[str, tuple[int, float]] = {}

    def spend(self, client: str, cost: int, limit: int, period: int) -> Window:
        """As the shared counters do."""
        with self._lock:
            now = time.time()
            used, ends = self._windows.get(client, (0, 0.0))
            if not now < ends <= now + period:
                used, ends = 0, now + period
            if allowed := used + cost <= limit:
                used += cost
                self._keep(client, used, ends)
        return Window(limit, period, used, ends - now, allowed)

    def full(self, client: str, cost: int, limit: int, period: int) -> Window | None:
        """The window of a client that would be refused by what is known here."""
        used, ends = self._windows.get(client, (0, 0.0))
        left = ends - time.time()
        if 0 < left <= period and used + cost > limit:
            return Window(limit, period, used, left, allowed=False)
        return None

    def note(self, client: str, window: Window) -> None:
        """Remember what the shared count says of one. Answers may arrive late: within a window, the highest holds."""
        with self._lock:
            used, ends = window.used, time.time() + window.left
            known, until = self._windows.get(client, (0, 0.0))
            if abs(until - ends) < window.period / 2:  # the same window: the next one ends a whole period later
                used = max(used, known)
            self._keep(client, used, ends)

    def clear(self) -> None:
        with self._lock:
            self._windows.clear()

    def _keep(self, client: str, used: int, ends: float) -> None:
        if client not in self._windows and len(self._windows) >= MOST_CLIENTS:
            # Those that end first go: a tenth at once, so that this is rare.
            first = sorted(self._windows, key=lambda known: self._windows[known][1])
            for known in first[: MOST_CLIENTS // 10]:
                del self._windows[known]
        self._windows[client] = (used, ends)


_here = _Here()
