"""The records that the program keeps itself: versions of the index, and the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from catalogue.models import ProductImage
from search.admin.pages import IndexPages
from search.admin.states import LABELS, badge, may_try_again, try_again
from search.models import IndexEntry, IndexVersion


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
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
class IndexVersionAdmin(IndexPages, ReadOnlyAdmin):
    list_display = (
        "pk",
        "state_badge",
        "fingerprint",
        "photos",
        "indexed",
        "pending",
        "failed",
        "created",
        "activated",
    )
    list_filter = ("state",)
    list_before_template = "search/admin/to_index.html"
    fields = (
        "state", ("backend", "embedder"), "fingerprint", ("width", "colours"), "photos",
        ("indexed", "pending"), ("failed", "gone"), "projection_report", "matches",
        ("changes", "changes_in_file"), ("created", "activated", "retired"),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        return [*self.index_urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[IndexVersion]:
        counts = {f"{state.value}_count": Count("entries", Q(entries__state=state)) for state in IndexEntry.State}
        queryset: QuerySet[IndexVersion] = super().get_queryset(request)
        return queryset.defer("projection_bytes").annotate(**counts)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, version: IndexVersion) -> str:
        return badge(version.state, version.get_state_display())

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

    @admin.display(description=_("colour version"))
    def colours(self, version: IndexVersion) -> int:
        return version.colours_version

    @admin.display(description=_("changes"))
    def changes(self, version: IndexVersion) -> int:
        return version.sequence

    @admin.display(description=_("changes in the file"))
    def changes_in_file(self, version: IndexVersion) -> int:
        return version.base_sequence

    @admin.display(description=_("projection"))
    def projection_report(self, version: IndexVersion) -> str:
        return (
            report(version.quality)
            if version.quality
            else gettext("No projection: embeddings are compared directly.")
        )

    @admin.display(description=_("match thresholds"))
    def matches(self, version: IndexVersion) -> str:
        return report(asdict(version.calibration))


@admin.register(IndexEntry)
class IndexEntryAdmin(ReadOnlyAdmin):
    list_display = ("photo", "version_number", "state_badge", "attempts", "next_try", "reason")
    list_display_links = ("state_badge",)
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
            product_pk=Subquery(photo.values("product")),
            sku=Subquery(photo.values("product__sku")),
            thumbnail=Subquery(photo.values("thumbnail")),
        )

    @admin.display(description=_("photo"), ordering="photo_id")
    def photo(self, entry: Any) -> str:
        if entry.product_pk is None:
            return str(gettext("photo %d, deleted") % entry.photo_id)
        address = reverse("admin:catalogue_product_change", args=[entry.product_pk])
        picture = format_html(
            '<img class="index-thumb" src="{}" alt="" height="48" loading="lazy">',
            ProductImage(thumbnail=entry.thumbnail).thumbnail.url,
        )
        return format_html(
            '<span class="index-with-thumb">{}<span><a href="{}">{}</a> (#{})</span></span>',
            picture, address, entry.sku, entry.photo_id,
        )  # fmt: skip

    @admin.display(description=_("index version"), ordering="version")
    def version_number(self, entry: IndexEntry) -> str:
        return f"{entry.version_id} ({entry.version.get_state_display()})"

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, entry: IndexEntry) -> str:
        return badge(entry.state, str(LABELS[entry.state]))

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return may_try_again(request)

    @admin.action(description=_("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[IndexEntry]) -> None:
        try_again(self, request, queryset.values_list("photo_id", flat=True))
