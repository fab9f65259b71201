"""Fill the catalogue with a small, invented shop whose photos are drawn on the spot, or take it out again."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from catalogue.importers.command import positive
from catalogue.importers.records import ProductRecord
from catalogue.models import Brand, Category, Product
from demo.photos import photos
from demo.products import BRANDS, DemoProduct, products
from demo.records import record
from search.management.importing import IndexedImport

PRODUCTS = 240
SKU = r"^DEMO-[0-9]{4,}$"
"""Of a demo product, together with a demo brand: staff may have a product that only looks like one."""

AHEAD = 16
"""Products that are drawn before they are needed, a few for each processor."""


class Command(IndexedImport):
    help = "Fill the catalogue with invented products and drawn photos; a second run changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--products", type=positive, default=PRODUCTS, help="how many products (default: %(default)s)"
        )
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing where the catalogue has a product already"
        )
        parser.add_argument(
            "--remove",
            action="store_true",
            help="take the demo products out again, with the categories and brands that this leaves empty",
        )

    def handle(self, *, products: int, if_empty: bool, remove: bool, **options: Any) -> None:
        if remove:
            self.stdout.write(f"{_remove()} demo products removed.")
        elif not (if_empty and Product.objects.exists()):
            self.import_records(_drawn(products), products, name="demo", options=options)


def _drawn(count: int) -> Iterator[ProductRecord]:
    """The demo products with their photos, drawn in as many processes as there are processors.

    Drawing is bound by the processor, and processes are quicker at it than threads. They are spawned: a fork
    would share the connection to the database.
    """
    pool = ProcessPoolExecutor(
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for the command, which then ends them
    )
    shop = products(count)
    drawing: deque[tuple[DemoProduct, Future[list[bytes]]]] = deque()
    try:
        drawing.extend((product, pool.submit(photos, product)) for product in islice(shop, AHEAD))
        while drawing:
            product, drawn = drawing.popleft()
            yield record(product, drawn.result())
            drawing.extend((product, pool.submit(photos, product)) for product in islice(shop, 1))
    finally:
        pool.shutdown(cancel_futures=True)


@transaction.atomic
def _remove() -> int:
    """Remove the demo products, and what their going leaves empty; returns how many they were."""
    demo = Product.objects.filter(sku__regex=SKU, brand__name__in=BRANDS).order_by()
    count = demo.count()
    brands = set(demo.values_list("brand", flat=True))
    categories = list(Category.objects.filter(products__in=demo).distinct())
    demo.delete()
    Brand.objects.filter(pk__in=brands, products__isnull=True).delete()
    for leaf in categories:
        category: Category | None = leaf
        while category and not category.products.exists() and not category.children.exists():
            parent = category.parent
            category.delete()
            category = parent
    return count
