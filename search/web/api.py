"""The search part of the API."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from catalogue.api import CURSOR, SKU, k_parameter, read_k
from catalogue.files import StorageError
from catalogue.images import Limits
from catalogue.models import Product
from catalogue.serializers import problems, refuse_unknown
from search.models import Query
from search.reading import queries, ranking, results
from search.reading.ranking import Ranking
from search.reading.refinement import Refinement
from search.reading.results import DEFAULT_PAGE, LARGEST_PAGE
from search.versions import live_version
from search.vision import colours
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT
from search.web.forms import KnownRefinementForm, RefinementForm
from search.web.serializers import (
    FoundSerializer,
    SearchByJSONSerializer,
    SearchSerializer,
    SimilarSerializer,
)
from search.web.throttling import Cost, SearchingView, charge

REFINEMENTS = [
    OpenApiParameter("category", str, many=True, description="Slug; the categories below count too."),
    OpenApiParameter("brand", str, many=True, description="Slug."),
    OpenApiParameter("colour", str, many=True, enum=[*colours.NAMES, ""]),
    OpenApiParameter("price_min", {"type": "number", "minimum": 0}),
    OpenApiParameter("price_max", {"type": "number", "minimum": 0}),
    OpenApiParameter("in_stock", bool),
    OpenApiParameter(
        "colour_weight",
        {"type": "number", "minimum": 0, "maximum": MAX_COLOUR_WEIGHT, "default": DEFAULT_COLOUR_WEIGHT},
        description="0: colour does not matter; 0.5: colour counts as much as style.",
    ),
    OpenApiParameter("like", str, many=True, description="SKU."),
    OpenApiParameter("dislike", str, many=True, description="SKU."),
    OpenApiParameter("box", str, description="left,top,right,bottom as fractions of the upright picture."),
]
K = k_parameter(DEFAULT_PAGE, LARGEST_PAGE)
#: Nobody but the shopper keeps what a search found: it can be deleted at once.
PRIVATE = cache_control(private=True, no_cache=True)


@method_decorator(PRIVATE, name="dispatch")
class SearchView(SearchingView):
    """Ask with a picture."""

    @extend_schema(
        operation_id="search",
        request={"multipart/form-data": SearchSerializer, "application/json": SearchByJSONSerializer},
        responses={201: FoundSerializer, **problems(400, 404, 410, 413, 415, 422, 429, 502, 503, 504)},
    )
    def post(self, request: Request) -> Response:
        """Find products like a picture: uploaded, in base64, at an address, of a product, or of an earlier search."""
        serializer = SearchSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        charge(request, _cost(data))
        query = self._query(data)
        try:
            ranked = ranking.rank(query, data["refinement"])
            found = _found(request, ranked, start=0, k=data["k"])
        except Exception:
            if data.get("query") is None:
                # Nobody is told its id: the picture would lie there, and could not be deleted.
                with suppress(StorageError):
                    query.forget()
            raise
        return Response(found, HTTPStatus.CREATED, headers={"Location": found["permalink"]})

    def _query(self, data: dict[str, Any]) -> Query:
        if (sku := data.get("product")) is not None:
            return queries.from_product(_product(sku))
        if (pk := data.get("query")) is not None:
            return _find(pk)
        if (upload := data.get("image")) is not None:
            Limits.from_settings().check_bytes(upload.size)
            return queries.from_picture(upload.read())
        if (address := data.get("image_url")) is not None:
            return queries.from_address(address)
        return queries.from_picture(data["image_base64"])


def _cost(data: dict[str, Any]) -> Cost:
    if data.get("image_url") is not None:
        return Cost.ADDRESS
    return Cost.STORED if data.get("product") or data.get("query") else Cost.PICTURE


@method_decorator(PRIVATE, name="dispatch")
class FoundView(APIView):
    """What an earlier search found."""

    @extend_schema(
        operation_id="search_page",
        parameters=[*REFINEMENTS, K, CURSOR],
        responses={200: FoundSerializer, **problems(400, 404, 410, 422, 429, 503)},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """A page of what a search found, refined as the address says; `next` leads on, without repeat or skip."""
        query = _find(pk)
        refinement, k = _refinement(request), read_k(request, DEFAULT_PAGE, LARGEST_PAGE)
        version = live_version()
        if refinement.box is not None and not queries.has_vectors(query, refinement.box, version):
            charge(request, Cost.STORED)  # a new box asks the model; other refinements do not
        if cursor := request.query_params.get("cursor"):
            key, position = _read_cursor(cursor)
            ranked = ranking.find(query, key, refinement, version)
        else:
            ranked, position = ranking.rank(query, refinement, version), 0
        return Response(_found(request, ranked, start=position, k=k))

    @extend_schema(operation_id="forget_search", responses={204: None, **problems(404, 410, 503)})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Delete the picture and all that was derived from it, at once."""
        _find(pk).forget()
        return Response(status=HTTPStatus.NO_CONTENT)


class SimilarView(APIView):
    """Products like a product."""

    @extend_schema(
        operation_id="similar_products",
        parameters=[SKU, *REFINEMENTS[:7], K],
        responses={200: SimilarSerializer, **problems(400, 404, 422, 503)},
    )
    def get(self, request: Request, sku: str) -> Response:
        """The products most like a product; nothing is stored."""
        product = _product(sku)
        # Without a box: it would ask the model, and this address asks only what is stored.
        refinement = replace(_refinement(request), box=None)
        found = results.similar_to(product, read_k(request, DEFAULT_PAGE, LARGEST_PAGE), refinement)
        return Response(SimilarSerializer({"results": found}, context={"request": request}).data)


def _product(sku: str) -> Product:
    return Product.objects.visible().of_sku(sku)


def _find(pk: UUID) -> Query:
    try:
        return queries.find(pk)
    except Query.DoesNotExist:
        raise NotFound(_("Search not found. Search again with the picture.")) from None


def _found(request: Request, ranked: Ranking, *, start: int, k: int) -> dict[str, Any]:
    query, page = ranked.search.query, results.page(ranked, start, k)
    parameters = RefinementForm.parameters(ranked.search.refinement)
    following = None
    if page.next_position is not None:
        following = (
            reverse("search-page", args=[query.pk], request=request)
            + "?"
            + urlencode([*parameters, ("k", k), ("cursor", f"{ranked.key}.{page.next_position}")])
        )
    permalink = query.get_absolute_url() + ("?" + urlencode(parameters) if parameters else "")
    found = {"query": query, "ranking": ranked, "page": page, "next": following, "permalink": permalink}
    return dict(FoundSerializer(found, context={"request": request}).data)


def _refinement(request: Request) -> Refinement:
    if not request.query_params:
        return Refinement()
    refuse_unknown(request.query_params, [*RefinementForm.base_fields, "k", "cursor"])
    # With a cursor, the next page of a frozen list comes even if a liked product was hidden since.
    read = RefinementForm if request.query_params.get("cursor") else KnownRefinementForm
    form = read(request.query_params)
    if not form.is_valid():
        raise ValidationError({name: [str(error) for error in errors] for name, errors in form.errors.items()})
    return form.refinement


def _read_cursor(cursor: str) -> tuple[str, int]:
    key, _dot, position = cursor.partition(".")
    if not (key.isalnum() and key.isascii() and position.isdecimal() and len(position) < 6):  # noqa: PLR2004
        raise ValidationError({"cursor": _("Invalid cursor. Use the link in `next` unchanged.")})
    return key, int(position)
