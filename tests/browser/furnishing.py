"""What the browser tests need in the demo shop besides its products: accounts, and products of every state.

`python -m tests.browser.furnishing` writes to the shop that DATA_DIR names. It runs in a process of its own: the
process of the tests has another database.
"""

from __future__ import annotations

import django

SUPERUSER = "shopkeeper"
ACCOUNTS = (SUPERUSER,)
PASSWORD = "a long one, for tests alone"

SOLD_OUT = "TEST-SOLD-OUT"
WITHOUT_PHOTO = "TEST-WITHOUT-PHOTO"
WITHOUT_PRICE = "TEST-WITHOUT-PRICE"
HIDDEN = "TEST-HIDDEN"


def furnish() -> None:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from catalogue.models import Brand, Category
    from search.indexing import reconcile
    from tests.drawing import photo
    from tests.shop import product

    get_user_model().objects.create_superuser(SUPERUSER, f"{SUPERUSER}@shop.example", PASSWORD)
    place = {"category": Category.objects.get(name="T-shirts"), "brand": Brand.objects.earliest("pk")}
    product(SOLD_OUT, photo(seed=1), title="T-shirt that is gone", price=20, stock=0, **place)
    product(WITHOUT_PHOTO, title="T-shirt that nobody has seen", price=20, stock=2, **place)
    product(WITHOUT_PRICE, photo(seed=2), title="T-shirt beyond price", external_url="https://shop.example/", **place)
    product(HIDDEN, photo(seed=3), title="T-shirt of yesterday", price=20, visible_until=timezone.now(), **place)
    reconcile()


if __name__ == "__main__":
    django.setup()
    furnish()
