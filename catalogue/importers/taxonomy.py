"""Categories by path and brands by name: found or created."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from django.db.models import QuerySet
from django.utils.text import slugify

from catalogue.models import Brand, Category

MAX_LEVELS = 20
"""Names in the path of a category. Missing ones are created."""

_SLUG_LENGTH = 110
"""Characters of a slug; with a number appended it still fits the field's 120."""


class Taxonomy:
    """Caches categories and brands over all batches. Call `forget` after a transaction was rolled back."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._categories: dict[tuple[int | None, str], int] | None = None
        self._brands: dict[str, int] | None = None
        self._paths: dict[int, tuple[str, ...]] = {}

    def category(self, path: tuple[str, ...]) -> int | None:
        """The key of the category at a path; None for the empty path. Creates missing categories."""
        if self._categories is None:
            self._categories = {
                (parent, name): pk for pk, parent, name in Category.objects.values_list("pk", "parent_id", "name")
            }
        parent: int | None = None
        for depth, name in enumerate(path):
            pk = self._categories.get((parent, name))
            if pk is None:
                slug = _free_slug(Category.objects.all(), name, " ".join(path[max(depth - 1, 0) : depth + 1]))
                pk = Category.objects.create(name=name, parent_id=parent, slug=slug).pk
                self._categories[parent, name] = pk
            parent = pk
        return parent

    def path(self, pk: int | None) -> tuple[str, ...]:
        """The names from the top down to a category; empty for None. The inverse of `category`."""
        if pk is None:
            return ()
        if pk not in self._paths:
            self.category(())
            rows = {own: (parent, name) for (parent, name), own in (self._categories or {}).items()}
            names: list[str] = []
            above: int | None = pk
            while above in rows:
                above, name = rows[above]
                names.insert(0, name)
            self._paths[pk] = tuple(names)
        return self._paths[pk]

    def brand_name(self, pk: int | None) -> str:
        """The name of a brand; empty for None. The inverse of `brand`."""
        if pk is None:
            return ""
        if self._brands is None:
            self._brands = dict(Brand.objects.values_list("name", "pk"))
        return next((name for name, own in self._brands.items() if own == pk), "")

    def brand(self, name: str) -> int | None:
        """The key of the brand with a name; None for the empty name. Creates a missing brand."""
        if not name:
            return None
        if self._brands is None:
            self._brands = dict(Brand.objects.values_list("name", "pk"))
        pk = self._brands.get(name)
        if pk is None:
            pk = self._brands[name] = Brand.objects.create(name=name, slug=_free_slug(Brand.objects.all(), name)).pk
        return pk


def _free_slug(rows: QuerySet[Category] | QuerySet[Brand], *names: str) -> str:
    """The first free slug of the names (`shirts`, `women-shirts`), else the last one with a number."""
    slugs = [slugify(name, allow_unicode=True)[:_SLUG_LENGTH] or "unnamed" for name in names]
    taken = {
        slug for base in set(slugs) for slug in rows.filter(slug__startswith=base).values_list("slug", flat=True)
    }

    def candidates() -> Iterator[str]:
        yield from slugs
        yield from (f"{slugs[-1]}-{number}" for number in count(2))

    return next(slug for slug in candidates() if slug not in taken)
