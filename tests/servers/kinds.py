"""The servers there are, by name."""

from __future__ import annotations

from tests.servers.base import Server
from tests.servers.endpoint import Endpoint
from tests.servers.moto import Moto
from tests.servers.opensearch import OpenSearch

KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Endpoint, Moto, OpenSearch)}
