"""The demo's products as an import takes them."""

from __future__ import annotations

from catalogue.importers.records import BytesPhoto, ProductRecord
from demo.products import DemoProduct


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
