"""What search adds to the catalogue's products and photos."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from catalogue.admin import ProductAdmin, ProductImageAdmin, ProductImageInline
from catalogue.models import Product, ProductImage
from search.admin.keys import is_key
from search.admin.neighbours import ComparisonForm, compare
from search.admin.states import (
    LABELS,
    PhotoReasonFilter,
    PhotoStateFilter,
    ProductStateFilter,
    badge,
    may_try_again,
    photo_badge,
    try_again,
    with_entries,
)
from search.models import IndexEntry


def similar_link(photo: ProductImage) -> str:
    address = reverse("admin:search_photo_similar", args=[photo.pk])
    return format_html('<a class="index-link" href="{}">{}</a>', address, gettext("Find similar"))


class IndexedProductImageInline(ProductImageInline):
    fields = [*ProductImageInline.fields, "index"]
    readonly_fields = [*ProductImageInline.readonly_fields, "index"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        # Django makes an inline for each request.
        self.may_try_again = may_try_again(request)
        return with_entries(super().get_queryset(request))

    @admin.display(description=_("index"))
    def index(self, photo: Any) -> str:
        shown = photo_badge(photo)
        if not shown:
            return shown
        if self.may_try_again and (photo.index_state == IndexEntry.State.FAILED or photo.index_attempts):
            # Not a button of the product's own form, of which it would be the first: the Enter key would press it.
            shown = format_html(
                '{} <button class="index-button" form="try-again" name="photo" value="{}">{}</button>',
                shown,
                photo.pk,
                _("Try again"),
            )
        return format_html('<div class="index-cell">{} {}</div>', shown, similar_link(photo))


admin.site.unregister([Product, ProductImage])


@admin.register(Product)
class IndexedProductAdmin(ProductAdmin):
    """Products, with what the index holds of their photos."""

    inlines = [
        IndexedProductImageInline if inline is ProductImageInline else inline for inline in ProductAdmin.inlines
    ]
    list_display = [*ProductAdmin.list_display, "index"]
    list_filter = [*ProductAdmin.list_filter, ProductStateFilter]
    # The rows' buttons belong to a form of its own: it cannot stand within the page's own.
    change_form_outer_after_template = "search/admin/try_again_form.html"

    class Media:
        css = {"all": ("search/admin.css",)}

    def photos_of_list(self, request: HttpRequest) -> QuerySet[ProductImage]:
        return with_entries(super().photos_of_list(request))

    @admin.display(description=_("index"))
    def index(self, product: Product) -> str:
        counts = Counter(photo.index_state for photo in product.photos.all())  # type: ignore[attr-defined]
        return format_html_join(
            " ",
            "{}",
            (
                (badge(state.value, f"{counts[state.value]} {LABELS[state.value]}"),)
                for state in IndexEntry.State
                if counts[state.value]
            ),
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.try_again_view))
        return [
            path("<int:pk>/try-again/", view, name="catalogue_product_try_again"),
            *super().get_urls(),
        ]

    def try_again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Index photos of a product again: those that are named as `photo`."""
        product = get_object_or_404(Product, pk=pk)
        if not (self.has_view_permission(request, product) and may_try_again(request)):
            raise PermissionDenied
        chosen = {value for value in request.POST.getlist("photo") if is_key(value)}
        try_again(self, request, product.photos.filter(pk__in=chosen).values_list("pk", flat=True))
        return redirect("admin:catalogue_product_change", product.pk)


@admin.register(ProductImage)
class IndexedProductImageAdmin(ProductImageAdmin):
    """Photos, with where they stand in the index."""

    list_display = [*ProductImageAdmin.list_display, "index"]
    list_filter = [*ProductImageAdmin.list_filter, PhotoStateFilter, PhotoReasonFilter]
    fields = [*ProductImageAdmin.fields, "index_and_similar"]
    readonly_fields = [*ProductImageAdmin.readonly_fields, "index_and_similar"]
    actions = [*(ProductImageAdmin.actions or ()), "try_again"]

    class Media:
        css = {"all": ("search/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        return with_entries(super().get_queryset(request))

    @admin.display(description=_("index"))
    def index(self, photo: ProductImage) -> str:
        return photo_badge(photo)

    @admin.display(description=_("index"))
    def index_and_similar(self, photo: ProductImage) -> str:
        return format_html('<div class="index-cell">{} {}</div>', photo_badge(photo), similar_link(photo))

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return may_try_again(request)

    @admin.action(description=_("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[ProductImage]) -> None:
        try_again(self, request, queryset.values_list("pk", flat=True))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.similar_view))
        return [path("<int:pk>/similar/", view, name="search_photo_similar"), *super().get_urls()]

    def similar_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The photos nearest to a photo, with all the numbers: to see why search finds what it finds."""
        photos = ProductImage.objects.select_related("product").order_by()
        photo = get_object_or_404(with_entries(photos), pk=pk)
        if not self.has_view_permission(request, photo):
            raise PermissionDenied
        form = ComparisonForm(request.GET)
        context = {
            **self.admin_site.each_context(request),
            "object": photo,
            "title": gettext("Similar photos"),
            "form": form,
            "photo": photo,
            "badge": photo_badge(photo),
            "comparison": compare(photo, form.colour_weight, visible=form.only_visible),
            "media": self.media,
        }
        return TemplateResponse(request, "search/admin/similar.html", context)
