"""Demo products as import records."""

from __future__ import annotations

from collections.abc import Iterator

from catalogue.importers.records import BytesPhoto, ProductRecord
from demo.photos import photos
from demo.products import DemoProduct, products


def records(count: int) -> Iterator[ProductRecord]:
    """The first `count` demo products, each drawn when it is asked for (about a fifth of a second)."""
    return (record(product, photos(product)) for product in products(count))


def record(product: DemoProduct, drawn: list[bytes]) -> ProductRecord:
    """A demo product with its photos."""
    return ProductRecord(
        sku=product.sku,
        where=product.sku,
        values={
            "title": product.title,
            "description": product.description,
            "category": product.category,
            "brand": product.brand,
            "price": product.price,
            "currency": product.currency,
            "stock": product.stock,
            "attributes": product.attributes,
        },
        photos=tuple(BytesPhoto(f"{product.sku} {number}", data) for number, data in enumerate(drawn, 1)),
    )
