"""Take places, names and other metadata out of the originals that were stored with them."""

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
        "Take the metadata out of the originals of photos that came before that was done at once; until then pages "
        "show renditions in their place. It may be interrupted and run again; the shop may be open meanwhile."
    )

    def handle(self, *, verbosity: int, **options: Any) -> None:
        private = ProductImage.objects.filter(stripped=False)
        removable = reduce(or_, (Q(file__endswith=extension) for extension in metadata.EXTENSIONS))
        wanted = list(private.filter(removable).order_by("pk").values_list("pk", flat=True))
        stripped, failed = self.mend_all(wanted, verbosity)
        if verbosity:
            self.stdout.write(f"Originals without metadata from now on: {stripped}.")
            self.stdout.write(f"Originals that stay private, of which pages show renditions: {private.count()}.")
        self.tell_failures(failed)

    def mend(self, photo: ProductImage) -> bool:
        return photo.strip()
