"""The API of the catalogue: visible products."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from catalogue.models import Product, ProductQuerySet
from catalogue.serializers import ProductSerializer, problems, refuse_unknown

CURSOR = OpenApiParameter("cursor", str, description="From `next` of the previous page.")
SKU = OpenApiParameter("sku", str, OpenApiParameter.PATH, description="Your unique product code.")


def k_parameter(default: int, largest: int) -> OpenApiParameter:
    """The query parameter that `read_k` reads."""
    schema = {"type": "integer", "minimum": 1, "maximum": largest, "default": default}
    return OpenApiParameter("k", schema, description="Products.")


def read_k(request: Request, default: int, largest: int) -> int:
    """The wanted number of products on a page, from 1 to `largest`. Raises ValidationError."""
    field = serializers.IntegerField(min_value=1, max_value=largest)
    try:
        return int(field.run_validation(request.query_params.get("k", default)))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"k": error.detail}) from error


class NewestFirst(CursorPagination):
    """Cursor pagination: new or removed products make no other repeat."""

    ordering = ("-created", "-pk")
    page_size = 24
    invalid_cursor_message = _(  # type: ignore[assignment]
        "Invalid cursor. Use the address in “next” as it is."
    )
    page_size_query_param = "k"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        return read_k(request, self.page_size, self.max_page_size)

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not _is_time(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_time(text: str) -> bool:
    """Whether a cursor's position is a time with a time zone, which the database accepts."""
    try:
        moment = parse_datetime(text)
        return moment is not None and is_aware(moment) and bool(moment.astimezone(UTC))
    except (ValueError, OverflowError):  # the 31st of February, or a year that UTC does not have
        return False


@extend_schema(
    parameters=[k_parameter(NewestFirst.page_size, NewestFirst.max_page_size), CURSOR],
    responses={200: ProductSerializer(many=True), **problems(400, 404)},
)
class ProductListView(generics.ListAPIView[Product]):
    """The products that shoppers may see, newest first."""

    serializer_class = ProductSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Product]:
        refuse_unknown(self.request.query_params, ["k", "cursor"])
        return Product.objects.visible().for_display()


@extend_schema(parameters=[SKU], responses={200: ProductSerializer, **problems(404)})
class ProductView(generics.RetrieveAPIView[Product]):
    """One product."""

    serializer_class = ProductSerializer
    lookup_field = "sku"

    def get_queryset(self) -> ProductQuerySet:
        return Product.objects.visible().for_display()

    def get_object(self) -> Product:
        return self.get_queryset().of_sku(self.kwargs["sku"])
