"""Where a photo stands in the live index: as columns, badges, filters, and with another try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template.defaultfilters import date, truncatechars
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalogue.models import ProductImage
from search.models import IndexEntry, IndexVersion
from search.writing import ledger

SHOWN_STATES = (IndexEntry.State.INDEXED, IndexEntry.State.PENDING, IndexEntry.State.FAILED)
"""What a photo that exists can be in; `gone` is for those that do not."""

LABELS = {
    IndexEntry.State.INDEXED.value: _("indexed"),
    IndexEntry.State.PENDING.value: _("waiting"),
    IndexEntry.State.FAILED.value: _("failed"),
    IndexEntry.State.GONE.value: _("gone"),
}

REASONS = 20
"""Reasons shown at the most, those of most photos first."""


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


def may_try_again(request: HttpRequest) -> bool:
    """Whether the user may have photos indexed again: a permission on the index, not on the catalogue."""
    return bool(request.user.has_perm("search.change_indexentry"))


def try_again(model_admin: Any, request: HttpRequest, photo_ids: Iterable[int]) -> None:
    """Make photos pending, and say so."""
    ids = set(photo_ids)
    ledger.retry(ids)
    text = ngettext("%d photo will be indexed again shortly.", "%d photos will be indexed again shortly.", len(ids))
    messages.success(request, text % len(ids))


def reasons(version: IndexVersion | None, state: str) -> list[tuple[str, int]]:
    """Why entries of a version are in a state, each reason with their number, the most frequent first."""
    entries = IndexEntry.objects.filter(version=version, state=state).exclude(reason="").order_by()
    counted = entries.values_list("reason").annotate(number=Count("pk")).order_by("-number", "reason")
    return list(counted[:REASONS])


def photos_in(state: str) -> QuerySet[Any]:
    """The ids of photos whose entry in the live index is in a state: found by the ledger, not by each photo."""
    live = IndexVersion.objects.filter(state=IndexVersion.State.LIVE).values("pk")
    return IndexEntry.objects.filter(version__in=live, state=state).order_by().values("photo_id")


class PhotoStateFilter(admin.SimpleListFilter):
    """Photos by where they stand in the live index."""

    title = _("index")
    parameter_name = "index"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [(state.value, LABELS[state.value]) for state in SHOWN_STATES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case IndexEntry.State.PENDING:  # also those that the ledger does not know
                return queryset.filter(index_state=IndexEntry.State.PENDING)
            case IndexEntry.State.INDEXED | IndexEntry.State.FAILED as state:
                return queryset.filter(pk__in=photos_in(state))
        return queryset


class PhotoReasonFilter(admin.SimpleListFilter):
    """Photos by the reason why they are not in the live index."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        version = IndexVersion.objects.live()
        known = dict.fromkeys(
            text
            for state in (IndexEntry.State.FAILED, IndexEntry.State.PENDING)
            for text, _n in reasons(version, state)
        )
        return [(text, truncatechars(text, 80)) for text in known]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        entries = IndexEntry.objects.filter(version__state=IndexVersion.State.LIVE, reason=self.value())
        return queryset.filter(pk__in=entries.order_by().values("photo_id"))


class ProductStateFilter(PhotoStateFilter):
    """Products of which a photo is in a state."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in SHOWN_STATES:
            return queryset
        photos = with_entries(ProductImage.objects.order_by()).filter(index_state=self.value())
        return queryset.filter(pk__in=photos.values("product"))
