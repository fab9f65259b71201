"""Migrations of existing rows."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, AFTER = [("catalogue", "0001_initial")], [("catalogue", "0002_large_renditions")]
STRIPPED = [("catalogue", "0003_stripped_originals")]


def test_existing_photos_use_their_thumbnail_as_large_rendition() -> None:
    executor = MigrationExecutor(connection)
    last = executor.loader.graph.leaf_nodes()  # of all apps: search's later ones are taken back with the catalogue's
    executor.migrate(BEFORE)
    try:
        old = executor.loader.project_state(BEFORE).apps
        product = old.get_model("catalogue", "Product").objects.create(sku="a", title="A")
        common = {"product": product, "width": 900, "height": 1200}
        for number in range(3):
            old.get_model("catalogue", "ProductImage").objects.create(
                file=f"f{number}", thumbnail=f"t{number}", sha256=f"{number:064x}", **common
            )
        executor = MigrationExecutor(connection)
        executor.migrate(AFTER)
        new = executor.loader.project_state(AFTER).apps
        photos = new.get_model("catalogue", "ProductImage").objects.order_by("pk")
        assert list(photos.values_list("file", "thumbnail", "large")) == [
            (f"f{number}", f"t{number}", f"t{number}") for number in range(3)
        ]
        with pytest.raises(IntegrityError), transaction.atomic():
            photos.update(large="")
    finally:
        MigrationExecutor(connection).migrate(last)


def test_processes_of_the_previous_release_store_photos() -> None:
    executor = MigrationExecutor(connection)
    last = executor.loader.graph.leaf_nodes()
    executor.migrate(STRIPPED)
    try:
        old = executor.loader.project_state(AFTER).apps
        product = old.get_model("catalogue", "Product").objects.create(sku="a", title="A")
        photo = old.get_model("catalogue", "ProductImage").objects.create(
            product=product, width=900, height=1200, file="f", thumbnail="t", large="l", sha256="0" * 64
        )
        new = executor.loader.project_state(STRIPPED).apps
        assert new.get_model("catalogue", "ProductImage").objects.get(pk=photo.pk).stripped is False
    finally:
        MigrationExecutor(connection).migrate(last)
