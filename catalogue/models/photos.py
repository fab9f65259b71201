"""Photos, their stored files, and querysets that announce every change to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models import Q
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalogue import files, images, metadata
from catalogue.signals import announce

M = TypeVar("M", bound=models.Model)

MAX_NAMES = 500
"""File names in one query: databases limit the number of its parameters."""


class AnnouncingQuerySet(models.QuerySet[M]):
    """A queryset whose bulk methods send `photos_changed`, as `save` and `delete` of the models do.

    `bulk_update` needs no method of its own: Django implements it with `update`.
    """

    def photos(self) -> models.QuerySet[ProductImage]:
        """The photos that a change of these rows affects."""
        raise NotImplementedError

    def update(self, **kwargs: Any) -> int:
        with transaction.atomic(using=self.db):
            # Read first: the update may change what this queryset matches.
            ids = list(self.photos().values_list("pk", flat=True))
            count = super().update(**kwargs)
            announce(ids)
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            photos = list(self.photos().values_list("pk", *files.COLUMNS))
            result = super().delete()
            announce(pk for pk, *_ in photos)
            remove_unused_after_commit(name for _, *names in photos for name in names)
        return result

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        with transaction.atomic(using=self.db):
            created = super().bulk_create(objs, *args, **kwargs)
            announce(self._photos_of(created))
        return created

    def _photos_of(self, created: Sequence[M]) -> Iterable[int]:
        """The photos that are affected by creating these rows."""
        raise NotImplementedError


class ProductImageQuerySet(AnnouncingQuerySet["ProductImage"]):
    def photos(self) -> models.QuerySet[ProductImage]:
        return self.order_by()

    def _photos_of(self, created: Sequence[ProductImage]) -> Iterable[int]:
        if all(photo.pk for photo in created):
            return [photo.pk for photo in created]
        digests = {photo.sha256 for photo in created}
        return ProductImage.objects.filter(sha256__in=digests).values_list("pk", flat=True)


class ProductImage(models.Model):
    """A photo of a product, with its renditions. `set_content` sets its picture."""

    product = models.ForeignKey("catalogue.Product", models.CASCADE, related_name="photos", verbose_name=_("product"))
    file = models.FileField(_("file"), max_length=200, db_index=True)
    thumbnail = models.FileField(_("thumbnail"), max_length=200, db_index=True, editable=False)
    large = models.FileField(
        _("large rendition"),
        max_length=200,
        db_index=True,
        editable=False,
        help_text=_("The thumbnail, where there is hardly anything larger."),
    )
    position = models.PositiveIntegerField(_("position"), default=0)
    alt = models.CharField(
        _("alternative text"),
        max_length=300,
        blank=True,
        help_text=_("What the photo shows, for those who cannot see it."),
    )
    width = models.PositiveIntegerField(_("width"), editable=False)
    height = models.PositiveIntegerField(_("height"), editable=False)
    #: Whether the original is without metadata. Otherwise it is never served, and `shown` is a rendition.
    stripped = models.BooleanField(default=False, db_default=False, editable=False)
    #: Of the received bytes. The stored original may be without their metadata.
    sha256 = models.CharField(_("SHA-256 of the content"), max_length=64, db_index=True, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects: ClassVar[ProductImageQuerySet] = ProductImageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["product", "sha256"],
                name="photo_once_per_product",
                violation_error_message=_("This product already has this photo."),
            ),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="photo_has_a_size"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="photo_has_a_digest"),
            models.CheckConstraint(
                condition=~Q(file="") & ~Q(thumbnail="") & ~Q(large=""), name="photo_has_its_files"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product.sku} #{self.position + 1}"

    @property
    def alternative(self) -> str:
        """The alternative text, or else the product's title."""
        return self.alt or self.product.title

    @property
    def thumbnail_width(self) -> int:
        """In pixels."""
        return images.rendition_size(self.width, self.height, images.THUMBNAIL_WIDTH)[0]

    @property
    def large_width(self) -> int:
        if self.large.name == self.thumbnail.name:
            return self.thumbnail_width
        return images.rendition_size(self.width, self.height, images.LARGE_WIDTH)[0]

    @property
    def srcset(self) -> str:
        """The renditions for an `img` element. The original may be huge and is only for zooming in."""
        entries = {self.thumbnail.url: self.thumbnail_width, self.large.url: self.large_width}
        return ", ".join(f"{url} {width}w" for url, width in entries.items())

    @property
    def shown(self) -> FieldFile:
        """The largest file of the photo that may be served."""
        return self.file if self.stripped else self.large

    #: Prepared by `set_content`, until `save` stores it.
    _content: files.Prepared | None = None

    def set_content(self, data: bytes, *, wait: float | None = None) -> None:
        """Validate a picture's bytes and make them this photo's content; `save` stores the files.

        `wait` is as for `images.reading`. Raises `images.ImageRefused` and then changes nothing.
        """
        content = files.prepare(data, wait=wait)
        self.sha256, self.width, self.height = content.sha256, content.width, content.height
        self.stripped = content.stripped
        self._content = content

    def renew_renditions(self) -> bool:
        """Make the renditions again from the original, and write only their columns.

        Returns False, and stores nothing, if the photo was deleted or has another picture now. Raises OSError if the
        original cannot be read, and `images.ImageRefused`.
        """
        content = files.prepare(self._original(), self.sha256)
        return self._renew([made for made in content.files if made[0] != "file"])

    def strip(self) -> bool:
        """Remove the metadata from the original and store it under a new name, since caches may hold the old file.

        Returns False, and changes nothing, if that is impossible, or if the photo was deleted or has another picture
        now. Raises what `renew_renditions` raises.
        """
        data = self._original()
        picture = images.read(data, short_side=1)
        stripped = metadata.without_metadata(data, picture.format, picture.orientation)
        if stripped is None:
            return False
        name = files.photo_name(self.sha256, picture.extension)
        return self._renew([("file", name, stripped)] if stripped != data else [], stripped=True)

    def _original(self) -> bytes:
        with self.file.open() as file:
            return bytes(file.read())

    def _renew(self, made: Iterable[tuple[str, str, bytes]], **values: Any) -> bool:
        """Replace files of the row by these (column, wanted name, bytes).

        Returns False, and stores nothing, if the photo was deleted or has another picture now.
        """
        stored: dict[str, str] = {}
        try:
            for column, name, data in made:
                stored[column] = default_storage.save(name, ContentFile(data))
            values |= stored
            if "thumbnail" in stored:
                values.setdefault("large", stored["thumbnail"])
            with transaction.atomic():
                row = ProductImage.objects.select_for_update().filter(pk=self.pk, sha256=self.sha256)
                before = row.values_list(*files.COLUMNS).first()
                if before is not None:
                    ProductImage.objects.filter(pk=self.pk).update(**values)
                    remove_unused_after_commit(before)
        except BaseException:
            files.remove(stored.values())
            raise
        if before is None:
            files.remove(stored.values())
            return False
        for column, value in values.items():
            setattr(self, column, value)
        return True

    def save(self, *args: Any, **kwargs: Any) -> None:
        stored: list[str] = []
        try:
            with transaction.atomic():
                before = ProductImage.objects.filter(pk=self.pk).values_list(*files.COLUMNS).first() or ()
                if self._content:
                    self.large = ""
                    for column, name, data in self._content.files:
                        getattr(self, column).save(name, ContentFile(data), save=False)
                        stored.append(getattr(self, column).name)
                if not self.large:
                    self.large = self.thumbnail.name
                super().save(*args, **kwargs)
                announce([self.pk])
                remove_unused_after_commit(set(before) - self._file_names())
        except BaseException:
            files.remove(stored)
            raise
        self._content = None

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            pk, names = self.pk, self._file_names()
            result = super().delete(*args, **kwargs)
            announce([pk])
            remove_unused_after_commit(names)
        return result

    def _file_names(self) -> set[str]:
        return {getattr(self, column).name or "" for column in files.COLUMNS}


def remove_unused(names: Iterable[str]) -> None:
    """Remove the files among these that no photo uses."""
    files.remove(unused(names))


def unused(names: Iterable[str]) -> set[str]:
    """The files among these that no photo uses."""
    names = set(names) - {""}
    used: set[str] = set()
    listed = sorted(names)
    for start in range(0, len(listed), MAX_NAMES):
        asked = listed[start : start + MAX_NAMES]
        for column in files.COLUMNS:
            used.update(ProductImage.objects.filter(**{f"{column}__in": asked}).values_list(column, flat=True))
    return names - used


def remove_unused_after_commit(names: Iterable[str]) -> None:
    """After the current transaction commits, remove the files among these that no photo uses."""
    frozen = set(names) - {""}
    if frozen:
        transaction.on_commit(lambda: remove_unused(frozen))
