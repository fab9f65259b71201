"""The servers there are, by name."""

from __future__ import annotations

from tests.servers.base import Server
from tests.servers.endpoint import Endpoint
from tests.servers.moto import Moto
from tests.servers.nginx import Nginx
from tests.servers.opensearch import OpenSearch
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis

KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Endpoint, Moto, OpenSearch, PostgreSQL, Redis)}

PROXIES: tuple[type[Server], ...] = (Nginx,)
"""Proxies in front of a site. Tests start these themselves, once they have a site."""
