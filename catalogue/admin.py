"""The back office of the catalogue. Search adds where each photo stands in the index (`search.admin`)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import ForeignKey, Prefetch, QuerySet
from django.db.models.expressions import Combinable
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from tree_queries.forms import TreeNodeChoiceField

from catalogue.forms import CategoryForm, ProductForm, ProductImageForm, ProductImageFormSet
from catalogue.models import Brand, Category, Product, ProductImage

PREVIEW_HEIGHT = 72
"""Of a photo's preview, in pixels."""


def preview(photo: ProductImage | None) -> str:
    """A photo's thumbnail as a link to the whole picture; nothing for a photo that is not stored yet."""
    if photo is None or not photo.pk:
        return ""
    return format_html(
        '<a href="{}"><img src="{}" alt="{}" width="{}" height="{}" loading="lazy"></a>',
        photo.file.url,
        photo.thumbnail.url,
        photo.alternative,
        max(1, round(PREVIEW_HEIGHT * photo.width / photo.height)),
        PREVIEW_HEIGHT,
    )


def indented(category: Any) -> str:
    """The name of a category that has its tree fields, moved in by its depth."""
    return "\u2003" * int(category.tree_depth) + str(category.name)


admin.site.site_header = admin.site.site_title = settings.SHOP_NAME


class TreeChangeList(ChangeList):
    """Lists each category below its parent."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        return ["tree_ordering"]


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = CategoryForm
    list_display = ("indented_name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        queryset: Any = super().get_queryset(request)
        return queryset.with_tree_fields()  # type: ignore[no-any-return]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TreeChangeList

    @admin.display(description=_("name"))
    def indented_name(self, category: Any) -> str:
        return indented(category)


@admin.register(Brand)
class BrandAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}


class CategoryFilter(admin.SimpleListFilter):
    """Products of a category and of all below it."""

    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        categories = Category.objects.with_tree_fields()
        return [(str(category.pk), indented(category)) for category in categories]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = {str(choice) for choice, _label in self.lookup_choices} & {self.value()}
        return queryset.in_category(Category.objects.get(pk=chosen.pop())) if chosen else queryset


class YesNoFilter(admin.SimpleListFilter):
    """Products that are, or are not, in one of the queryset's own subsets."""

    subset: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "yes":
                return getattr(queryset, self.subset)()
            case "no":
                return queryset.exclude(pk__in=getattr(Product.objects.order_by(), self.subset)().values("pk"))
        return queryset


class VisibleFilter(YesNoFilter):
    title = _("visible now")
    parameter_name = "visible"
    subset = "visible"


class InStockFilter(YesNoFilter):
    title = _("in stock")
    parameter_name = "in_stock"
    subset = "in_stock"


class ProductImageInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ProductImage
    form = ProductImageForm
    formset = ProductImageFormSet
    fields = ["preview", "upload", "position", "alt"]
    readonly_fields = ["preview"]
    extra = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        return super().get_queryset(request).select_related("product")

    @admin.display(description=_("preview"))
    def preview(self, photo: ProductImage) -> str:
        return preview(photo)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ProductForm
    inlines: ClassVar[list[Any]] = [ProductImageInline]
    list_display = [
        "cover", "sku", "title", "category", "brand", "price_and_currency", "stock", "visible_now", "photo_count",
    ]  # fmt: skip
    list_display_links = ("sku", "title")
    list_filter: ClassVar[list[Any]] = [VisibleFilter, InStockFilter, CategoryFilter, "brand"]
    list_select_related = ("category", "brand")
    list_per_page = 50
    search_fields = ("sku", "title", "brand__name")
    autocomplete_fields = ("brand",)
    readonly_fields = ("created", "modified")
    fieldsets = (
        (None, {"fields": ("sku", "title", "description", "category", "brand")}),
        (_("Price and stock"), {"fields": (("price", "currency"), "stock", "external_url")}),
        (_("Visibility"), {"fields": (("visible_from", "visible_until"),)}),
        (_("Further"), {"fields": ("attributes", ("created", "modified")), "classes": ("collapse",)}),
    )
    actions = ["make_visible", "hide"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        photos = Prefetch("photos", queryset=self.photos_of_list(request))
        queryset: QuerySet[Product] = super().get_queryset(request).prefetch_related(photos)
        return queryset

    def photos_of_list(self, request: HttpRequest) -> QuerySet[ProductImage]:
        """The photos that come with the products of a list, whose columns then cost no query for each row."""
        return ProductImage.objects.all()

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:  # type: ignore[type-arg]
        if db_field.name == "category":
            kwargs["form_class"] = TreeNodeChoiceField
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # Columns

    @admin.display(description=_("cover"))
    def cover(self, product: Product) -> str:
        return preview(product.cover)

    @admin.display(description=_("price"), ordering="price", empty_value="–")
    def price_and_currency(self, product: Product) -> str | None:
        if product.price is None:
            return None
        return f"{number_format(product.price, 2)} {product.currency}"

    @admin.display(description=_("visible now"), boolean=True)
    def visible_now(self, product: Product) -> bool:
        now = timezone.now()
        begun = product.visible_from is None or product.visible_from <= now
        return begun and (product.visible_until is None or product.visible_until > now)

    @admin.display(description=_("photos"))
    def photo_count(self, product: Product) -> int:
        return len(product.photos.all())

    # Actions

    @admin.action(description=_("Make visible now"), permissions=["change"])
    def make_visible(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """Begin what has not begun and open what has ended; an end to come is kept."""
        now = timezone.now()
        with transaction.atomic():
            count = queryset.filter(visible_until__lte=now).update(visible_until=None, modified=now)
            count += queryset.filter(visible_from__gt=now).update(visible_from=now, modified=now)
        text = ngettext("%d product has become visible.", "%d products have become visible.", count)
        self.message_user(request, text % count, messages.SUCCESS)

    @admin.action(description=_("Hide now"), permissions=["change"])
    def hide(self, request: HttpRequest, queryset: Any) -> None:
        """End what shoppers see; what begins later is left as it is."""
        now = timezone.now()
        count = queryset.visible(now).update(visible_until=now, modified=now)
        text = ngettext("%d product is hidden now.", "%d products are hidden now.", count)
        self.message_user(request, text % count, messages.SUCCESS)


@admin.register(ProductImage)
class ProductImageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """All photos in one list. They are added where their product is."""

    form = ProductImageForm
    list_display = ["preview", "product", "position", "size", "alt", "created"]
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

    @admin.display(description=_("size"))
    def size(self, photo: ProductImage) -> str:
        return f"{photo.width} × {photo.height}"
