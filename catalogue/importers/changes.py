"""What a batch of records changes in the catalogue: compared with the database, then written in a few queries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from catalogue.importers.records import Difference, ProductRecord, Reject
from catalogue.importers.taxonomy import Taxonomy
from catalogue.models import Product, ProductImage


@dataclass(frozen=True, slots=True)
class Content:
    """A photo's content: its digest, and its size and stored files if its product does not have it yet."""

    sha256: str
    width: int = 0
    height: int = 0
    names: dict[str, str] = field(default_factory=dict)
    """The stored files, by column."""
    stripped: bool = False
    """Whether the stored original is without metadata."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record whose photos have been read."""

    record: ProductRecord
    photos: tuple[tuple[Content, str | None], ...]
    """Each with its alternative text; None if the source has no texts."""
    rejects: tuple[Reject, ...]


@dataclass
class Changes:
    """Everything that a batch changes."""

    created: list[Product] = field(default_factory=list)
    changed: list[Product] = field(default_factory=list)
    """Products with new values."""
    fields: set[str] = field(default_factory=set)
    """The fields of `changed` that have new values."""
    updated: int = 0
    """Existing products with new values or other photos."""
    unchanged: int = 0
    photos: int = 0
    photos_added: list[ProductImage] = field(default_factory=list)
    photos_moved: list[ProductImage] = field(default_factory=list)
    photos_removed: list[ProductImage] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def write(self) -> None:
        """Write everything; the number of queries does not depend on the size of the batch."""
        if self.created:
            Product.objects.bulk_create(self.created)
        if self.changed:
            now = timezone.now()
            for product in self.changed:
                product.modified = now
            Product.objects.bulk_update(self.changed, [*sorted(self.fields), "modified"])
        if self.photos_removed:
            ProductImage.objects.filter(pk__in=[photo.pk for photo in self.photos_removed]).delete()
        if self.photos_moved:
            ProductImage.objects.bulk_update(self.photos_moved, ["position", "alt"])
        if self.photos_added:
            ProductImage.objects.bulk_create(self.photos_added)


def compare(drafts: list[Draft], taxonomy: Taxonomy) -> Changes:
    """The changes that make the catalogue match the drafts. Locks the products: call it within a transaction."""
    skus = [draft.record.sku for draft in drafts]
    # Ordered, so that two imports of the same products wait for each other and cannot deadlock.
    products = {p.sku: p for p in Product.objects.select_for_update().filter(sku__in=skus).order_by("pk")}
    photos: defaultdict[int, list[ProductImage]] = defaultdict(list)
    for photo in ProductImage.objects.filter(product__in=[p.pk for p in products.values()]):
        photos[photo.product_id].append(photo)
    changes = Changes()
    for draft in drafts:
        changes.rejects += draft.rejects
        product = products.get(draft.record.sku)
        try:
            if product is None:
                _compare_new(draft, taxonomy, changes)
            else:
                _compare_existing(draft, product, photos[product.pk], taxonomy, changes)
        except ValidationError as error:
            changes.rejects.append(Reject(draft.record.where, " ".join(error.messages), draft.record.sku))
    return changes


def _compare_new(draft: Draft, taxonomy: Taxonomy, changes: Changes) -> None:
    record = draft.record
    if record.photos and not draft.photos:
        return  # its photos' rejects give the reasons
    product = Product(sku=record.sku)
    _set(product, record, taxonomy)
    if not product.title:
        raise ValidationError(_("The title is missing; a new product needs one."))
    _check_period(product)
    changes.created.append(product)
    counts = _compare_photos(draft, product, [], changes)
    changes.differences.append(Difference(record, True, product.title, {}, *counts))


def _compare_existing(
    draft: Draft, product: Product, photos: list[ProductImage], taxonomy: Taxonomy, changes: Changes
) -> None:
    changed: dict[str, tuple[Any, Any]] = {}
    if draft.record.overwrite:
        changed = _set(product, draft.record, taxonomy)
        _check_period(product)
    if changed:
        changes.fields |= changed.keys()
        changes.changed.append(product)
    counts = _compare_photos(draft, product, photos, changes)
    if any(counts) or changed:
        changes.updated += 1
    else:
        changes.unchanged += 1
    changes.differences.append(Difference(draft.record, False, product.title, changed, *counts))


def _set(product: Product, record: ProductRecord, taxonomy: Taxonomy) -> dict[str, tuple[Any, Any]]:
    """Give a product the values of a record; returns the fields that change, each before and after."""
    values: dict[str, Any] = dict(record.values)
    if "category" in values:
        values["category_id"] = taxonomy.category(values.pop("category"))
    if "brand" in values:
        values["brand_id"] = taxonomy.brand(values.pop("brand"))
    if record.named_attributes:
        attributes = {**values.get("attributes", product.attributes), **record.named_attributes}
        values["attributes"] = {
            name: value for name, value in attributes.items() if record.named_attributes.get(name) != ""
        }
    readable = {"category_id": taxonomy.path, "brand_id": taxonomy.brand_name}
    changed = {}
    for name, value in values.items():
        before = getattr(product, name)
        if before != value:
            setattr(product, name, value)
            shown = readable.get(name, lambda unchanged: unchanged)
            changed[name.removesuffix("_id")] = (shown(before), shown(value))
    return changed


def _compare_photos(
    draft: Draft, product: Product, held: list[ProductImage], changes: Changes
) -> tuple[int, int, int]:
    """Add what happens to a product's photos to `changes`; returns how many are added, moved and removed."""
    record = draft.record
    changes.photos += len(draft.photos)
    if record.photos is None:
        return 0, 0, 0
    before = len(changes.photos_added), len(changes.photos_moved), len(changes.photos_removed)
    by_digest = {photo.sha256: photo for photo in held}
    # A product that is not overwritten gets new photos after its own.
    first = 0 if record.overwrite else max((photo.position + 1 for photo in held), default=0)
    for position, (content, alt) in enumerate(draft.photos, first):
        photo = by_digest.pop(content.sha256, None)
        if photo is not None:
            wanted = (position, photo.alt if alt is None else alt)
            if record.overwrite and (photo.position, photo.alt) != wanted:
                photo.position, photo.alt = wanted
                changes.photos_moved.append(photo)
        elif content.names:
            changes.photos_added.append(
                ProductImage(
                    product=product,
                    position=position,
                    alt=alt or "",
                    width=content.width,
                    height=content.height,
                    sha256=content.sha256,
                    stripped=content.stripped,
                    **content.names,
                )
            )
        else:
            reason = _("Someone removed this photo during the import. Import the same again to bring it in.")
            changes.rejects.append(Reject(record.where, reason, record.sku))
    if record.overwrite and not draft.rejects:
        # Not if a photo could not be read: a folder that is unavailable must not empty the shop.
        changes.photos_removed += by_digest.values()
    after = len(changes.photos_added), len(changes.photos_moved), len(changes.photos_removed)
    added, moved, removed = (now - then for now, then in zip(after, before, strict=True))
    return added, moved, removed


def _check_period(product: Product) -> None:
    """Raise ValidationError for contradicting dates: one may come from the row, the other from the database."""
    start, end = product.visible_from, product.visible_until
    if start and end and start >= end:
        raise ValidationError(
            _("visible_from is %(start)s UTC and visible_until %(end)s UTC; visible_until must be later.")
            % {"start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}"}
        )
