"""The back office of search, and what it adds to the catalogue's: where each photo stands in the live index.

`overview.summary` gives the numbers for the first page of the admin, whose template is `search/admin/overview.html`.
"""

from search.admin.photos import IndexedProductAdmin, IndexedProductImageAdmin
from search.admin.queries import QueryAdmin
from search.admin.records import IndexEntryAdmin, IndexVersionAdmin

__all__ = ["IndexEntryAdmin", "IndexVersionAdmin", "IndexedProductAdmin", "IndexedProductImageAdmin", "QueryAdmin"]
