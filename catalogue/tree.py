"""The category tree that shoppers see, loaded in one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from django.db.models import Exists, OuterRef

from catalogue.models import Category, Product


class CategoryTree:
    """A tree of categories. Siblings are sorted by name."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self._by_id: dict[int, Category] = {}
        self._below: dict[int | None, list[Category]] = {}
        for category in categories:
            self._by_id[category.pk] = category
            self._below.setdefault(category.parent_id, []).append(category)

    @classmethod
    def load(cls) -> Self:
        """The categories that have a visible product, or a descendant with one. Others are hidden from shoppers."""
        stocked = Exists(Product.objects.visible().filter(category=OuterRef("pk")).order_by())
        every = cls(Category.objects.annotate(stocked=stocked))
        shown = {above.pk for pk, one in every._by_id.items() if one.stocked for above in every.path(pk)}
        return cls(category for pk, category in every._by_id.items() if pk in shown)

    @property
    def slugs(self) -> set[str]:
        return {category.slug for category in self._by_id.values()}

    def find(self, slug: str) -> Category | None:
        return next((category for category in self._by_id.values() if category.slug == slug), None)

    def children(self, category: Category | None = None) -> list[Category]:
        """The children of a category, or the top categories."""
        return self._below.get(category and category.pk, [])

    def path(self, pk: int | None) -> list[Category]:
        """The categories from the top down to this one; empty for None."""
        path: list[Category] = []
        while pk in self._by_id and self._by_id[pk] not in path:
            path.insert(0, self._by_id[pk])
            pk = path[0].parent_id
        return path

    def below(self, category: Category | None = None) -> Iterator[tuple[Category, int]]:
        """All descendants of a category, or all categories, parents first, with their depth from 0."""
        seen = {category.pk} if category else set()
        waiting = [(child, 0) for child in reversed(self.children(category))]
        while waiting:
            child, depth = waiting.pop()
            if child.pk not in seen:  # direct writes to the database could create a cycle
                seen.add(child.pk)
                yield child, depth
                waiting += [(below, depth + 1) for below in reversed(self.children(child))]

    def ids(self, slugs: Iterable[str]) -> set[int]:
        """The keys of the categories with these slugs and of all their descendants."""
        asked = set(slugs)
        ids: set[int] = set()
        for category in self._by_id.values():
            if category.slug in asked and category.pk not in ids:
                ids.update([category.pk], (child.pk for child, _depth in self.below(category)))
        return ids

    def totals(self, counts: Mapping[int, int], category: Category | None = None) -> dict[int, int]:
        """Counts by category, including descendants, for the descendants of a category, or for all."""
        totals: dict[int, int] = {}
        for child, _depth in reversed(list(self.below(category))):
            totals[child.pk] = counts.get(child.pk, 0) + sum(
                totals.get(below.pk, 0) for below in self.children(child)
            )
        return totals
