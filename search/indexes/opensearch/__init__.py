"""The index on OpenSearch or Amazon OpenSearch Service: k-NN over HNSW graphs on one node or many.

`backend` is what `VECTOR_INDEXES` names, `index` one version's index, `mapping` what a document is there, `queries`
how filters and facets are asked, `bulk` how documents are written, and `cluster` the connection. Only the last two
load opensearch-py, at the first request.
"""
