"""Brands and products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator, URLValidator
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalogue import files
from catalogue.fetching import is_address
from catalogue.models.categories import Category
from catalogue.models.photos import AnnouncingQuerySet, ProductImage, remove_unused_after_commit
from catalogue.signals import announce


def default_currency() -> str:
    return str(settings.DEFAULT_CURRENCY)


class BrandQuerySet(models.QuerySet["Brand"]):
    def visible(self) -> BrandQuerySet:
        """Brands of products that shoppers may see."""
        return self.filter(Exists(Product.objects.visible().filter(brand=OuterRef("pk")).order_by()))


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


class ProductQuerySet(AnnouncingQuerySet["Product"]):
    def visible(self, at: datetime | None = None) -> ProductQuerySet:
        """Products that shoppers may see at a time (now by default)."""
        at = at or timezone.now()
        return self.filter(
            Q(visible_from__isnull=True) | Q(visible_from__lte=at),
            Q(visible_until__isnull=True) | Q(visible_until__gt=at),
        )

    def of_sku(self, sku: str) -> Product:
        """The product with this SKU. Raises Http404 with a sentence."""
        # No SKU contains a NUL, and PostgreSQL refuses the query.
        product = None if "\0" in sku else self.filter(sku=sku).first()
        if product is None:
            raise Http404(gettext("There is no product with the SKU %(sku)s.") % {"sku": sku[:100]})
        return product

    def in_stock(self) -> ProductQuerySet:
        """Products in stock, or whose stock is not counted."""
        return self.filter(Q(stock__isnull=True) | Q(stock__gt=0))

    def with_photos(self) -> ProductQuerySet:
        """Products with at least one photo."""
        return self.filter(Exists(ProductImage.objects.filter(product=OuterRef("pk")).order_by()))

    def with_file(self, name: str) -> ProductQuerySet:
        """Products with this file, if it may be served: a rendition, or an original without metadata."""
        if files.is_photo_name(name):
            return self.filter(photos__file=name, photos__stripped=True)
        return self.filter(Q(photos__thumbnail=name) | Q(photos__large=name))

    def locked(self) -> ProductQuerySet:
        """These products, locked until the transaction ends.

        Always in the same order, to avoid deadlocks. SQLite has a single writer and no row locks.
        """
        rows = self.model._default_manager.filter(pk__in=self.order_by().values("pk"))
        return rows.select_for_update(of=("self",)).order_by("pk")

    def for_display(self) -> ProductQuerySet:
        """Prefetch everything that a card or a result shows."""
        return self.select_related("category", "brand").prefetch_related("photos")

    def photos(self) -> models.QuerySet[ProductImage]:
        return ProductImage.objects.filter(product__in=self.order_by())

    def _photos_of(self, created: Sequence[Product]) -> Iterable[int]:
        # Only an upsert affects products with photos. Databases return no keys of rows that a conflict left
        # unchanged, so look them up by SKU.
        skus = [product.sku for product in created]
        return ProductImage.objects.filter(product__sku__in=skus).values_list("pk", flat=True)


class Product(models.Model):
    sku = models.CharField(
        _("SKU"),
        max_length=200,
        unique=True,
        validators=[RegexValidator(r"^\S(?:.*\S)?\Z", _("A SKU cannot start or end with a space."))],
        help_text=_("Your unique product code."),
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
        help_text=_("Leave empty to show no price."),
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default=default_currency,
        validators=[RegexValidator(r"^[A-Z]{3}\Z", _("Use three capital letters, as in EUR."))],
    )
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    # No URLField: the scheme that its form field assumes depends on the version of Django.
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
                violation_error_message=_("“Visible until” must be later than “visible from”."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.sku})"

    def get_absolute_url(self) -> str:
        return reverse("catalogue:product", args=[self.sku])

    @property
    def shop_url(self) -> str:
        """`external_url` if it is safe to link, else "": old rows may have any scheme."""
        return self.external_url if is_address(self.external_url) else ""

    @property
    def in_stock(self) -> bool:
        return self.stock is None or self.stock > 0

    @property
    def cover(self) -> ProductImage | None:
        """The first photo; no query if photos were prefetched."""
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
            remove_unused_after_commit(name for _, *names in photos for name in names)
        return result
