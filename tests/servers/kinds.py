"""The servers there are, by name."""

from __future__ import annotations

from tests.servers.base import Server
from tests.servers.opensearch import OpenSearch

KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (OpenSearch,)}
