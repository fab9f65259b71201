"""Backends on a real OpenSearch, and what they ask it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
import pytest
from opensearchpy import Transport

from search.indexes.opensearch.backend import OpenSearchBackend
from tests.servers.opensearch import remove

MakeBackend = Callable[..., OpenSearchBackend]


def backends(url: str) -> Iterator[MakeBackend]:
    """Builds backends with a prefix that nobody else has; its indexes go at the end."""
    prefix = f"test-{secrets.token_hex(6)}"

    def make(**options: Any) -> OpenSearchBackend:
        return OpenSearchBackend("opensearch", **{"hosts": url.split(","), "prefix": prefix, **options})

    yield make
    remove(url, f"{prefix}-*")


@dataclass
class Asked:
    """The requests of this process, which go their way all the same."""

    requests: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        asked = cls()
        perform = Transport.perform_request

        def noted(transport: Transport, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            asked.requests.append((url, kwargs.get("body")))
            return perform(transport, method, url, *args, **kwargs)

        monkeypatch.setattr(Transport, "perform_request", noted)
        return asked

    def clear(self) -> None:
        self.requests.clear()

    def raw(self, end: str) -> list[Any]:
        """The bodies of requests to addresses that end so."""
        return [body for url, body in self.requests if url.endswith(end)]

    def bodies(self, end: str) -> list[Any]:
        return [orjson.loads(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)) for body in self.raw(end)]
