"""The demo shop: loaded, loaded again, and taken out without a trace."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from catalogue.models import Brand, Category, Product, ProductImage
from demo.management.commands.load_demo import Command
from tests import shop

pytestmark = pytest.mark.django_db(transaction=True)


def load(*options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(Command(), "--json", *options, stdout=out, stderr=io.StringIO())
    return dict(json.loads(out.getvalue()))


def test_the_demo_is_loaded_once_and_taken_out_with_all_that_it_brought(settings: Any) -> None:
    bottoms = shop.category("Bottoms")
    shop.product("DEMO-0001x", title="Staff's own", category=bottoms)
    shop.product("DEMO-9999", title="Staff's own, too", brand=shop.brand("Acme"))

    assert load("--products", "3")["created"] == 3
    demo = Product.objects.filter(brand__isnull=False).exclude(brand__name="Acme")
    assert demo.count() == 3
    assert all(p.category and p.price and p.photos.count() == 2 for p in demo)

    again = load("--products", "3")
    assert (again["unchanged"], again["photos_added"], again["photos_removed"]) == (3, 0, 0)

    out = io.StringIO()
    call_command(Command(), "--remove", stdout=out)
    assert out.getvalue() == "3 demo products removed.\n"
    assert set(Product.objects.values_list("sku", flat=True)) == {"DEMO-0001x", "DEMO-9999"}
    assert list(Brand.objects.values_list("name", flat=True)) == ["Acme"]
    assert list(Category.objects.values_list("name", flat=True)) == ["Bottoms"]
    assert not ProductImage.objects.exists()
    assert not [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_the_demo_keeps_out_of_a_shop_that_has_products_if_asked_to() -> None:
    shop.product("SHIRT-1")
    call_command(Command(), "--if-empty", "--products", "3")
    assert list(Product.objects.values_list("sku", flat=True)) == ["SHIRT-1"]
