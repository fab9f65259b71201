"""Products as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from catalogue.models import Brand, Category, Product, ProductImage

#: The media type of problem details.
PROBLEM = "application/problem+json"

MAX_REPEATED = 100
"""Characters of an unknown name that an error repeats."""


class PhotoSerializer(serializers.ModelSerializer[ProductImage]):
    url = serializers.SerializerMethodField(
        help_text=_("The largest form of the photo: the original without its metadata, or else `large`.")
    )
    thumbnail = serializers.SerializerMethodField(help_text=_("A JPEG up to 480 pixels wide."))
    large = serializers.SerializerMethodField(
        help_text=_("A JPEG up to 960 pixels wide; the thumbnail, where the original has hardly more.")
    )
    alt = serializers.CharField(source="alternative")

    class Meta:
        model = ProductImage
        fields = ["url", "thumbnail", "large", "alt", "width", "height"]

    def get_url(self, photo: ProductImage) -> str:
        return absolute(self.context, photo.shown.url)

    def get_thumbnail(self, photo: ProductImage) -> str:
        return absolute(self.context, photo.thumbnail.url)

    def get_large(self, photo: ProductImage) -> str:
        return absolute(self.context, photo.large.url)


class ProductSerializer(serializers.ModelSerializer[Product]):
    category: serializers.SlugRelatedField[Category] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    brand: serializers.SlugRelatedField[Brand] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    in_stock = serializers.BooleanField(read_only=True)
    url = serializers.SerializerMethodField()
    external_url = serializers.CharField(
        source="shop_url", read_only=True, help_text=_("Where the product is sold, if not here.")
    )
    photos = PhotoSerializer(many=True, read_only=True)

    class Meta:
        model = Product
        fields = [
            "sku",
            "title",
            "description",
            "category",
            "brand",
            "price",
            "currency",
            "in_stock",
            "attributes",
            "url",
            "external_url",
            "photos",
        ]

    def get_url(self, product: Product) -> str:
        return absolute(self.context, product.get_absolute_url())


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text=_("A sentence that says what to do."))
    code = serializers.CharField(required=False, help_text=_("Why a picture was refused."))
    errors = serializers.ListField(  # type: ignore[assignment]
        child=serializers.DictField(), required=False, help_text=_("By field.")
    )


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValidationError for unknown names, so that a typo is noticed."""
    if unknown := sorted(set(given) - set(known)):
        sentence = _("Unknown field. Known fields: %(names)s") % {"names": ", ".join(known)}
        raise serializers.ValidationError({name[:MAX_REPEATED]: sentence for name in unknown[:5]})


def problems(*statuses: int) -> dict[tuple[int, str], type[ProblemSerializer]]:
    """The problems that an operation declares: these statuses, and those of any request.

    406 is for clients that take no JSON, 411 for a body of unknown length, 414 and 431 for a URL or headers that are
    too long.
    """
    return {(status, PROBLEM): ProblemSerializer for status in sorted({*statuses, 406, 411, 414, 431})}


def absolute(context: Mapping[str, Any], address: str) -> str:
    """An absolute URL; one that is absolute already is returned as it is."""
    request: Request | None = context.get("request")
    if request is None or not address.startswith("/"):
        return address
    return _origin(request) + address


def _origin(request: Request) -> str:
    """Scheme and host, computed once per request: a response has hundreds of URLs."""
    origin: str | None = getattr(request, "origin", None)
    if origin is None:
        origin = f"{request.scheme}://{request.get_host()}"
        request.origin = origin  # type: ignore[attr-defined]
    return origin
