"""The categories that a shop shows, all read in one query: paths, branches and whole menus cost no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from django.db.models import Exists, OuterRef

from catalogue.models import Category, Product


class CategoryTree:
    """Categories by their places. Siblings are in the order of their names."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self._by_id: dict[int, Category] = {}
        self._below: dict[int | None, list[Category]] = {}
        for category in categories:
            self._by_id[category.pk] = category
            self._below.setdefault(category.parent_id, []).append(category)

    @classmethod
    def load(cls) -> Self:
        """Those with a product that shoppers may see, in them or below them. The others do not exist for shoppers."""
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
        """The categories right below one, or those at the top."""
        return self._below.get(category and category.pk, [])

    def path(self, pk: int | None) -> list[Category]:
        """From the top down to a category, itself included; nothing for none."""
        path: list[Category] = []
        while pk in self._by_id and self._by_id[pk] not in path:
            path.insert(0, self._by_id[pk])
            pk = path[0].parent_id
        return path

    def below(self, category: Category | None = None) -> Iterator[tuple[Category, int]]:
        """All categories below one, or all there are, each before those below it, with its depth from 0."""
        seen = {category.pk} if category else set()
        waiting = [(child, 0) for child in reversed(self.children(category))]
        while waiting:
            child, depth = waiting.pop()
            if child.pk not in seen:  # whoever writes to the database can make a ring
                seen.add(child.pk)
                yield child, depth
                waiting += [(below, depth + 1) for below in reversed(self.children(child))]

    def ids(self, slugs: Iterable[str]) -> set[int]:
        """The categories of these addresses and all below them."""
        asked = set(slugs)
        ids: set[int] = set()
        for category in self._by_id.values():
            if category.slug in asked and category.pk not in ids:
                ids.update([category.pk], (child.pk for child, _depth in self.below(category)))
        return ids

    def totals(self, counts: Mapping[int, int], category: Category | None = None) -> dict[int, int]:
        """Counts by category, each with those of all below it added; of the categories below one, or of all."""
        totals: dict[int, int] = {}
        for child, _depth in reversed(list(self.below(category))):
            totals[child.pk] = counts.get(child.pk, 0) + sum(
                totals.get(below.pk, 0) for below in self.children(child)
            )
        return totals
