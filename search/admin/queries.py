"""What shoppers asked in the last days, and how well they were answered: this is what staff learn from."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from catalogue import images
from search.admin.records import ReadOnlyAdmin
from search.admin.states import badge
from search.models import Query
from search.reading.ranking import LONGEST
from search.vision import colours

THUMBNAIL_SIDE = 160
"""The longer side of a picture in the list, in pixels; it is shown at half of it."""
CACHED = 600
"""Seconds that a browser keeps a picture at the most; less if it expires before."""


class AlikeFilter(admin.SimpleListFilter):
    """Queries by whether the catalogue had anything like them."""

    title = _("matches")
    parameter_name = "alike"
    conditions = {"no": Q(alike=False), "yes": Q(alike=True), "unknown": Q(alike=None)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("no", _("no matches")), ("yes", _("had matches")), ("unknown", _("not ranked"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        condition = self.conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class KeptFilter(admin.SimpleListFilter):
    """Queries by whether their picture is still there."""

    title = _("picture")
    parameter_name = "kept"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("yes", _("kept")), ("no", _("deleted"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        kept = Q(expires__gt=timezone.now()) & (~Q(picture="") | Q(photo__isnull=False))
        match self.value():
            case "yes":
                return queryset.filter(kept)
            case "no":
                return queryset.exclude(kept)
        return queryset


@admin.register(Query)
class QueryAdmin(ReadOnlyAdmin):
    """Pictures are shown to those who may view queries, until they are deleted; the numbers stay for a month."""

    list_display = ("shown", "kind", "answer", "number_found", "named_colours", "created", "results")
    list_display_links = ("shown",)
    list_filter = (AlikeFilter, "best_match", "kind", KeptFilter, "created")
    list_select_related = ("photo__product",)
    ordering = ("-created",)
    list_per_page = 50
    fields = (
        "picture_shown", "kind", "answer", "number_found", "named_colours", "size", "model_name",
        ("created", "expiry"), "results",
    )  # fmt: skip
    readonly_fields = ("created",)
    view_on_site = False
    delete_confirmation_template = "search/admin/query_delete.html"
    delete_selected_confirmation_template = "search/admin/query_delete_selected.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Query]:
        queryset: QuerySet[Query] = super().get_queryset(request).defer("embedding", "colour")
        return queryset

    def get_urls(self) -> list[URLPattern]:
        # The views say themselves for how long a browser may keep what they send.
        small, large = (
            self.admin_site.admin_view(require_safe(view), cacheable=True)
            for view in (self.thumbnail_view, self.picture_view)
        )
        return [
            path("<uuid:pk>/thumbnail.jpg", small, name="search_query_thumbnail"),
            path("<uuid:pk>/picture.jpg", large, name="search_query_picture"),
            *super().get_urls(),
        ]

    # Columns

    def _picture(self, query: Query, name: str, height: int) -> str:
        if query.gone:
            return format_html('<span class="index-deleted">{}</span>', gettext("deleted"))
        if query.photo is not None:
            source, text = query.photo.thumbnail.url, query.photo.alternative
        else:
            source, text = reverse(f"admin:search_query_{name}", args=[query.pk]), gettext("A shopper's picture")
        width = max(1, round(height * query.width / query.height))
        return format_html(
            '<img class="index-thumb" src="{}" alt="{}" width="{}" height="{}" loading="lazy">',
            source, text, width, height,
        )  # fmt: skip

    @admin.display(description=_("picture"))
    def shown(self, query: Query) -> str:
        return self._picture(query, "thumbnail", THUMBNAIL_SIDE // 2)

    @admin.display(description=_("picture"))
    def picture_shown(self, query: Query) -> str:
        return self._picture(query, "picture", 320)

    @admin.display(description=_("best match"), ordering="best")
    def answer(self, query: Query) -> str:
        if query.alike is None:
            return gettext("not ranked")
        text = gettext("no matches") if not query.alike else str(query.get_best_match_display())
        number = (
            "" if query.best is None else format_html('<span class="index-number">{}</span>', f"{query.best:.3f}")
        )
        return format_html("{} {}", badge("indexed" if query.alike else "failed", text), number)

    @admin.display(description=_("results"), ordering="found", empty_value="–")
    def number_found(self, query: Query) -> str | None:
        if query.found is None:
            return None
        return f"{query.found}+" if query.found >= LONGEST else str(query.found)

    @admin.display(description=_("colours"))
    def named_colours(self, query: Query) -> str:
        return ", ".join(f"{colours.label(name)} {share:.0%}" for name, share in query.colours)

    @admin.display(description=_("size"))
    def size(self, query: Query) -> str:
        return f"{query.width}\u00a0×\u00a0{query.height}"

    @admin.display(description=_("model"))
    def model_name(self, query: Query) -> str:
        return query.fingerprint

    @admin.display(description=_("deleted on"))
    def expiry(self, query: Query) -> datetime:
        return query.expires

    @admin.display(description=_("results page"))
    def results(self, query: Query) -> str:
        if query.gone:
            return "–"
        return format_html('<a class="index-link" href="{}">{}</a>', query.get_absolute_url(), gettext("Open"))

    # Pictures

    def _find(self, request: HttpRequest, pk: UUID) -> Query:
        if not self.has_view_permission(request):
            raise PermissionDenied
        query = get_object_or_404(Query, pk=pk)
        if query.gone or not query.picture:
            raise Http404(gettext("This picture was deleted."))
        return query

    def thumbnail_view(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        query = self._find(request, pk)
        try:
            with query.picture.open() as file:
                picture = images.read(file.read(), short_side=THUMBNAIL_SIDE)
        except (FileNotFoundError, images.ImageRefused) as error:
            raise Http404(gettext("This picture was deleted.")) from error
        data = images.encode(picture.image, THUMBNAIL_SIDE)
        return _kept_as_long(query, HttpResponse(data, content_type="image/jpeg"))

    def picture_view(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        query = self._find(request, pk)
        try:
            file = query.picture.open()
        except FileNotFoundError as error:
            raise Http404(gettext("This picture was deleted.")) from error
        return _kept_as_long(query, FileResponse(file, content_type="image/jpeg"))

    # Deleting is forgetting

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.has_perm("search.delete_query")) and not (isinstance(obj, Query) and obj.gone)

    def delete_model(self, request: HttpRequest, obj: Query) -> None:
        obj.forget()

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        """Back to the list: Django leads only those there who may change queries, and nobody may."""
        super().response_delete(request, obj_display, obj_id)  # says what was done
        return redirect("admin:search_query_changelist")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Query]) -> None:
        for query in queryset:
            query.forget()


def _kept_as_long(query: Query, response: HttpResponseBase) -> HttpResponseBase:
    """For this browser alone, and not longer than the picture itself is kept."""
    left = int((query.expires - timezone.now()).total_seconds())
    response.headers["Cache-Control"] = f"private, max-age={max(0, min(left, CACHED))}"
    return response
