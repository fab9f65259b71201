"""One version's index on a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _

from search.exceptions import VectorIndexError
from search.indexes.base import Document, Facets, Filter, Hit, VectorIndex, by_photo
from search.indexes.opensearch import mapping, queries
from search.indexes.opensearch.mapping import Graph
from search.indexes.rows import finite
from search.models import IndexVersion

if TYPE_CHECKING:
    from search.indexes.opensearch.cluster import Cluster

logger = logging.getLogger(__name__)

_SLOW = 60.0
"""Seconds for an answer to what makes, refreshes or drops an index, and for the copies of a version's shards to be
made before it goes live without them."""


class OpenSearchIndex(VectorIndex):
    """The documents of a version in an index of their own, called after the prefix and the version's number.

    Documents are written to an alias of the index: OpenSearch makes an index where somebody writes to one that does
    not exist, but no index can have a name with capital letters, as the alias has.

    An alias that is the prefix alone leads to the live version, for whoever looks at the cluster from outside.
    """

    def __init__(
        self,
        version: IndexVersion,
        cluster: Callable[[], Cluster],
        *,
        prefix: str,
        graph: Graph,
        shards: int,
        replicas: int,
        width: int,
    ) -> None:
        super().__init__(version)
        self.prefix = prefix
        self.name = f"{prefix}-{version.pk}"
        self.alias = f"{self.name}-WRITE"
        self.graph = graph
        self.shards = shards
        self.replicas = replicas
        self.wide = width
        self._built: Graph | None = None
        self._cluster = cluster

    @property
    def cluster(self) -> Cluster:
        return self._cluster()

    # Its life -----------------------------------------------------------------------------------------------

    def create(self) -> None:
        building = self.version.state == IndexVersion.State.BUILDING
        try:
            self._make(_relaxed() if building else self._usual())
        except VectorIndexError as error:
            if not (building and "awareness" in getattr(error, "reason", "")):
                raise
            # A domain that has to have copies in each of its zones at any time.
            self._make(self._usual())
        if self.version.state == IndexVersion.State.LIVE:
            self.publish()
        self._built = None

    def activate(self) -> None:
        index = f"/{self.name}"
        self.cluster.request("PUT", f"{index}/_settings", {"index": self._usual()}, seconds=_SLOW)
        self.refresh()
        health = self.cluster.request(
            "GET",
            f"/_cluster/health/{self.name}",
            seconds=_SLOW + 10,
            accepting=[HTTPStatus.REQUEST_TIMEOUT],
            wait_for_status="green",
            timeout=f"{_SLOW:.0f}s",
        )
        if health["timed_out"]:
            logger.warning("Index version %s goes live before all of its copies are made.", self.version.pk)
        if self._scores.engine == "faiss":
            self.cluster.request("GET", f"/_plugins/_knn/warmup/{self.name}", seconds=_SLOW)

    def publish(self) -> None:
        """Let the outsiders' alias lead to this index alone, in one step."""
        found = self.cluster.request("GET", f"/_alias/{self.prefix}", accepting=[HTTPStatus.NOT_FOUND])
        names = set() if "error" in found else set(found)
        if names == {self.name}:
            return
        actions: list[dict[str, Any]] = [
            {"remove": {"index": name, "alias": self.prefix, "must_exist": False}} for name in names - {self.name}
        ]
        actions.append({"add": {"index": self.name, "alias": self.prefix}})
        self.cluster.request("POST", "/_aliases", {"actions": actions}, seconds=_SLOW)

    def drop(self) -> None:
        self.cluster.request("DELETE", f"/{self.name}", seconds=_SLOW, ignore_unavailable="true")

    def _make(self, settings: dict[str, Any]) -> None:
        body = mapping.body(self.version, self.graph, self.shards, settings, self.alias)
        if not self._made(body):
            self._recognise(body)

    def _made(self, body: dict[str, Any]) -> bool:
        """Make the index; False where there is one of this name."""
        try:
            self.cluster.request("PUT", f"/{self.name}", body, seconds=_SLOW)
        except VectorIndexError as error:
            if getattr(error, "kind", "") != "resource_already_exists_exception":
                raise
            return False
        return True

    def _recognise(self, body: dict[str, Any]) -> None:
        """Raise VectorIndexError if the index of this name is another site's, or of another database."""
        if self._meta().get("created") == self.version.created.isoformat():
            return
        self.refresh()
        if not self.count():
            # It was made for a version that was never committed; its number has come again.
            self.drop()
        if not self._made(body):
            raise VectorIndexError(
                _(
                    "OpenSearch already has an index %(name)s that does not belong to this version. "
                    "Delete it if it is unused, or give this site its own OPENSEARCH_PREFIX."
                )
                % {"name": self.name}
            )

    def _meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = self.cluster.request("GET", f"/{self.name}/_mapping")[self.name]["mappings"].get(
            "_meta", {}
        )
        return meta

    @property
    def _scores(self) -> Graph:
        """The graph as it was built; the site's options may have changed since. Asked once in the process."""
        if self._built is None:
            meta = self._meta()
            self._built = Graph(meta["engine"], meta["space"])
        return self._built

    def _usual(self) -> dict[str, Any]:
        """The settings of an index that answers."""
        # As many copies as there are nodes for: a single node is no fault.
        return {"refresh_interval": "1s", "auto_expand_replicas": f"0-{self.replicas}"}

    # Its documents ------------------------------------------------------------------------------------------

    def upsert(self, documents: Sequence[Document]) -> None:
        width = self.version.width
        self._write({photo: mapping.upserting(it, width) for photo, it in by_photo(documents).items()})

    def delete(self, generations: dict[int, int]) -> None:
        self._write({photo: mapping.deleting(photo, generation) for photo, generation in generations.items()})

    def _write(self, lines: dict[int, bytes]) -> None:
        from search.indexes.opensearch import bulk

        bulk.write(self.cluster, self.alias, lines)

    def refresh(self) -> None:
        self.cluster.patiently("POST", f"/{self.name}/_refresh", seconds=_SLOW)

    def count(self) -> int:
        answer = self.cluster.search(f"/{self.name}/_count", {"query": {"match_all": {}}})
        found: int = answer["count"]
        return found

    def ids(self) -> Iterator[tuple[int, int]]:
        after: int | None = None
        while True:
            answer = self._search(queries.generations(queries.MOST, after))
            hits = answer["hits"]["hits"]
            yield from ((hit["sort"][0], hit["_version"]) for hit in hits)
            if len(hits) < queries.MOST:
                return
            after = hits[-1]["sort"][0]

    def generations(self, photo_ids: Collection[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        ids = [str(photo_id) for photo_id in photo_ids]
        for start in range(0, len(ids), queries.MOST):
            asked = {"ids": ids[start : start + queries.MOST]}
            documents = self.cluster.request("POST", f"/{self.name}/_mget", asked, _source="false")["docs"]
            if any("error" in document for document in documents):
                self.count()  # raises what is wrong with the index as a whole
            found |= {int(it["_id"]): it["_version"] for it in documents if it.get("found")}
        return found

    # Answers ------------------------------------------------------------------------------------------------

    def search(self, vector: npt.NDArray[np.float32], k: int, where: Filter | None = None) -> list[Hit]:
        query = finite(vector, self.version.width)[: self.version.width]
        if k <= 0:
            return []
        length = float(np.linalg.norm(query))
        hits = self._nearest(query, length, k, where) if length else None
        if hits is None:
            hits = self._exactly(query, k, where)
        return sorted(hits, key=lambda hit: (-hit.score, hit.photo_id))[:k]

    def facets(self, where: Filter) -> Facets:
        return queries.facets(self._search(queries.choices(where)))

    def _nearest(
        self, query: npt.NDArray[np.float32], length: float, k: int, where: Filter | None
    ) -> list[Hit] | None:
        """The k best that the graph leads to; None where only a comparison with each document can tell."""
        wide, size = max(self.wide, k + 1), k + 1
        graph = self._scores
        while wide <= queries.MOST:
            rows = self._rows(queries.nearest(query, wide, size, where))
            if len(rows) < k:
                return None  # perhaps there are no more; if there are, the graph has not led to them
            if len(rows) == k or rows[-1][0] < rows[k - 1][0]:
                return [
                    Hit(photo, product, graph.inner_product(score, length, document))
                    for score, photo, product, document in rows
                ]
            # Others are as near as the last, copies of a photo mostly: which of them have the lowest ids?
            wide *= 2
            size = wide
        return None

    def _exactly(self, query: npt.NDArray[np.float32], k: int, where: Filter | None) -> list[Hit]:
        """The k best of all documents that match, each compared."""
        hits: list[Hit] = []
        after: list[Any] | None = None
        while len(hits) < k:
            size = min(k - len(hits), queries.MOST)
            rows = self._rows(queries.exactly(query, size, where, after))
            hits += [Hit(photo, product, queries.exact_score(score)) for score, photo, product, _length in rows]
            if len(rows) < size:
                break
            after = rows[-1]
        return hits

    def _rows(self, asked: dict[str, Any]) -> list[Any]:
        return [hit["sort"] for hit in self._search(asked)["hits"]["hits"]]

    def _search(self, asked: dict[str, Any]) -> Any:
        return self.cluster.search(f"/{self.name}/_search", asked)


def _relaxed() -> dict[str, Any]:
    """The settings of an index that is being filled: nobody searches it, and it can be filled again."""
    return {"refresh_interval": "-1", "number_of_replicas": 0}
