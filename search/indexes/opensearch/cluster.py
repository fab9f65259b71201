"""The connection to a cluster: credentials, timeouts, retries, and what its errors mean here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

import orjson
from django.utils.translation import gettext as _
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, SSLError, TransportError
from opensearchpy.serializer import JSONSerializer

from resilience.breaker import Breaker
from resilience.retries import retrying
from search.exceptions import IndexMissing, IndexUnavailable, VectorIndexError

logger = logging.getLogger(__name__)

_CONNECTIONS = 32
"""Connections kept to each node, at least as many as threads that ask at a time."""

PATIENCE = 30.0
"""Seconds for which a cluster that is busy, or has just lost a node, is asked again."""

_MOMENT = 1.0
"""Seconds for which a search is asked again that only a part of the index has answered."""


@dataclass(frozen=True)
class Access:
    """Where a cluster is and who asks.

    hosts: addresses of nodes; a user and a password in one hold for that one.
    region: of Amazon; requests are then signed (SigV4) with the credentials that boto3 finds.
    timeout: seconds for an answer.
    """

    hosts: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    region: str = ""
    timeout: float = 10.0


class _Orjson(JSONSerializer):
    """JSON of NumPy's rows, and quickly."""

    def loads(self, s: str) -> Any:
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise SerializationError(s, error) from error

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


class Cluster:
    """A cluster, for all threads of this process."""

    def __init__(self, access: Access) -> None:
        self._timeout = access.timeout
        self._breaker = Breaker()
        self._client = OpenSearch(
            hosts=[_node(urlsplit(host), access) for host in access.hosts],
            ca_certs=None if access.ca_file is None else str(access.ca_file),
            timeout=access.timeout,
            # If a node is down, another is asked; a single one twice, since it may have closed the connection.
            max_retries=max(1, len(access.hosts) - 1),
            retry_on_timeout=len(access.hosts) > 1,
            retry_on_status=(HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT),
            dead_timeout=5,
            pool_maxsize=_CONNECTIONS,
            serializer=_Orjson(),
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        seconds: float | None = None,
        accepting: Sequence[int] = (),
        **params: str,
    ) -> Any:
        """What the cluster answers, `accepting` some statuses of HTTP that are failures otherwise.

        Raises IndexUnavailable if it is down or denies access, IndexMissing, and `ClusterError` if it refuses the
        request for another reason.
        """
        try:
            answer = self._client.transport.perform_request(
                method, path, params=params, body=body, timeout=seconds, ignore=accepting
            )
        except TransportError as error:
            _explain(error)
        except SerializationError as error:
            logger.warning("OpenSearch answers with something that is not JSON: %.200s", error)
            raise IndexUnavailable(
                _("The server at OPENSEARCH_URL is not OpenSearch. Correct OPENSEARCH_URL.")
            ) from error
        return answer

    def patiently(self, method: str, path: str, body: Any = None, *, seconds: float | None = None) -> Any:
        """As `request`, but a busy cluster, or one that has just lost a node, is asked again for a while."""
        return retrying(is_busy, seconds=PATIENCE)(self.request, method, path, body, seconds=seconds)

    def search(self, path: str, body: Any) -> Any:
        """The answer to a search or a count, of all shards. Raises as `request` does.

        Where a node leaves in the middle of it, other nodes have copies of its shards: it is asked again at once.
        One that hangs is left alone for some seconds, since threads that serve pages would all wait for it.
        """
        return retrying(_lacks_shards, seconds=_MOMENT)(self._search, path, body)

    def _search(self, path: str, body: Any) -> Any:
        with self._breaker.guard(IndexUnavailable, self._timeout):
            answer = self.request("POST", path, body)
        if answer["_shards"]["failed"] or answer.get("timed_out"):
            logger.warning("OpenSearch answers with a part only: %s", answer["_shards"])
            raise PartialAnswer(answer)
        return answer


class ClusterBusy(IndexUnavailable):
    """The cluster has no room for more, or a part of it is on its way back: worth another try in a moment."""


class PartialAnswer(IndexUnavailable):
    """Some shards of the index have not answered."""

    def __init__(self, answer: Any) -> None:
        super().__init__(_("Part of the index is unavailable. Check that all OpenSearch nodes are running."))
        self.timed_out = bool(answer.get("timed_out"))


class ClusterError(VectorIndexError):
    """OpenSearch refuses a request: `status` of HTTP, `kind` and `reason` in its own words."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(
            _("OpenSearch refuses the request: %(reason)s (%(kind)s).") % {"reason": reason, "kind": kind}
        )
        self.status = status
        self.kind = kind
        self.reason = reason


def is_busy(error: BaseException) -> bool:
    return isinstance(error, ClusterBusy)


def _lacks_shards(error: BaseException) -> bool:
    """A node has left: others hold copies of its shards. After a timeout, another search would wait as long."""
    return isinstance(error, PartialAnswer) and not error.timed_out


def refused_by(status: int, kind: str, reason: str) -> VectorIndexError:
    """What it means for the index that OpenSearch refuses a request, or an item of a bulk request."""
    if kind == "cluster_block_exception":
        return IndexUnavailable(
            _(
                "OpenSearch accepts no writes now: %(reason)s. If its disk is full, free space or "
                "raise the watermark. It then unblocks the index itself; older releases need "
                "index.blocks.read_only_allow_delete removed."
            )
            % {"reason": reason.rstrip(".;")}
        )
    if kind in {"index_not_found_exception", "invalid_index_name_exception"}:
        return IndexMissing(
            _(
                "OpenSearch does not have this index: it was never built or was deleted. Run “manage.py "
                "rebuild_index”."
            )
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ClusterBusy(_("OpenSearch is overloaded. The request is retried later."))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind_of = ClusterBusy if status == HTTPStatus.SERVICE_UNAVAILABLE else IndexUnavailable
        return kind_of(
            _(
                "OpenSearch cannot answer now: %(reason)s. Check that its nodes are running and its "
                "shards are assigned."
            )
            % {"reason": reason.rstrip(".")}
        )
    return ClusterError(status, kind, reason)


def _explain(error: TransportError) -> NoReturn:
    """Raise what a failure means here. What the client says may name hosts: that is for the log."""
    logger.warning("OpenSearch: %s", error)
    if isinstance(error, SSLError):
        raise IndexUnavailable(
            _(
                "OpenSearch's certificate is not trusted. Set OPENSEARCH_CA_FILE to the certificate "
                "of the authority that issued it."
            )
        ) from error
    if isinstance(error, ConnectionTimeout):
        raise IndexUnavailable(
            _("OpenSearch takes too long to answer. Check its health, or raise OPENSEARCH_TIMEOUT.")
        ) from error
    if isinstance(error, Unreachable):
        raise IndexUnavailable(
            _("OpenSearch does not answer. Check that it is running and that OPENSEARCH_URL is correct.")
        ) from error
    status = int(error.status_code)
    kind, reason = _said(error)
    if kind != "cluster_block_exception" and status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise IndexUnavailable(
            _(
                "OpenSearch denies access. Check OPENSEARCH_USER and OPENSEARCH_PASSWORD, or "
                "OPENSEARCH_AWS_REGION and the permissions of the AWS credentials."
            )
        ) from error
    raise refused_by(status, kind, reason) from error


def _said(error: TransportError) -> tuple[str, str]:
    """The kind and the reason of a failure; of those that failed searches wrap, the innermost."""
    said = error.info.get("error") if isinstance(error.info, dict) else None
    if not isinstance(said, dict):
        return "unknown", str(said or error.error)[:200]
    cause = (said.get("root_cause") or [said])[0]
    cause = cause.get("caused_by") or cause
    return str(cause.get("type") or said.get("type")), str(cause.get("reason") or said.get("reason"))


def _node(parts: SplitResult, access: Access) -> dict[str, Any]:
    """What opensearch-py wants to know of one address."""
    secure = parts.scheme == "https"
    node: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or (443 if secure else 80),
        "use_ssl": secure,
        "url_prefix": parts.path.strip("/"),
    }
    if access.region:
        node["http_auth"] = _signature(access.region)
    elif parts.username:
        node["http_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    elif access.username:
        node["http_auth"] = (access.username, access.password)
    return node


def _signature(region: str) -> Urllib3AWSV4SignerAuth:
    import boto3

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise IndexUnavailable(
            _(
                "No AWS credentials were found to sign requests with. Set AWS_ACCESS_KEY_ID, or give this"
                " machine a role."
            )
        )
    return Urllib3AWSV4SignerAuth(credentials, region, "es")
