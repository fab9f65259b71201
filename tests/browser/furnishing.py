"""Adds what the browser tests need in the demo shop: accounts, and products in every state.

`python -m tests.browser.furnishing` writes to the shop in DATA_DIR; with `superuser` it creates only that account. It
runs in its own process, because the tests' process has another database.
"""

from __future__ import annotations

import sys

import django

SUPERUSER = "shopkeeper"
#: An account for each of the roles that come with the site
EDITOR, OPERATOR, VIEWER = "editor", "operator", "viewer"
ROLES = {EDITOR: "Catalogue editor", OPERATOR: "Index operator", VIEWER: "Viewer"}
PASSWORD = "a long one, for tests alone"

SOLD_OUT = "TEST-SOLD-OUT"
WITHOUT_PHOTO = "TEST-WITHOUT-PHOTO"
WITHOUT_PRICE = "TEST-WITHOUT-PRICE"
HIDDEN = "TEST-HIDDEN"
ORDERED = "TEST-ORDERED"
"""Three photos, for staff to put in another order; shoppers do not see it."""
TOGETHER = ("TEST-TOGETHER-1", "TEST-TOGETHER-2", "TEST-TOGETHER-3")
"""For staff to edit together; shoppers do not see them."""


def superuser() -> None:
    from django.contrib.auth.models import User

    User.objects.create_superuser(SUPERUSER, f"{SUPERUSER}@shop.example", PASSWORD)


def accounts() -> None:
    from django.contrib.auth.models import Group, User

    superuser()
    for name, role in ROLES.items():
        user = User.objects.create_user(name, f"{name}@shop.example", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))


def furnish() -> None:
    from django.utils import timezone

    from catalogue.models import Brand, Category
    from search.writing.indexing import reconcile
    from tests.drawing import photo
    from tests.shop import product

    accounts()
    place = {"category": Category.objects.get(name="T-shirts"), "brand": Brand.objects.earliest("pk")}
    product(SOLD_OUT, photo(seed=1), title="T-shirt that is gone", price=20, stock=0, **place)
    product(WITHOUT_PHOTO, title="T-shirt that nobody has seen", price=20, stock=2, **place)
    product(WITHOUT_PRICE, photo(seed=2), title="T-shirt beyond price", external_url="https://shop.example/", **place)
    product(HIDDEN, photo(seed=3), title="T-shirt of yesterday", price=20, visible_until=timezone.now(), **place)
    unseen = {**place, "visible_until": timezone.now()}
    photos = [photo("hat", colour, seed=4) for colour in ("#b03030", "#2050b0", "#308040")]
    product(ORDERED, *photos, title="Hat in three colours", **unseen)
    for number, sku in enumerate(TOGETHER, 1):
        product(sku, title=f"Hat number {number}", price=10 * number, **unseen)
    reconcile()


if __name__ == "__main__":
    django.setup()
    superuser() if sys.argv[1:] == ["superuser"] else furnish()
