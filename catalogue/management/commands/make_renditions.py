"""Make the renditions that photos of an older version lack, or all of them anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F
from tqdm import tqdm

from catalogue import images
from catalogue.models import ProductImage

SOME_FAILED = 3
FETCHED = 100


class Command(BaseCommand):
    help = (
        "Make the large renditions of photos that came before there were any. It may be interrupted and run again; "
        "the shop may be open meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="make the renditions of every photo anew")

    def handle(self, *, verbosity: int, **options: Any) -> None:
        wanted = _wanted(every=options["all"])
        made = failed = 0
        quiet = not (verbosity and sys.stderr.isatty())
        with tqdm(total=len(wanted), unit="photo", file=sys.stderr, disable=quiet) as progress:
            for photo in _photos(wanted):
                try:
                    made += photo.renew_renditions()
                except (OSError, images.ImageRefused) as error:
                    if _still_there(photo):
                        failed += 1
                        self.stderr.write(f"{photo} ({photo.file.name}): {error}")
                progress.update()
        if verbosity:
            self.stdout.write(f"Renditions of {made} photos made.")
        if failed:
            raise CommandError(f"{failed} photos are left as they were, for these reasons.", returncode=SOME_FAILED)


def _wanted(*, every: bool) -> list[int]:
    photos = ProductImage.objects.order_by("pk")
    if every:
        return list(photos.values_list("pk", flat=True))
    lacking = photos.filter(large=F("thumbnail"), width__gt=images.THUMBNAIL_WIDTH)
    sizes = lacking.values_list("pk", "width", "height")
    return [pk for pk, width, height in sizes if images.has_large(width, height)]


def _still_there(photo: ProductImage) -> bool:
    """Whether a photo is still in the shop, with the picture that it had when it was read."""
    return ProductImage.objects.filter(pk=photo.pk, sha256=photo.sha256).exists()


def _photos(wanted: list[int]) -> Iterator[ProductImage]:
    """The photos, some at a time; those that have gone meanwhile are left out."""
    for start in range(0, len(wanted), FETCHED):
        yield from ProductImage.objects.select_related("product").filter(pk__in=wanted[start : start + FETCHED])
