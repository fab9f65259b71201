"""What search remembers: embeddings, versions of the index, the ledger of photos in them, jobs, and queries."""

from search.models.embeddings import Embedding, EmbeddingQuerySet
from search.models.entries import IndexEntry, IndexEntryQuerySet
from search.models.jobs import IndexedMinute, IndexJob, Worker
from search.models.queries import (
    Query,
    QueryMemo,
    QueryMemoQuerySet,
    QueryQuerySet,
    ThrottleWindow,
    query_expiry,
    query_storage,
)
from search.models.versions import KEPT, IndexDelta, IndexVersion, IndexVersionQuerySet

__all__ = [
    "KEPT",
    "Embedding",
    "EmbeddingQuerySet",
    "IndexDelta",
    "IndexEntry",
    "IndexEntryQuerySet",
    "IndexJob",
    "IndexVersion",
    "IndexVersionQuerySet",
    "IndexedMinute",
    "Query",
    "QueryMemo",
    "QueryMemoQuerySet",
    "QueryQuerySet",
    "ThrottleWindow",
    "Worker",
    "query_expiry",
    "query_storage",
]
