"""The base of commands that repair stored photos."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from catalogue import images
from catalogue.models import ProductImage

SOME_FAILED = 3
FETCHED = 100


class PhotoCommand(BaseCommand):
    """A command that repairs photos one by one. It can be interrupted and run again, also while the shop is open."""

    def repair(self, photo: ProductImage) -> bool:
        """Repair a photo; returns whether it changed. Raises OSError and `images.ImageRefused`."""
        raise NotImplementedError

    def repair_all(self, wanted: Sequence[int], verbosity: int) -> tuple[int, int]:
        """Repair photos by their keys; returns how many were repaired and how many failed. Failures are printed."""
        repaired = failed = 0
        quiet = not (verbosity and sys.stderr.isatty())
        with tqdm(total=len(wanted), unit="photo", file=sys.stderr, disable=quiet) as progress:
            for photo in _photos(wanted):
                try:
                    repaired += self.repair(photo)
                except (OSError, images.ImageRefused) as error:
                    if _still_there(photo):
                        failed += 1
                        self.stderr.write(f"{photo} ({photo.file.name}): {error}")
                progress.update()
        return repaired, failed

    @staticmethod
    def tell_failures(failed: int) -> None:
        """Raise CommandError if there were failures."""
        if failed:
            raise CommandError(f"{failed} photos could not be changed, for these reasons.", returncode=SOME_FAILED)


def _still_there(photo: ProductImage) -> bool:
    """Whether a photo still exists with the same picture."""
    return ProductImage.objects.filter(pk=photo.pk, sha256=photo.sha256).exists()


def _photos(wanted: Sequence[int]) -> Iterator[ProductImage]:
    """The photos, loaded in batches; deleted ones are left out."""
    for start in range(0, len(wanted), FETCHED):
        yield from ProductImage.objects.select_related("product").filter(pk__in=wanted[start : start + FETCHED])
