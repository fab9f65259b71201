"""A small shop to search in."""

from __future__ import annotations

from typing import Any

from catalogue.models import Brand, Category, Product, ProductImage
from search.models import Query
from tests.drawing import COLOURS, KINDS, photo


def category(name: str, parent: Category | None = None) -> Category:
    made: Category = Category.objects.get_or_create(name=name, parent=parent, defaults={"slug": name.lower()})[0]
    return made


def brand(name: str) -> Brand:
    return Brand.objects.get_or_create(name=name, defaults={"slug": name.lower()})[0]


def product(sku: str, *photos: bytes, **fields: Any) -> Product:
    made = Product.objects.create(sku=sku, title=fields.pop("title", f"Product {sku}"), **fields)
    for position, data in enumerate(photos):
        add_photo(made, data, position)
    return made


def add_photo(made: Product, data: bytes, position: int = 0) -> ProductImage:
    image = ProductImage(product=made, position=position)
    image.set_content(data)
    image.save()
    return image


def content(image: ProductImage) -> bytes:
    """The stored bytes of a photo."""
    with image.file.open() as file:
        return bytes(file.read())


def fill(per_kind: int = 2) -> list[Product]:
    """Products of each kind and colour: SKU `shirt-red-0`, category `Shirt` below `Clothes`, priced 10, 20, ..."""
    clothes = category("Clothes")
    made: list[Product] = []
    for kind in KINDS:
        for name, colour in COLOURS.items():
            for seed in range(per_kind):
                made.append(
                    product(
                        f"{kind}-{name}-{seed}",
                        photo(kind, colour, seed=seed),
                        category=category(kind.title(), clothes),
                        brand=brand("Acme" if seed % 2 else "Globex"),
                        price=10 * (len(made) + 1),
                        stock=len(made) % 3,
                    )
                )
    return made


def content_of(query: Query) -> bytes:
    """The stored bytes of a query's picture."""
    with query.picture.open() as file:
        return bytes(file.read())
