"""What a supervisor or a load balancer asks: does the process live, and can it answer searches?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from search import versions
from search.exceptions import EmbedderError, IndexMissing, SearchError
from search.indexes import index_of
from search.models import IndexVersion

logger = logging.getLogger(__name__)


class Probes:
    """Middleware, before all others: probes are answered by whichever name or address they ask, and in plain HTTP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = {"/healthz": healthz, "/readyz": readyz}.get(request.path_info)
        return view(request) if view else self.get_response(request)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive. Nothing else is checked: a restart would not repair a database that is down."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if searches can be answered, else 503; either way each part is "ok" or a sentence on what to do."""
    parts: dict[str, str] = {}
    for name, check in CHECKS.items():
        # Each of the others would wait for the database in its turn.
        parts[name] = _state(check) if parts.get("database", "ok") == "ok" else parts["database"]
    ready = set(parts.values()) == {"ok"}
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"ready": ready, "parts": parts}, status=status)


class NotReady(Exception):
    """A part that searching needs is not there."""


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def migrations() -> None:
    executor = MigrationExecutor(connection)
    if unapplied := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady(f"Migrations that are not applied: {len(unapplied)}. Run “manage.py migrate”.")


def embedder() -> None:
    """A configured model is the one whose vectors the index holds. It is not asked for any.

    One that is elsewhere counts as ready while it is away, once it has said what it is: whatever was seen before can
    still be answered.
    """
    versions.embedder_of(_live())


def index() -> None:
    index_of(_live()).count()


CHECKS: dict[str, Callable[[], None]] = {
    "database": database,
    "migrations": migrations,
    "embedder": embedder,
    "index": index,
}


def _live() -> IndexVersion:
    version = IndexVersion.objects.live()
    if version is None:
        raise IndexMissing("There is no index yet. “manage.py work” makes it, as does “manage.py sync_index”.")
    return version


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except EmbedderError as error:
        logger.warning("Not ready (%s): %s", check.__name__, error)
        return "The model could not be asked what it is; the site's log says why."
    except (NotReady, SearchError, ImproperlyConfigured) as error:
        return str(error)
    except DatabaseError as error:
        # Messages of drivers name hosts and users: they belong in the log, not in the answer.
        logger.warning("Not ready (%s): %s", check.__name__, error)
        return "The database could not be asked; the site's log says why."
    return "ok"
