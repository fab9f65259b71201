"""Writing many documents: in requests of a bounded size, several at a time, as fast as the cluster takes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from resilience.retries import retrying
from search.exceptions import DocumentsRejected
from search.indexes.opensearch.cluster import PATIENCE, Cluster, ClusterBusy, ClusterError, is_busy, refused_by

logger = logging.getLogger(__name__)

Lines = dict[int, bytes]
"""What is to be written: the lines of each photo."""

_BYTES = 1_000_000
"""Of a request: enough that its own cost does not matter, few enough that a node has several in memory at ease."""

_AT_A_TIME = 4

_TIMEOUT = 60.0
"""Seconds for an answer; a shard that is being moved lets writes wait for a minute."""

_OPTIONS: dict[str, Any] = {
    "require_alias": "true",
    "filter_path": "errors,items.*._id,items.*.status,items.*.error.type,items.*.error.reason,"
    "items.*.error.caused_by.reason",
}
_FAULTY = {"mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception"}
"""Refusals that are a document's own."""


def write(cluster: Cluster, alias: str, lines: Lines) -> None:
    """Write all lines. What is older than what is there is left out silently.

    Raises DocumentsRejected for those that the index refuses, when all others are in; IndexUnavailable and
    IndexMissing for what keeps the rest from being written: some of them may be in.
    """
    requests = list(_requests(lines))
    if len(requests) <= 1:
        refused = [_send(cluster, alias, request) for request in requests]
    else:
        with ThreadPoolExecutor(min(_AT_A_TIME, len(requests)), thread_name_prefix="bulk") as pool:
            futures = [pool.submit(_send, cluster, alias, request) for request in requests]
            try:
                refused = [future.result() for future in futures]
            finally:
                pool.shutdown(cancel_futures=True)
    reasons = {photo_id: reason for part in refused for photo_id, reason in part.items()}
    if not reasons:
        return
    logger.warning(
        "OpenSearch refuses %d of %d documents: %s", len(reasons), len(lines), next(iter(reasons.values()))
    )
    if len(reasons) == len(lines) > 1:
        # Not one is to its liking: that is hardly the documents' fault.
        raise ClusterError(HTTPStatus.BAD_REQUEST, "bulk", next(iter(reasons.values())))
    raise DocumentsRejected(reasons)


def _requests(lines: Lines) -> Iterator[Lines]:
    request: Lines = {}
    size = 0
    for photo_id, line in lines.items():
        if request and size + len(line) > _BYTES:
            yield request
            request, size = {}, 0
        request[photo_id] = line
        size += len(line)
    if request:
        yield request


def _send(cluster: Cluster, alias: str, lines: Lines) -> dict[int, str]:
    """Write the lines of one request; why some are refused. What the cluster has no room for is tried again."""
    refused: dict[int, str] = {}
    for attempt in retrying(is_busy, seconds=PATIENCE):
        with attempt:
            body = b"".join(lines.values())
            answer = cluster.request("POST", f"/{alias}/_bulk", body, seconds=_TIMEOUT, **_OPTIONS)
            if answer["errors"]:
                lines, busy = _left(lines, answer["items"], refused)
                if busy is not None:
                    raise busy
    return refused


def _left(lines: Lines, items: list[dict[str, Any]], refused: dict[int, str]) -> tuple[Lines, ClusterBusy | None]:
    """What is to be tried again, and why. Adds to `refused`; raises what keeps all else from being written."""
    left: Lines = {}
    busy = None
    for result in (result for item in items for result in item.values()):
        error = result.get("error")
        # A conflict says that what is there is as new or newer.
        if error is None or result["status"] == HTTPStatus.CONFLICT:
            continue
        reason = error.get("caused_by", {}).get("reason") or error["reason"]
        refusal = refused_by(result["status"], error["type"], reason)
        photo_id = int(result["_id"])
        if isinstance(refusal, ClusterBusy):
            left[photo_id], busy = lines[photo_id], refusal
        elif error["type"] in _FAULTY:
            refused[photo_id] = _("The index rejects this photo: %(reason)s.") % {"reason": reason.rstrip(".")}
        else:
            raise refusal
    return left, busy
