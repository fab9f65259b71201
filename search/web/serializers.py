"""What the API takes and gives when it searches."""

from __future__ import annotations

import base64
import binascii
from dataclasses import fields
from decimal import Decimal
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.utils import html

from catalogue.filters import MAX_VALUES, FilterForm
from catalogue.serializers import absolute, refuse_unknown
from search.models import Query
from search.reading.refinement import MOST_WISHES
from search.reading.results import DEFAULT_PAGE, LARGEST_PAGE, Result
from search.vision import colours
from search.vision.matches import Match
from search.vision.pictures import Box
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT
from search.web import bodies
from search.web.forms import KnownRefinementForm

#: How a picture may be named in a request; exactly one of them.
SOURCES = ("image", "image_base64", "image_url", "product", "query")

FILTERS = FilterForm.base_fields.keys() | {"colour"}
"""Parameters that stand in a body's `filters`."""


class ManyField(serializers.ListField):
    """A list; in a form a repeated field, or one that holds JSON or values between commas.

    Its elements are counted before any is looked at.
    """

    default_error_messages = {"not_a_list": _("Expected a list.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)

    def get_value(self, dictionary: Any) -> Any:
        value = super().get_value(dictionary)
        if not (html.is_html_input(dictionary) and isinstance(value, list) and len(value) == 1):
            return value
        if not isinstance(value[0], str):  # a file, or something nested: the child refuses it
            return value
        try:
            parsed = bodies.loads(value[0])
        except ParseError:
            parsed = None
        return parsed if isinstance(parsed, list) else value[0].split(",", bodies.MOST_PARTS)


@extend_schema_field({"type": "string", "format": "byte", "minLength": 1})
class Base64Field(serializers.CharField):
    """A picture in base64, perhaps as a data: address -> its bytes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The framework's look at each letter of a text in Python: a second for a large picture, which base64 is no
        # text for.
        self.validators = []

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if text.startswith("data:"):
            text = text.partition(",")[2]
        try:
            # Spaces are taken out in one go: of a body that has one after each letter, `split` would make millions.
            return base64.b64decode(text.encode("ascii").translate(None, b" \t\r\n\f\v"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise serializers.ValidationError(
                _("This is not base64. Encode the picture's bytes with the standard alphabet and padding.")
            ) from error


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "minItems": 4,
        "maxItems": 4,
        "example": [0.1, 0.1, 0.6, 0.9],
    }
)
class BoxField(ManyField):
    """[left, top, right, bottom], whose order and range the form checks."""

    child = serializers.FloatField()
    default_error_messages = {"not_a_list": _("A box is four numbers: left, top, right, bottom.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) != len(fields(Box)):
            self.fail("not_a_list")
        return super().to_internal_value(data)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "number", "minimum": 0, "nullable": True},
            {"type": "string", "pattern": r"^\d{1,10}(\.\d{1,2})?$"},
        ]
    }
)
class PriceField(serializers.DecimalField):
    """A price that somebody names: from 0, to the cent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(12, 2, min_value=Decimal(0), **kwargs)


class FiltersSerializer(serializers.Serializer[Any]):
    """Which products to find; each list admits any of its values."""

    default_error_messages = {"invalid": _("Expected a JSON object of filters.")}

    category = ManyField(
        child=serializers.CharField(max_length=200),
        max_length=MAX_VALUES,
        required=False,
        help_text=_("Slugs; includes subcategories."),
    )
    brand = ManyField(
        child=serializers.CharField(max_length=200), max_length=MAX_VALUES, required=False, help_text=_("Slugs.")
    )
    colour = ManyField(
        child=serializers.ChoiceField(
            colours.NAMES,
            error_messages={
                "invalid_choice": format_lazy(
                    _("Unknown colour. Choose from: {names}."), names=", ".join(colours.NAMES)
                )
            },
        ),
        max_length=MAX_VALUES,
        required=False,
    )
    price_min = PriceField(required=False, allow_null=True)
    price_max = PriceField(required=False, allow_null=True)
    in_stock = serializers.BooleanField(required=False, default=False)

    def get_value(self, dictionary: Any) -> Any:
        # A form has no nested fields: there the filters are a JSON object, as OpenAPI has it.
        value = dictionary.get(self.field_name)
        return serializers.empty if value is None else value

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            try:
                data = bodies.loads(data)
            except ParseError as error:
                raise serializers.ValidationError(_("In a form, send the filters as a JSON object.")) from error
        if isinstance(data, dict):
            refuse_unknown(data, self.fields)
        return super().to_internal_value(data)


class SearchSerializer(serializers.Serializer[Any]):
    """A search: exactly one of `image`, `image_base64`, `image_url`, `product` and `query`, and how to shape it."""

    # The fields describe the body and read its types. What the values mean is validated by `RefinementForm`, which
    # reads the same parameters from an address.

    default_error_messages = {"invalid": _("Send one JSON object, or a form.")}

    image = serializers.FileField(required=False, allow_empty_file=True, help_text=_("A picture, in a form."))
    image_base64 = Base64Field(
        required=False,
        help_text=_("The picture's bytes in base64; a data: URL is accepted too."),
    )
    image_url = serializers.CharField(required=False, help_text=_("URL of a picture, which is fetched."))
    product = serializers.CharField(required=False, help_text=_("A product's SKU."))
    query = serializers.UUIDField(required=False, help_text=_("The id of an earlier search, to refine it."))
    k = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=DEFAULT_PAGE, help_text=_("Products."))
    filters = FiltersSerializer(required=False)
    colour_weight = serializers.FloatField(
        min_value=0,
        max_value=MAX_COLOUR_WEIGHT,
        default=DEFAULT_COLOUR_WEIGHT,
        help_text=_("0: colour does not matter; 0.5: colour counts as much as style."),
    )
    like = ManyField(
        child=serializers.CharField(), required=False, max_length=MOST_WISHES, help_text=_("SKUs: more like these.")
    )
    dislike = ManyField(
        child=serializers.CharField(), required=False, max_length=MOST_WISHES, help_text=_("SKUs: less like these.")
    )
    box = BoxField(
        required=False,
        allow_null=True,
        help_text=_("[left, top, right, bottom] of the part to search with, as fractions of the picture as shown."),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_unknown(self.initial_data, self.fields)
        if sum(attrs.get(name) is not None for name in SOURCES) != 1:
            raise serializers.ValidationError(_("Send exactly one of %(sources)s.") % {"sources": ", ".join(SOURCES)})
        filters = attrs.get("filters") or {}
        form = KnownRefinementForm(_parameters(attrs | filters))
        if not form.is_valid():
            errors: dict[str, Any] = {name: list(map(str, found)) for name, found in form.errors.items()}
            if nested := {name: errors.pop(name) for name in FILTERS if name in errors}:
                errors["filters"] = nested
            raise serializers.ValidationError(errors)
        return attrs | {"refinement": form.refinement}


def _parameters(data: dict[str, Any]) -> MultiValueDict[str, str]:
    """What a form reads of values that have types already."""
    names = [name for name in KnownRefinementForm.base_fields if data.get(name) is not None]
    given = {name: data[name] if isinstance(data[name], list) else [data[name]] for name in names}
    return MultiValueDict({name: [str(value) for value in values] for name, values in given.items()})


@extend_schema_serializer(exclude_fields=["image"])
class SearchByJSONSerializer(SearchSerializer):
    """A search: exactly one of `image_base64`, `image_url`, `product` and `query`, and how to shape it."""


class ResultSerializer(serializers.Serializer[Result]):
    """A product that was found, with the photo of it that matched."""

    sku = serializers.CharField()
    title = serializers.CharField()
    category = serializers.CharField(allow_null=True, help_text=_("Slug."))
    brand = serializers.CharField(allow_null=True, help_text=_("Slug."))
    price = serializers.DecimalField(12, 2, allow_null=True)
    currency = serializers.CharField()
    url = serializers.CharField(help_text=_("The product's page."))
    image = serializers.CharField(help_text=_("The photo that matched."))
    thumbnail = serializers.CharField()
    photo = serializers.IntegerField(help_text=_("Id of the photo that matched."))
    score = serializers.FloatField(
        help_text=_("Cosine similarity of the query's and the photo's vectors, which ranks the results.")
    )
    match = serializers.ChoiceField(Match.choices, help_text=_("How similar they are, calibrated to this catalogue."))
    rank = serializers.IntegerField(help_text=_("From 1."))

    def to_representation(self, result: Result) -> dict[str, Any]:
        # Written out: field by field, 24 results take as long as their search.
        product, photo = result.product, result.photo
        return {
            "sku": product.sku,
            "title": product.title,
            "category": product.category.slug if product.category else None,
            "brand": product.brand.slug if product.brand else None,
            "price": None if product.price is None else f"{product.price:.2f}",
            "currency": product.currency,
            "url": absolute(self.context, product.get_absolute_url()),
            "image": absolute(self.context, photo.shown.url),
            "thumbnail": absolute(self.context, photo.thumbnail.url),
            "photo": photo.pk,
            "score": result.score,
            "match": result.match.value,
            "rank": result.rank,
        }


class FoundSerializer(serializers.Serializer[Any]):
    """A page of what a search found."""

    id = serializers.UUIDField(source="query.pk", help_text=_("Id of the query, to refine the search."))
    permalink = serializers.SerializerMethodField(help_text=_("The page that shows this search, until it expires."))
    expires = serializers.DateTimeField(source="query.expires")
    alike = serializers.BooleanField(
        source="ranking.alike", help_text=_("False if nothing in the catalogue is similar to the picture.")
    )
    total = serializers.SerializerMethodField(help_text=_("Products in the ranked list, at most 500."))
    colours = serializers.SerializerMethodField(help_text=_("Named colours of the picture with their shares."))
    next = serializers.CharField(allow_null=True, help_text=_("URL of the next page."))
    results = ResultSerializer(source="page.results", many=True)

    def get_permalink(self, found: Any) -> str:
        return absolute(self.context, found["permalink"])

    def get_total(self, found: Any) -> int:
        return len(found["ranking"])

    @extend_schema_field(
        {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "minItems": 2,
                "maxItems": 2,
            },
            "example": [["navy", 0.7], ["white", 0.2]],
        }
    )
    def get_colours(self, found: Any) -> list[tuple[str, float]]:
        query: Query = found["query"]
        return [(name, share) for name, share in query.colours]


class SimilarSerializer(serializers.Serializer[Any]):
    results = ResultSerializer(many=True)
