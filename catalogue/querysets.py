"""Querysets that speak of the shop, and tell of every change to photos whichever way it is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.files import is_photo_name
from catalogue.signals import announce

if TYPE_CHECKING:
    from catalogue.models import Brand, Product, ProductImage  # noqa: F401 - in quotes alone

M = TypeVar("M", bound=models.Model)


class AnnouncingQuerySet(models.QuerySet[M]):
    """A queryset whose bulk writes send `photos_changed` as the models' own `save` and `delete` do.

    `bulk_update` needs no method here: Django implements it with `update`.
    """

    def photos(self) -> models.QuerySet[ProductImage]:
        """The photos that a change to these rows touches."""
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
        from catalogue.files import COLUMNS, remove_unused_after_commit

        with transaction.atomic(using=self.db):
            photos = list(self.photos().values_list("pk", *COLUMNS))
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
        """The photos that a bulk creation of `created` adds or changes."""
        raise NotImplementedError


class ProductQuerySet(AnnouncingQuerySet["Product"]):
    def visible(self, at: datetime | None = None) -> ProductQuerySet:
        """Products that shoppers may see at a moment (now by default)."""
        at = at or timezone.now()
        return self.filter(
            Q(visible_from__isnull=True) | Q(visible_from__lte=at),
            Q(visible_until__isnull=True) | Q(visible_until__gt=at),
        )

    def of_sku(self, sku: str) -> Product:
        """The one that has a SKU. Raises Http404, with a sentence, where none of these has."""
        # No SKU holds a NUL, and PostgreSQL refuses to look.
        product = None if "\0" in sku else self.filter(sku=sku).first()
        if product is None:
            raise Http404(_("There is no product with the SKU %(sku)s.") % {"sku": sku[:100]})
        return product

    def in_stock(self) -> ProductQuerySet:
        """Products that can be bought: in stock, or of uncounted stock."""
        return self.filter(Q(stock__isnull=True) | Q(stock__gt=0))

    def with_photos(self) -> ProductQuerySet:
        """Products that have a photo."""
        from catalogue.models import ProductImage

        return self.filter(Exists(ProductImage.objects.filter(product=OuterRef("pk")).order_by()))

    def with_file(self, name: str) -> ProductQuerySet:
        """Products with this stored file, if it may be given out: a rendition, or an original without metadata."""
        if is_photo_name(name):
            return self.filter(photos__file=name, photos__stripped=True)
        return self.filter(Q(photos__thumbnail=name) | Q(photos__large=name))

    def locked(self) -> ProductQuerySet:
        """These products as they are now, which nobody else changes before the transaction ends.

        Always in one order, so that two who lock do not wait for each other. SQLite has one writer and no such lock.
        """
        rows = self.model._default_manager.filter(pk__in=self.order_by().values("pk"))
        return rows.select_for_update(of=("self",)).order_by("pk")

    def for_display(self) -> ProductQuerySet:
        """With all that a card or a result shows, in a fixed number of queries."""
        return self.select_related("category", "brand").prefetch_related("photos")

    def photos(self) -> models.QuerySet[ProductImage]:
        from catalogue.models import ProductImage

        return ProductImage.objects.filter(product__in=self.order_by())

    def _photos_of(self, created: Sequence[Product]) -> Iterable[int]:
        # Only an upsert can meet products that have photos. SQLite and PostgreSQL give no keys back for rows that
        # a conflict left alone, so the natural key finds them.
        from catalogue.models import ProductImage

        skus = [product.sku for product in created]
        return ProductImage.objects.filter(product__sku__in=skus).values_list("pk", flat=True)


class BrandQuerySet(models.QuerySet["Brand"]):
    def visible(self) -> BrandQuerySet:
        """Brands that shoppers may know of: those of a product that they may see."""
        from catalogue.models import Product

        return self.filter(Exists(Product.objects.visible().filter(brand=OuterRef("pk")).order_by()))


class ProductImageQuerySet(AnnouncingQuerySet["ProductImage"]):
    def photos(self) -> models.QuerySet[ProductImage]:
        return self.order_by()

    def _photos_of(self, created: Sequence[ProductImage]) -> Iterable[int]:
        from catalogue.models import ProductImage

        if all(photo.pk for photo in created):
            return [photo.pk for photo in created]
        digests = {photo.sha256 for photo in created}
        return ProductImage.objects.filter(sha256__in=digests).values_list("pk", flat=True)
