"""Remove places, names and other metadata from stored originals."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from catalogue import metadata
from catalogue.management.base import PhotoCommand
from catalogue.models import ProductImage


class Command(PhotoCommand):
    help = (
        "Remove the metadata from originals that were stored with it; until then pages show renditions instead. It "
        "can be interrupted and run again, also while the shop is open."
    )

    def handle(self, *, verbosity: int, **options: Any) -> None:
        private = ProductImage.objects.filter(stripped=False)
        removable = reduce(or_, (Q(file__endswith=extension) for extension in metadata.EXTENSIONS))
        wanted = list(private.filter(removable).order_by("pk").values_list("pk", flat=True))
        stripped, failed = self.repair_all(wanted, verbosity)
        if verbosity:
            self.stdout.write(f"Originals whose metadata was removed: {stripped}.")
            self.stdout.write(f"Originals that stay private, shown as renditions: {private.count()}.")
        self.tell_failures(failed)

    def repair(self, photo: ProductImage) -> bool:
        return photo.strip()
