"""Photos: in the form of their product, and all in one list."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from catalogue.admin.forms import ProductImageForm, ProductImageFormSet
from catalogue.models import ProductImage

PREVIEW_HEIGHT = 64
"""Of a photo's preview, in pixels."""


def preview(photo: ProductImage | None) -> str:
    """A photo's thumbnail as a link to its largest file; "" for a photo that is not stored yet."""
    if photo is None or not photo.pk:
        return ""
    return format_html(
        '<a href="{}"><img class="staff-cover" src="{}" alt="{}" width="{}" height="{}" loading="lazy"></a>',
        photo.shown.url,
        photo.thumbnail.url,
        photo.alternative,
        max(1, round(PREVIEW_HEIGHT * photo.width / photo.height)),
        PREVIEW_HEIGHT,
    )


class ProductImageInline(TabularInline):
    model = ProductImage
    form = ProductImageForm
    formset = ProductImageFormSet
    fields = ["preview", "upload", "position", "alt"]
    readonly_fields = ["preview"]
    extra = 0
    hide_title = True
    ordering_field = "position"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        queryset: QuerySet[ProductImage] = super().get_queryset(request)
        return queryset.select_related("product")

    @admin.display(description=_("preview"))
    def preview(self, photo: ProductImage) -> str:
        return preview(photo)


@admin.register(ProductImage)
class ProductImageAdmin(ModelAdmin):
    """All photos in one list. They are added in the form of their product."""

    form = ProductImageForm
    list_display = ["preview", "product", "place", "size", "alt", "created"]
    list_display_links = ("product",)
    list_select_related = ("product",)
    list_per_page = 50
    search_fields = ("product__sku", "product__title", "alt")
    fields = ["preview", "product", "upload", "position", "alt", "size", "created"]
    readonly_fields = ["preview", "product", "size", "created"]
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description=_("preview"))
    def preview(self, photo: ProductImage) -> str:
        return preview(photo)

    @admin.display(description=_("position"), ordering="position")
    def place(self, photo: ProductImage) -> int:
        return photo.position + 1

    @admin.display(description=_("size"))
    def size(self, photo: ProductImage) -> str:
        return f"{photo.width}\u00a0×\u00a0{photo.height}"
