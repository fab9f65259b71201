"""Make missing renditions, or all of them again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import F

from catalogue import images
from catalogue.management.base import PhotoCommand
from catalogue.models import ProductImage


class Command(PhotoCommand):
    help = (
        "Make the large renditions of photos that were stored without one. It can be interrupted and run again, also "
        "while the shop is open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="make the renditions of every photo again")

    def handle(self, *, verbosity: int, **options: Any) -> None:
        made, failed = self.repair_all(_wanted(every=options["all"]), verbosity)
        if verbosity:
            self.stdout.write(f"Renditions of {made} photos made.")
        self.tell_failures(failed)

    def repair(self, photo: ProductImage) -> bool:
        return photo.renew_renditions()


def _wanted(*, every: bool) -> list[int]:
    photos = ProductImage.objects.order_by("pk")
    if every:
        return list(photos.values_list("pk", flat=True))
    lacking = photos.filter(large=F("thumbnail"), width__gt=images.THUMBNAIL_WIDTH)
    sizes = lacking.values_list("pk", "width", "height")
    return [pk for pk, width, height in sizes if images.has_large(width, height)]
