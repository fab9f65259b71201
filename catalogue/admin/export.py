"""The export of products as tables, with the columns that an import reads."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import tablib
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from import_export import resources
from import_export.fields import Field
from import_export.formats import base_formats

from catalogue.importers.cells import PHOTO_SEPARATOR, as_text, category_path, photo_texts
from catalogue.importers.taxonomy import Taxonomy
from catalogue.models import Product

_NUMBERS = {"price": Decimal, "stock": int}
"""Columns that are numbers in a workbook; the others are text."""


class Csv(base_formats.CSV):
    """CSV in which no cell runs as a formula."""

    def export_data(self, dataset: Any, **kwargs: Any) -> Any:
        safe = tablib.Dataset(headers=dataset.headers)
        for row in dataset:
            safe.append([as_text(str(cell)) for cell in row])
        return super().export_data(safe, **kwargs)


class Xlsx(base_formats.XLSX):
    """A workbook whose texts never run as formulas."""

    def export_data(self, dataset: Any, **kwargs: Any) -> bytes:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        _check_lengths(dataset)  # first: an abandoned workbook leaves its file behind
        book = Workbook(write_only=True)
        sheet = book.create_sheet(str(Product._meta.verbose_name_plural))
        sheet.append(list(dataset.headers))
        for row in dataset:
            cells = []
            for name, value in zip(dataset.headers, row, strict=True):
                text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", str(value or ""))
                if name in _NUMBERS and text:
                    cells.append(_NUMBERS[name](text))
                    continue
                cell = WriteOnlyCell(sheet, text or None)
                if text:
                    cell.data_type = "s"
                cells.append(cell)
            sheet.append(cells)
        file = io.BytesIO()
        book.save(file)
        return file.getvalue()


def _check_lengths(dataset: Any) -> None:
    """Raise ValueError with a sentence, which the admin shows, if a text is too long for a workbook."""
    for row in dataset:
        for name, value in zip(dataset.headers, row, strict=True):
            if len(str(value or "").encode("utf-16-le")) > 2 * MAX_CELL:
                sentence = _(
                    "%(name)s of %(product)s is longer than a cell of a workbook may be (%(limit)s characters). "
                    "Choose CSV."
                )
                limit = number_format(MAX_CELL, force_grouping=True)
                raise ValueError(sentence % {"name": name, "product": str(row[0])[:80], "limit": limit})


MAX_CELL = 32_767
"""Characters, in UTF-16, of a cell in Excel. Longer ones would be cut off silently."""

FORMATS = [Csv, Xlsx]
"""The formats of an export."""

_ROWS = 500
"""Products in memory at once."""


class ProductResource(resources.ModelResource):
    """One row per product. `catalogue.importers` reads what this writes."""

    category = Field(column_name="category")
    brand = Field(column_name="brand", attribute="brand__name", default="")
    price = Field(column_name="price")
    attributes = Field(column_name="attributes")
    visible_from = Field(column_name="visible_from")
    visible_until = Field(column_name="visible_until")
    photos = Field(column_name="photos")
    alt = Field(column_name="alt")

    class Meta:
        model = Product
        import_id_fields = ("sku",)
        chunk_size = _ROWS
        fields = (
            "sku", "title", "description", "category", "brand", "price", "currency", "stock", "attributes",
            "external_url", "visible_from", "visible_until", "photos", "alt",
        )  # fmt: skip
        export_order = fields

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._taxonomy = Taxonomy()

    def filter_export(self, queryset: QuerySet[Product], **kwargs: Any) -> QuerySet[Product]:
        """Prefetch brands and photos: a fixed number of queries per chunk."""
        return queryset.prefetch_related(None).select_related("brand").prefetch_related("photos")

    def dehydrate_category(self, product: Product) -> str:
        return category_path(self._taxonomy.path(product.category_id))

    def dehydrate_price(self, product: Product) -> str:
        return "" if product.price is None else f"{product.price:.2f}"

    def dehydrate_attributes(self, product: Product) -> str:
        return json.dumps(product.attributes, ensure_ascii=False) if product.attributes else ""

    def dehydrate_visible_from(self, product: Product) -> str:
        return _moment(product.visible_from)

    def dehydrate_visible_until(self, product: Product) -> str:
        return _moment(product.visible_until)

    def dehydrate_photos(self, product: Product) -> str:
        return f" {PHOTO_SEPARATOR} ".join(photo.file.name or "" for photo in product.photos.all())

    def dehydrate_alt(self, product: Product) -> str:
        return photo_texts([photo.alt for photo in product.photos.all()])


def _moment(moment: Any) -> str:
    """In the site's time zone, with its offset."""
    return timezone.localtime(moment).isoformat() if moment else ""
