"""What an alias of `VECTOR_INDEXES` becomes where indexes are kept on OpenSearch."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from resilience.perprocess import PerProcess
from search.indexes.base import IndexBackend
from search.indexes.opensearch.index import OpenSearchIndex
from search.indexes.opensearch.mapping import Engine, Graph, Space
from search.models import IndexVersion

if TYPE_CHECKING:
    from search.indexes.opensearch.cluster import Cluster

_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


class OpenSearchBackend(IndexBackend):
    """Keeps each version in an index of its own, `PREFIX-NUMBER`.

    hosts: addresses of nodes, or of what stands before them. A user and a password may be in them.
    username, password: for all hosts.
    ca_file: of the authority that issued the hosts' certificates, where the system does not know it.
    region: of Amazon OpenSearch Service; requests are signed (SigV4) with the credentials that boto3 finds.
    prefix: of the names of indexes; each site on a cluster has its own.
    engine: "lucene" or "faiss"; space: "cosine" or "l2". Documents are of one length, so both rank alike.
    m, ef_construction: of the HNSW graph: neighbours of a node, and the width that it is built with.
    width: of a search, in documents that the graph is followed for; more finds more, and takes longer.
    shards, replicas: of each index; there are no more replicas than nodes to hold them.
    timeout: seconds for the answer to a search.
    """

    def __init__(
        self,
        alias: str,
        *,
        hosts: Sequence[str],
        username: str = "",
        password: str = "",
        ca_file: Path | None = None,
        region: str = "",
        prefix: str = "lookalike",
        engine: Engine = "lucene",
        space: Space = "cosine",
        m: int = 16,
        ef_construction: int = 128,
        width: int = 512,
        shards: int = 1,
        replicas: int = 1,
        timeout: float = 10.0,
    ) -> None:
        super().__init__(alias)
        for host in hosts:
            _see(host)
        if not hosts:
            raise ImproperlyConfigured("hosts has to name at least one address.")
        if region and (username or any(urlsplit(host).username for host in hosts)):
            raise ImproperlyConfigured("Requests are signed for a region or have a user and a password, not both.")
        if not _PREFIX.fullmatch(prefix):
            raise ImproperlyConfigured("prefix has to be of small letters, digits, hyphens and underscores.")
        if engine not in get_args(Engine) or space not in get_args(Space):
            raise ImproperlyConfigured("engine has to be lucene or faiss, and space cosine or l2.")
        self.hosts = tuple(hosts)
        self.username = username
        self.password = password
        self.ca_file = ca_file
        self.region = region
        self.prefix = prefix
        self.graph = Graph(engine, space, m, ef_construction)
        self.width = width
        self.shards = shards
        self.replicas = replicas
        self.timeout = timeout
        self._cluster = PerProcess(self._connect)
        self._opened: dict[int, OpenSearchIndex] = {}
        self._lock = threading.Lock()

    def open(self, version: IndexVersion) -> OpenSearchIndex:
        with self._lock:
            index = self._opened.get(version.pk)
            # A database may use a key again; the index is then another.
            if index is None or index.version.created != version.created:
                index = self._opened[version.pk] = OpenSearchIndex(
                    version,
                    self._cluster.get,
                    prefix=self.prefix,
                    graph=self.graph,
                    shards=self.shards,
                    replicas=self.replicas,
                    width=self.width,
                )
            return index

    def _connect(self) -> Cluster:
        from search.indexes.opensearch.cluster import Access, Cluster

        return Cluster(
            Access(self.hosts, self.username, self.password, self.ca_file, self.region, timeout=self.timeout)
        )


def _see(host: str) -> None:
    """Raise ImproperlyConfigured for an address that cannot be one of OpenSearch; it does not show the password."""
    parts = urlsplit(host)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured("Each host is an address, as in https://search.example:9200.")
    if parts.hostname.endswith(".aoss.amazonaws.com"):
        raise ImproperlyConfigured(
            "A serverless collection of Amazon OpenSearch cannot hold the index: it gives documents ids of its own "
            "and knows no versions of them, so that changes would neither find their document nor keep their order. "
            "Make a domain of Amazon OpenSearch Service instead."
        )
