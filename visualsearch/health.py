"""What a supervisor or a load balancer asks: does the process live, and can it answer searches?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from search import indexing
from search.embedders import embedders
from search.exceptions import SearchError
from search.indexes import index_of
from search.models import IndexVersion

logger = logging.getLogger(__name__)


class NotReady(Exception):
    """A part that searching needs is not there; the message says what to do, and no secret."""


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives. Nothing else is asked: a restart would not mend a database that is away."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if searches can be answered, else 503; either way each part with "ok" or a sentence."""
    parts = {name: _state(check) for name, check in CHECKS.items()}
    ready = set(parts.values()) == {"ok"}
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"ready": ready, "parts": parts}, status=status)


def database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("The database does not answer: %s", error)  # drivers name hosts and users: not for the page
        raise NotReady(
            "The database does not answer: see to it that it runs and that DATABASE_URL is right."
        ) from error


def migrations() -> None:
    try:
        executor = MigrationExecutor(connection)
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise NotReady("Unknown while the database does not answer.") from error
    if unapplied:
        raise NotReady(f"{len(unapplied)} migrations are not applied: run “manage.py migrate”.")


def embedder() -> None:
    """The model that is configured is the one that the index was built with; it is not asked to embed."""
    try:
        version = IndexVersion.objects.live()
        if version is None:
            embedders["default"].fingerprint  # noqa: B018
        else:
            indexing.embedder_of(version)
    except (SearchError, ImproperlyConfigured) as error:
        raise NotReady(str(error)) from error
    except DatabaseError as error:
        raise NotReady("Unknown while the database does not answer.") from error


def index() -> None:
    """The live version's index can be loaded. A shop without photos has none yet and is ready all the same."""
    try:
        version = IndexVersion.objects.live()
        if version is not None:
            index_of(version).count()
    except (SearchError, ImproperlyConfigured) as error:
        raise NotReady(str(error)) from error
    except DatabaseError as error:
        raise NotReady("Unknown while the database does not answer.") from error


CHECKS: dict[str, Callable[[], None]] = {
    "database": database,
    "migrations": migrations,
    "embedder": embedder,
    "index": index,
}


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as problem:
        return str(problem)
    return "ok"
