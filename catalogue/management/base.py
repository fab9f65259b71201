"""What the commands that mend stored photos have in common."""

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
    """A command that mends photos one by one. It may be interrupted and run again, while the shop is open."""

    def mend(self, photo: ProductImage) -> bool:
        """Mend a photo; whether there was something to mend. Raises OSError and `images.ImageRefused`."""
        raise NotImplementedError

    def mend_all(self, wanted: Sequence[int], verbosity: int) -> tuple[int, int]:
        """Mend the photos of these keys; how many were mended, and how many could not be, which are named."""
        mended = failed = 0
        quiet = not (verbosity and sys.stderr.isatty())
        with tqdm(total=len(wanted), unit="photo", file=sys.stderr, disable=quiet) as progress:
            for photo in _photos(wanted):
                try:
                    mended += self.mend(photo)
                except (OSError, images.ImageRefused) as error:
                    if _still_there(photo):
                        failed += 1
                        self.stderr.write(f"{photo} ({photo.file.name}): {error}")
                progress.update()
        return mended, failed

    @staticmethod
    def tell_failures(failed: int) -> None:
        """Raises CommandError where there were any."""
        if failed:
            raise CommandError(f"{failed} photos are left as they were, for these reasons.", returncode=SOME_FAILED)


def _still_there(photo: ProductImage) -> bool:
    """Whether a photo is still in the shop, with the picture that it had when it was read."""
    return ProductImage.objects.filter(pk=photo.pk, sha256=photo.sha256).exists()


def _photos(wanted: Sequence[int]) -> Iterator[ProductImage]:
    """The photos, some at a time; those that have gone meanwhile are left out."""
    for start in range(0, len(wanted), FETCHED):
        yield from ProductImage.objects.select_related("product").filter(pk__in=wanted[start : start + FETCHED])
