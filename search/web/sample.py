"""The two addresses of Amazon's sample for visual search, for clients that were written against it.

They send JSON and are given the addresses of photos, best first. Nothing that they send is stored.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalogue.serializers import absolute, problems
from search.reading import queries, results
from search.reading.results import LARGEST_PAGE
from search.web.bodies import BoundedJSONParser
from search.web.serializers import Base64Field
from search.web.throttling import Cost, SearchingView, charge

#: Photos that the sample gives where a client does not say.
DEFAULT_K = 3


class AnyJSONParser(BoundedJSONParser):
    """JSON whatever the request calls it: the sample never looked."""

    media_type = "*/*"


class _Asked(serializers.Serializer[Any]):
    default_error_messages = {"invalid": _("Send one JSON object.")}

    k = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=DEFAULT_K, help_text=_("Photos."))


class PostedImageSerializer(_Asked):
    base64img = Base64Field(help_text=_("The picture's bytes in base64; a data: URL is accepted too."))


class PostedAddressSerializer(_Asked):
    url = serializers.CharField(help_text=_("URL of a picture."))


class ImagesSerializer(serializers.Serializer[Any]):
    images = serializers.ListField(child=serializers.URLField(), help_text=_("URLs of photos, best first."))


class _SampleView(SearchingView):
    parser_classes = [AnyJSONParser]

    def _found(self, request: Request, data: bytes, k: int) -> Response:
        photos = [result.photo for result in results.similar_to_picture(data, k)]
        return Response({"images": [absolute({"request": request}, photo.large.url) for photo in photos]})


class PostImageView(_SampleView):
    """Photos like a picture that is sent."""

    @extend_schema(
        operation_id="post_image",
        request={"application/json": PostedImageSerializer},
        responses={200: ImagesSerializer, **problems(400, 413, 415, 422, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        """The photos of up to k products that are most like a picture, as the sample gave them."""
        asked = PostedImageSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        charge(request, Cost.PICTURE)
        return self._found(request, asked.validated_data["base64img"], asked.validated_data["k"])


class PostURLView(_SampleView):
    """Photos like the picture at an address."""

    @extend_schema(
        operation_id="post_url",
        request={"application/json": PostedAddressSerializer},
        responses={200: ImagesSerializer, **problems(400, 413, 415, 422, 429, 502, 503, 504)},
    )
    def post(self, request: Request) -> Response:
        """The photos of up to k products that are most like the picture at an address, as the sample gave them."""
        asked = PostedAddressSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        charge(request, Cost.ADDRESS)
        return self._found(request, queries.fetch(asked.validated_data["url"]), asked.validated_data["k"])
