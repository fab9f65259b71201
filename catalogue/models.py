"""What is sold: categories, brands, products and their photos.

Each rule is a database constraint, so that it holds whichever way a row is written. Every way of changing a photo,
or the product of a photo, ends in `signals.announce`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.validators import MinValueValidator, RegexValidator, URLValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.fields.files import FieldFile
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from tree_queries.fields import TreeNodeForeignKey
from tree_queries.models import TreeNode

from catalogue import files, images, metadata
from catalogue.fetching import is_address
from catalogue.querysets import BrandQuerySet, ProductImageQuerySet, ProductQuerySet
from catalogue.signals import announce


def default_currency() -> str:
    return str(settings.DEFAULT_CURRENCY)


class Category(TreeNode):  # type: ignore[misc]
    # Deleting a category must not take those below it along.
    parent = TreeNodeForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("address"), max_length=120, unique=True, allow_unicode=True)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["parent", "name"], name="category_name_unique_under_parent"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(parent__isnull=True), name="category_name_unique_at_top"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="category_has_a_name"),
            models.CheckConstraint(condition=~Q(pk=F("parent")), name="category_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("catalogue:category", args=[self.slug])


class Brand(models.Model):
    name = models.CharField(_("name"), max_length=100, unique=True)
    slug = models.SlugField(_("address"), max_length=120, unique=True, allow_unicode=True)

    objects: ClassVar[BrandQuerySet] = BrandQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="brand_has_a_name")]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    sku = models.CharField(
        _("SKU"),
        max_length=200,
        unique=True,
        validators=[RegexValidator(r"^\S(?:.*\S)?\Z", _("A SKU neither starts nor ends with a space."))],
        help_text=_("The shop's own number of the product."),
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    category = models.ForeignKey(
        Category, models.PROTECT, related_name="products", verbose_name=_("category"), null=True, blank=True
    )
    brand = models.ForeignKey(
        Brand, models.PROTECT, related_name="products", verbose_name=_("brand"), null=True, blank=True
    )
    price = models.DecimalField(
        _("price"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("Leave empty if the shop does not say."),
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default=default_currency,
        validators=[RegexValidator(r"^[A-Z]{3}\Z", _("Use three capital letters, as in EUR."))],
    )
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    # No URLField: its form field changes what it takes a bare name for from one Django to the next.
    external_url = models.CharField(
        _("external address"),
        max_length=500,
        blank=True,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text=_("Where the product is sold, if not here."),
    )
    visible_from = models.DateTimeField(_("visible from"), null=True, blank=True)
    visible_until = models.DateTimeField(_("visible until"), null=True, blank=True)
    stock = models.PositiveIntegerField(
        _("stock"), null=True, blank=True, help_text=_("Leave empty if the stock is not counted.")
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    modified = models.DateTimeField(_("modified"), auto_now=True)

    objects: ClassVar[ProductQuerySet] = ProductQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["-created", "-id"], name="product_newest"),
            models.Index(fields=["price"], name="product_price"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(sku=""), name="product_has_a_sku"),
            models.CheckConstraint(condition=~Q(title=""), name="product_has_a_title"),
            models.CheckConstraint(
                condition=Q(price__isnull=True) | Q(price__gte=0), name="product_price_not_negative"
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="product_currency_is_a_code"),
            models.CheckConstraint(
                condition=Q(visible_from__isnull=True)
                | Q(visible_until__isnull=True)
                | Q(visible_from__lt=F("visible_until")),
                name="product_visible_from_before_until",
                violation_error_message=_("A product must become visible before it ceases to be."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.sku})"

    def get_absolute_url(self) -> str:
        return reverse("catalogue:product", args=[self.sku])

    @property
    def shop_url(self) -> str:
        """`external_url` where it may be linked, else "": rows older than its validator may hold any scheme."""
        return self.external_url if is_address(self.external_url) else ""

    @property
    def in_stock(self) -> bool:
        return self.stock is None or self.stock > 0

    @property
    def cover(self) -> ProductImage | None:
        """The first photo; costs no query where photos were prefetched."""
        return next(iter(self.photos.all()), None)

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            announce(self.photos.values_list("pk", flat=True))

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            photos = list(self.photos.values_list("pk", *files.COLUMNS))
            result = super().delete(*args, **kwargs)
            announce(pk for pk, *_ in photos)
            files.remove_unused_after_commit(name for _, *names in photos for name in names)
        return result


class ProductImage(models.Model):
    """A photo of a product, with its renditions. `set_content` gives it its picture."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="photos", verbose_name=_("product"))
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
    #: Whether the original is without metadata. One that is not is never given out: `shown` is a rendition then.
    stripped = models.BooleanField(default=False, db_default=False, editable=False)
    #: Of the bytes as they were received. The stored original may be without their metadata.
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
        """What a reader who cannot see the photo is told."""
        return self.alt or self.product.title

    @property
    def thumbnail_width(self) -> int:
        """Pixels, as those of `large_width`: what widths a page may choose from."""
        return images.rendition_size(self.width, self.height, images.THUMBNAIL_WIDTH)[0]

    @property
    def large_width(self) -> int:
        if self.large.name == self.thumbnail.name:
            return self.thumbnail_width
        return images.rendition_size(self.width, self.height, images.LARGE_WIDTH)[0]

    @property
    def srcset(self) -> str:
        """The renditions as an `img` element's attribute. The original may be huge, and is only for zooming in."""
        entries = {self.thumbnail.url: self.thumbnail_width, self.large.url: self.large_width}
        return ", ".join(f"{url} {width}w" for url, width in entries.items())

    @property
    def shown(self) -> FieldFile:
        """The largest form of the photo that may be given out."""
        return self.file if self.stripped else self.large

    #: What `set_content` has prepared and `save` has not stored yet.
    _content: files.Prepared | None = None

    def set_content(self, data: bytes, *, wait: float | None = None) -> None:
        """Check a picture's bytes and make it this photo's content; `save` stores the files.

        Raises `images.ImageRefused` and leaves the photo as it was. `wait` is as for `images.reading`.
        """
        content = files.prepare(data, wait=wait)
        self.sha256, self.width, self.height = content.sha256, content.width, content.height
        self.stripped = content.stripped
        self._content = content

    def renew_renditions(self) -> bool:
        """Make the renditions anew from the original and store them; nothing else of the row is written.

        Returns False, and stores nothing, where the photo has gone or has another picture by now. Raises OSError if
        the original cannot be read, and `images.ImageRefused`.
        """
        content = files.prepare(self._original(), self.sha256)
        return self._renew([made for made in content.files if made[0] != "file"])

    def strip(self) -> bool:
        """Take the metadata out of the original, which is then stored under another name.

        Caches may hold what the former name stood for. Returns False, and changes nothing, where that cannot be done,
        and where the photo has gone or has another picture by now. Raises what `renew_renditions` does.
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
        """Store files (column, wanted name, bytes) in the place of those that the row names.

        Returns False, and stores nothing, where the photo has gone or has another picture by now.
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
                    files.remove_unused_after_commit(before)
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
                files.remove_unused_after_commit(set(before) - self._file_names())
        except BaseException:
            files.remove(stored)
            raise
        self._content = None

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            pk, names = self.pk, self._file_names()
            result = super().delete(*args, **kwargs)
            announce([pk])
            files.remove_unused_after_commit(names)
        return result

    def _file_names(self) -> set[str]:
        return {getattr(self, column).name or "" for column in files.COLUMNS}
