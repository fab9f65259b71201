"""The back office of search, and what it adds to the catalogue's: where each photo stands in the live index."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import date
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from catalogue.admin import ProductAdmin, ProductImageAdmin, ProductImageInline
from catalogue.models import Product, ProductImage
from search import colours, indexing
from search.models import IndexEntry, IndexVersion, Query

SHOWN_STATES = (IndexEntry.State.INDEXED, IndexEntry.State.PENDING, IndexEntry.State.FAILED)
"""What a photo that exists can be in; `gone` is for those that do not."""

LABELS = {
    IndexEntry.State.INDEXED.value: _("indexed"),
    IndexEntry.State.PENDING.value: _("waiting"),
    IndexEntry.State.FAILED.value: _("failed"),
    IndexEntry.State.GONE.value: _("gone"),
}


def with_entries(photos: QuerySet[ProductImage]) -> QuerySet[Any]:
    """Photos with their entry in the live index: `index_state`, `index_attempts`, `index_next_try`, `index_reason`.

    A photo that the index does not know yet is pending.
    """
    entry = IndexEntry.objects.filter(version__state=IndexVersion.State.LIVE, photo_id=OuterRef("pk"))
    return photos.annotate(
        index_state=Coalesce(Subquery(entry.values("state")), Value(IndexEntry.State.PENDING.value)),
        index_attempts=Coalesce(Subquery(entry.values("attempts")), Value(0)),
        index_next_try=Subquery(entry.values("next_try")),
        index_reason=Coalesce(Subquery(entry.values("reason")), Value(""), output_field=TextField()),
    )


def badge(state: str, text: str) -> str:
    return format_html('<span class="index-state index-state--{}">{}</span>', state, text)


def photo_badge(photo: Any) -> str:
    """Where a photo of `with_entries` stands, with the reason where it is not as it should be."""
    if photo is None or not photo.pk:
        return ""
    if photo.index_state == IndexEntry.State.PENDING and photo.index_attempts:
        text = ngettext(
            "waiting: %(tries)d try, next at %(time)s",
            "waiting: %(tries)d tries, next at %(time)s",
            photo.index_attempts,
        ) % {
            "tries": photo.index_attempts,
            "time": date(timezone.localtime(photo.index_next_try), "DATETIME_FORMAT"),
        }
    else:
        text = str(LABELS[photo.index_state])
    reason = format_html('<p class="index-reason">{}</p>', photo.index_reason) if photo.index_reason else ""
    return format_html("{}{}", badge(photo.index_state, text), reason)


def try_again(model_admin: admin.ModelAdmin[Any], request: HttpRequest, photo_ids: Iterable[int]) -> None:
    """Make photos pending, and say so."""
    ids = set(photo_ids)
    indexing.try_again(ids)
    text = ngettext("%d photo will be indexed again shortly.", "%d photos will be indexed again shortly.", len(ids))
    model_admin.message_user(request, text % len(ids), messages.SUCCESS)


class PhotoStateFilter(admin.SimpleListFilter):
    """Photos by where they stand in the live index."""

    title = _("index")
    parameter_name = "index"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [(state.value, LABELS[state.value]) for state in SHOWN_STATES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(index_state=self.value()) if self.value() in SHOWN_STATES else queryset


class ProductStateFilter(PhotoStateFilter):
    """Products of which a photo is in a state."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in SHOWN_STATES:
            return queryset
        photos = with_entries(ProductImage.objects.order_by()).filter(index_state=self.value())
        return queryset.filter(pk__in=photos.values("product"))


class IndexedProductImageInline(ProductImageInline):
    fields = [*ProductImageInline.fields, "index"]
    readonly_fields = [*ProductImageInline.readonly_fields, "index"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        return with_entries(super().get_queryset(request))

    @admin.display(description=_("index"))
    def index(self, photo: Any) -> str:
        shown = photo_badge(photo)
        if not shown or not (photo.index_state == IndexEntry.State.FAILED or photo.index_attempts):
            return shown
        # Not a button of the product's own form, of which it would be the first: the Enter key would press it.
        return format_html(
            '{} <button form="try-again" name="photo" value="{}">{}</button>', shown, photo.pk, _("Try again")
        )


admin.site.unregister([Product, ProductImage])


@admin.register(Product)
class IndexedProductAdmin(ProductAdmin):
    """Products, with what the index holds of their photos."""

    inlines = [IndexedProductImageInline]
    list_display = [*ProductAdmin.list_display, "index"]
    list_filter = [*ProductAdmin.list_filter, ProductStateFilter]
    change_form_template = "search/admin/product_change_form.html"

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
        if not self.has_change_permission(request, product):
            raise PermissionDenied
        chosen = {value for value in request.POST.getlist("photo") if value.isdecimal()}
        try_again(self, request, product.photos.filter(pk__in=chosen).values_list("pk", flat=True))
        return redirect("admin:catalogue_product_change", product.pk)


@admin.register(ProductImage)
class IndexedProductImageAdmin(ProductImageAdmin):
    """Photos, with where they stand in the index."""

    list_display = [*ProductImageAdmin.list_display, "index"]
    list_filter = (PhotoStateFilter,)
    fields = [*ProductImageAdmin.fields, "index"]
    readonly_fields = [*ProductImageAdmin.readonly_fields, "index"]
    actions = ("try_again",)

    class Media:
        css = {"all": ("search/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        return with_entries(super().get_queryset(request))

    @admin.display(description=_("index"))
    def index(self, photo: ProductImage) -> str:
        return photo_badge(photo)

    @admin.action(description=_("Try again"), permissions=["change"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[ProductImage]) -> None:
        try_again(self, request, queryset.values_list("pk", flat=True))


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Records that the program keeps itself: looked at, never edited."""

    class Media:
        css = {"all": ("search/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def report(values: Any) -> str:
    """Values as indented JSON, for people."""
    return format_html('<pre class="index-report">{}</pre>', json.dumps(values, indent=2, ensure_ascii=False))


@admin.register(IndexVersion)
class IndexVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "pk", "state", "fingerprint", "width", "photos", "indexed", "pending", "failed", "created", "activated",
    )  # fmt: skip
    list_filter = ("state",)
    fields = (
        "state", ("backend", "embedder"), "fingerprint", ("width", "colours_version"), "photos",
        ("indexed", "pending", "failed", "gone"), "projection_report", "matches",
        ("sequence", "base_sequence"), ("created", "activated", "retired"),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[IndexVersion]:
        counts = {f"{state.value}_count": Count("entries", Q(entries__state=state)) for state in IndexEntry.State}
        queryset: QuerySet[IndexVersion] = super().get_queryset(request)
        return queryset.defer("projection_bytes").annotate(**counts)

    @admin.display(description=_("indexed"))
    def indexed(self, version: Any) -> int:
        return int(version.indexed_count)

    @admin.display(description=_("waiting"))
    def pending(self, version: Any) -> int:
        return int(version.pending_count)

    @admin.display(description=_("failed"))
    def failed(self, version: Any) -> int:
        return int(version.failed_count)

    @admin.display(description=_("gone"))
    def gone(self, version: Any) -> int:
        return int(version.gone_count)

    @admin.display(description=_("projection"))
    def projection_report(self, version: IndexVersion) -> str:
        return report(version.quality) if version.quality else gettext("Embeddings are compared as they are.")

    @admin.display(description=_("bounds of matches"))
    def matches(self, version: IndexVersion) -> str:
        return report(asdict(version.calibration))


@admin.register(IndexEntry)
class IndexEntryAdmin(ReadOnlyAdmin):
    list_display = ("photo", "version", "state", "attempts", "next_try", "reason")
    list_filter = ("state", "version")
    list_select_related = ("version",)
    list_per_page = 50
    search_fields = ("reason", "=photo_id")
    show_full_result_count = False
    ordering = ("-pk",)
    actions = ("try_again",)
    fields = ("photo", "version", "state", "reason", "attempts", "next_try", "leased_until", "generation")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IndexEntry]:
        photo = ProductImage.objects.filter(pk=OuterRef("photo_id")).order_by()
        queryset: QuerySet[IndexEntry] = super().get_queryset(request)
        return queryset.defer("version__projection_bytes").annotate(
            product_pk=Subquery(photo.values("product")), sku=Subquery(photo.values("product__sku"))
        )

    @admin.display(description=_("photo"), ordering="photo_id")
    def photo(self, entry: Any) -> str:
        if entry.product_pk is None:
            return str(gettext("photo %d, deleted") % entry.photo_id)
        address = reverse("admin:catalogue_product_change", args=[entry.product_pk])
        return format_html('<a href="{}">{}</a> (#{})', address, entry.sku, entry.photo_id)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("search.change_indexentry"))

    @admin.action(description=_("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[IndexEntry]) -> None:
        try_again(self, request, queryset.values_list("photo_id", flat=True))


@admin.register(Query)
class QueryAdmin(ReadOnlyAdmin):
    """What shoppers ask now. Their pictures are private: neither shown nor linked to, only forgotten."""

    list_display = ("pk", "kind", "named_colours", "created", "expires")
    list_display_links = ("pk",)
    ordering = ("-created",)
    list_per_page = 50
    date_hierarchy = "created"
    fields = ("id", "kind", ("width", "height"), "named_colours", "fingerprint", ("created", "expires"))
    readonly_fields = ("id",)
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Query]:
        return super().get_queryset(request).filter(expires__gt=timezone.now()).defer("embedding", "colour")

    @admin.display(description=_("asked with"))
    def kind(self, query: Query) -> str:
        return gettext("a photo of the catalogue") if query.photo_id else gettext("a picture of their own")

    @admin.display(description=_("colours"))
    def named_colours(self, query: Query) -> str:
        return ", ".join(f"{colours.label(name)} {share:.0%}" for name, share in query.colours)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("search.delete_query")

    def delete_model(self, request: HttpRequest, obj: Query) -> None:
        obj.forget()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Query]) -> None:
        for query in queryset:
            query.forget()
