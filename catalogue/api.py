"""The catalogue's part of the API: visible products."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from catalogue.models import Product
from catalogue.serializers import ProductSerializer, problems


class NewestFirst(CursorPagination):
    """Pages of products by cursor: products that come or go meanwhile make none repeat."""

    ordering = ("-created", "-pk")
    page_size = 24
    invalid_cursor_message = _(  # type: ignore[assignment]
        "This is no cursor. Take the address in “next” as it is."
    )
    page_size_query_param = "k"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except ValidationError as error:  # well-formed, but the place it names is no time
            raise NotFound(self.invalid_cursor_message) from error


@extend_schema(responses={200: ProductSerializer(many=True), **problems(400, 404)})
class ProductListView(generics.ListAPIView[Product]):
    """The products that shoppers may see, newest first."""

    serializer_class = ProductSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Product]:
        return Product.objects.visible().for_display()


SKU = OpenApiParameter("sku", str, OpenApiParameter.PATH, description="The shop's own number of the product.")


@extend_schema(parameters=[SKU], responses={200: ProductSerializer, **problems(404)})
class ProductView(generics.RetrieveAPIView[Product]):
    """One product."""

    serializer_class = ProductSerializer
    lookup_field = "sku"

    def get_queryset(self) -> QuerySet[Product]:
        return Product.objects.visible().for_display()
