"""Products: list, form and actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import ForeignKey, Prefetch, Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from import_export.admin import ExportActionMixin, ImportExportMixin
from tree_queries.forms import TreeNodeChoiceField
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.contrib.import_export.forms import SelectableFieldsExportForm

from catalogue.admin import history, values
from catalogue.admin.bulk import BulkEditForm, Outdated, digest
from catalogue.admin.categories import indented
from catalogue.admin.export import FORMATS, ProductResource
from catalogue.admin.filters import CategoryFilter, HasPhotosFilter, InStockFilter, VisibleFilter
from catalogue.admin.forms import ProductForm, ProductRowForm
from catalogue.admin.importing import SHOWN, ImportPages
from catalogue.admin.photos import ProductImageInline, preview
from catalogue.importers.importer import Importer
from catalogue.importers.records import Reject
from catalogue.models import Product, ProductImage
from catalogue.overview import may_import

COVERS = 12
"""Covers that are shown before a bulk edit."""

DEMO_PRODUCTS = 24
"""Drawn within a request, in about five seconds. The command `load_demo` makes more."""

MAX_DELETED = 20_000
"""Products deleted at once. The confirmation has a field for each, within `DATA_UPLOAD_MAX_NUMBER_FIELDS`."""


@admin.register(Product)
class ProductAdmin(ImportPages, ImportExportMixin, ExportActionMixin, ModelAdmin):
    form = ProductForm
    inlines: ClassVar[list[Any]] = [ProductImageInline]
    list_display = ["cover", "product", "category", "price", "stock", "visible_now", "photo_count"]
    list_display_links = ("product",)
    list_editable = ("price", "stock")
    list_filter: ClassVar[list[Any]] = [
        VisibleFilter,
        InStockFilter,
        HasPhotosFilter,
        CategoryFilter,
        ("brand", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_filter_sheet = True
    list_select_related = ("category", "brand")
    list_per_page = 50
    list_max_show_all = 100  # each row has six fields
    list_fullwidth = True
    search_fields = ("sku", "title", "brand__name")
    search_help_text = _("Search by SKU, title or brand")
    readonly_fields = ("created", "modified")
    warn_unsaved_form = True
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("sku", "title", "description", ("category", "brand"))}),
        (_("Price and stock"), {"fields": (("price", "currency"), ("stock", "external_url"))}),
        (_("Visibility"), {"fields": ("visible_from", "visible_until")}),
        (_("More details"), {"fields": ("attributes", ("created", "modified")), "classes": ("collapse",)}),
    )
    actions: ClassVar[Any] = ["bulk_edit", "make_visible", "hide", "delete_selected"]
    resource_classes = [ProductResource]
    export_form_class = SelectableFieldsExportForm
    to_encoding = "utf-8-sig"  # Excel needs the BOM to recognize UTF-8
    change_form_template: str | None = None
    show_change_form_export = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        photos = Prefetch("photos", queryset=self.photos_of_list(request))
        queryset: QuerySet[Product] = super().get_queryset(request).prefetch_related(photos)
        return queryset

    def photos_of_list(self, request: HttpRequest) -> QuerySet[ProductImage]:
        """The photos to prefetch for the list."""
        return ProductImage.objects.all()

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:  # type: ignore[type-arg]
        if db_field.name == "category":
            kwargs |= {"form_class": TreeNodeChoiceField, "label_from_instance": indented}
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": ProductRowForm, **kwargs})

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        """Save a product; from a row of the list, only its changed fields."""
        if not isinstance(form, ProductRowForm):
            super().save_model(request, obj, form, change)
            return
        obj.save(update_fields=[*form.changed_data, "modified"])
        if form.outdated:
            text = gettext(
                "Someone else changed “%s” at the same time. Fields that you did not change have their new values."
            )
            self.message_user(request, text % obj.title, messages.WARNING)

    def get_fieldsets(self, request: HttpRequest, obj: Product | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        may_change = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if may_change and request.user.has_perm("catalogue.add_productimage"):
            # Last, next to the photos below.
            return (*fieldsets, (_("Add photos"), {"fields": ("new_photos",)}))
        return fieldsets

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        photos = form.cleaned_data.get("new_photos")
        if not photos or not request.user.has_perm("catalogue.add_productimage"):
            return
        if added := photos.add_to(form.instance):
            text = ngettext("%d photo has been added.", "%d photos have been added.", added)
            self.message_user(request, text % added, messages.SUCCESS)
        for name, reason in photos.refused:
            self.message_user(request, f"{name}: {reason}", messages.WARNING)

    # Columns

    @admin.display(description=_("cover"))
    def cover(self, product: Product) -> str:
        return preview(product.cover)

    @admin.display(description=_("product"), ordering="title")
    def product(self, product: Product) -> str:
        """The title, with SKU and brand below."""
        below = product.sku if product.brand is None else f"{product.sku} · {product.brand.name}"
        return format_html('{}<span class="staff-below">{}</span>', product.title, below)

    @admin.display(description=_("visible"), boolean=True)
    def visible_now(self, product: Product) -> bool:
        now = timezone.now()
        begun = product.visible_from is None or product.visible_from <= now
        return begun and (product.visible_until is None or product.visible_until > now)

    @admin.display(description=_("photos"))
    def photo_count(self, product: Product) -> int:
        return len(product.photos.all())

    # Actions

    @admin.action(description=_("Edit price, visibility, category, brand …"), permissions=["change"])
    def bulk_edit(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """The form, its preview, and the write. Each step calls this action again."""
        stage = request.POST.get("stage", "")
        form = BulkEditForm(request.POST if stage else None)
        context: dict[str, Any] = {"form": form, "products": queryset, "count": queryset.count()}
        if stage and form.is_valid():
            now = timezone.now()
            if stage == "apply":
                try:
                    changes = form.write(queryset, now, request.POST.get("previewed", ""))
                except Outdated:
                    text = gettext("The products have changed since this preview. Nothing has been saved yet.")
                    self.message_user(request, text, messages.WARNING)
                else:
                    changed = [change.product for change in changes]
                    history.note(request, changed, CHANGE, gettext("Changed in a bulk edit."))
                    text = ngettext("%d product has been changed.", "%d products have been changed.", len(changes))
                    self.message_user(request, text % len(changes), messages.SUCCESS)
                    return None
            if stage in ("preview", "apply"):
                changes = form.changes(queryset, now)
                context |= {
                    "previewed": digest(changes),
                    "changes": [(change.product, values.rows(change.fields)) for change in changes[:SHOWN]],
                    "change_count": len(changes),
                    "more": len(changes) - SHOWN,
                    "unchanged": context["count"] - len(changes),
                }
        context |= {
            **self.admin_site.each_context(request),
            "title": _("Edit products together"),
            "opts": self.opts,
            "media": self.media + form.media,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "covers": queryset[:COVERS],
            "more_products": context["count"] - COVERS,
        }
        return TemplateResponse(request, "admin/catalogue/product/bulk_edit.html", context)

    @admin.action(description=_("Make visible now"), permissions=["change"])
    def make_visible(self, request: HttpRequest, queryset: Any) -> None:
        """Show hidden products from now on; future ends are kept."""
        now = timezone.now()
        with transaction.atomic():
            ended, to_come = Q(visible_until__lte=now), Q(visible_from__gt=now)
            found = list(queryset.locked().filter(ended | to_come))
            queryset.filter(ended).update(visible_until=None, modified=now)
            queryset.filter(to_come).update(visible_from=now, modified=now)
            history.note(request, found, CHANGE, gettext("Made visible."))
        text = ngettext("%d product has become visible.", "%d products have become visible.", len(found))
        self.message_user(request, text % len(found), messages.SUCCESS)

    @admin.action(description=_("Hide now"), permissions=["change"])
    def hide(self, request: HttpRequest, queryset: Any) -> None:
        """Hide visible products; later starts are kept."""
        now = timezone.now()
        with transaction.atomic():
            found = list(queryset.locked().visible(now))
            queryset.visible(now).update(visible_until=now, modified=now)
            history.note(request, found, CHANGE, gettext("Hidden."))
        text = ngettext("%d product is hidden now.", "%d products are hidden now.", len(found))
        self.message_user(request, text % len(found), messages.SUCCESS)

    @admin.action(description=delete_selected.short_description, permissions=["delete"])  # type: ignore[attr-defined]
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse | None:
        """Django's action, if its confirmation is small enough to be submitted."""
        if queryset.count() > MAX_DELETED:
            limit = number_format(MAX_DELETED, force_grouping=True)
            text = gettext("At most %s products can be deleted at once. Filter the list.") % limit
            self.message_user(request, text, messages.WARNING)
            return None
        response: HttpResponse | None = delete_selected(self, request, queryset)
        return response

    # Export

    def export_admin_action(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse:
        """Choose columns and format. A whole list is exported by its filters, as no form holds thousands of keys."""
        if request.POST.get("select_across") == "1":
            query = f"?{request.GET.urlencode()}" if request.GET else ""
            return redirect(reverse("admin:catalogue_product_export") + query)
        response: HttpResponse = super().export_admin_action(request, queryset)
        return response

    def get_export_formats(self) -> list[Any]:
        return FORMATS

    def get_valid_export_item_pks(self, request: HttpRequest) -> Any:
        return Product.objects.values_list("pk", flat=True)

    # First steps

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.load_demo_view))
        return [path("load-demo/", view, name="catalogue_product_load_demo"), *super().get_urls()]

    def load_demo_view(self, request: HttpRequest) -> HttpResponse:
        """Fill an empty shop with a few drawn products, within the request."""
        if not may_import(request):
            raise PermissionDenied
        if Product.objects.exists():
            text = gettext("The shop already has products. The demo needs an empty shop.")
            self.message_user(request, text, messages.WARNING)
        else:
            refused: list[Reject] = []
            records = import_string(settings.DEMO_RECORDS)
            summary = Importer(reject=refused.append).run(records(DEMO_PRODUCTS))
            text = ngettext(
                "%d demo product was added. You can search for it in a moment.",
                "%d demo products were added. You can search for them in a moment.",
                summary.created,
            )
            self.message_user(request, text % summary.created, messages.SUCCESS)
        return redirect("admin:index")
