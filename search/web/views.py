"""The pages of search: ask with a picture or a product, see what was found, delete the picture."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import redirect, render
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from catalogue.images import ImageRefused, Limits
from catalogue.models import Product
from search.exceptions import PicturesRejected, QueryGone
from search.models import IndexVersion, Query
from search.reading import queries, ranking
from search.reading.facets import narrowing
from search.reading.queries import REMEMBERED
from search.reading.ranking import LONGEST, Ranking, Search
from search.reading.refinement import Refinement
from search.reading.results import DEFAULT_PAGE
from search.reading.results import page as page_of
from search.versions import live_version
from search.vision import colours
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT
from search.web.cards import MOST_SHOWN, cards, following
from search.web.chips import chips, wished_products
from search.web.clients import prefers_json
from search.web.errors import Answer, answer_to
from search.web.forms import RefinementForm
from search.web.summary import summary
from search.web.throttling import Cost, charge

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

PART = "X-Part"
"""The header with which the page's script asks for less than a page."""

_KEY = re.compile(r"[0-9a-f]{16}")
"""Of a ranking."""


def private(view: View) -> View:
    """For the shopper alone: caches on the way do not keep it, browsers ask again, search engines leave it out."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        response["X-Robots-Tag"] = "noindex"
        return response

    return answer


# Asking -----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@private
def ask(request: HttpRequest) -> HttpResponseBase:
    """Search with an uploaded `image`, the one at an `image_url`, or the `product` of a SKU; leads to the results at
    their own address.

    The page's script asks for JSON: `location` of the results, or an `error` to show in place.
    """
    if request.method != "POST":
        return render(request, "search/ask.html")
    charge(request, _cost(request))
    try:
        query = _query_of(request)
    except (ImageRefused, PicturesRejected) as error:
        if (answer := answer_to(error)) is None:
            raise
        if answer.hides_message:
            logger.warning("The model refused a shopper's picture: %s", error)
        return _ask_again(request, answer, address=request.POST.get("image_url", ""))
    if query is None:
        sentence = _("Choose a picture first, then search.")
        return _ask_again(request, Answer(HTTPStatus.BAD_REQUEST, "", sentence))
    address = query.get_absolute_url()
    if prefers_json(request):
        return JsonResponse({"location": address}, status=HTTPStatus.CREATED, headers={"Location": address})
    return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)


def _ask_again(request: HttpRequest, answer: Answer, address: str = "") -> HttpResponse:
    if prefers_json(request):
        return JsonResponse({"error": str(answer.sentence)}, status=answer.status, headers=answer.headers)
    response = render(
        request, "search/ask.html", {"error": answer.sentence, "address": address}, status=answer.status
    )
    for name, value in answer.headers.items():
        response[name] = value
    return response


def _query_of(request: HttpRequest) -> Query | None:
    if (sku := request.POST.get("product")) is not None:
        return queries.from_product(Product.objects.visible().of_sku(sku))
    if address := request.POST.get("image_url", "").strip():
        return queries.from_address(address)
    if (upload := request.FILES.get("image")) is None:
        return None
    Limits.from_settings().check_bytes(upload.size or 0)
    return queries.from_picture(upload.read())


def _cost(request: HttpRequest) -> Cost:
    if "product" in request.POST:
        return Cost.STORED
    if request.POST.get("image_url", "").strip():
        return Cost.ADDRESS
    return Cost.PICTURE if "image" in request.FILES else Cost.STORED


# What was found ---------------------------------------------------------------------------------------------


@require_safe
@private
@vary_on_headers(PART)
def results(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """What a query found, refined as the address says, and as many of its products as the address asks for.

    `list` names a ranking that was frozen when the first of them were shown; where it is no longer kept, or none is
    named, the products are ranked again. `start` is the position in it of the page's first product, as a page holds
    `MOST_SHOWN` at most. The page's script asks for the part that a refinement changes.
    """
    query = _find(pk)
    form = RefinementForm(request.GET)
    context: dict[str, Any] = {"query": query, "form": form, **_picture_colours(query)}
    if not form.is_valid():
        errors = {name: tuple(map(str, sentences)) for name, sentences in form.errors.items()}
        context["choices"] = narrowing(Search(query, Refinement(), live_version()), errors)
        return render(request, "search/results.html", context, status=HTTPStatus.BAD_REQUEST)
    wished = wished_products(form.refinement)
    # The page repeats them in each of its links: what is no product, or none to be seen, does not come that far.
    refinement = form.refinement.wishing(product.sku for product in wished)
    version = live_version()
    if refinement.box is not None and not queries.has_vectors(query, refinement.box, version):
        charge(request, Cost.STORED)
    ranked = _ranking(query, refinement, version, request.GET.get("list", ""))
    start = _number(request.GET.get("start", ""), 0, LONGEST)
    if start >= len(ranked):  # another list than the one it is a position of
        start = 0
    size = _number(request.GET.get("shown", ""), DEFAULT_PAGE, MOST_SHOWN)
    page = page_of(ranked, start, size)
    choices = narrowing(ranked.search)
    context |= {
        "refinement": refinement,
        "ranking": ranked,
        "choices": choices,
        "summary": summary(ranked, page, choices.products),
        "cards": list(cards(query, refinement, page)),
        "chips": chips(query, refinement, choices.facets, wished),
        "following": following(query, refinement, ranked, page, start),
    }
    template = "search/refined.html" if PART in request.headers else "search/results.html"
    return render(request, template, context)


def _find(pk: UUID) -> Query:
    try:
        return queries.find(pk)
    except Query.DoesNotExist:
        raise Http404(_("Search not found.")) from None


def _ranking(query: Query, refinement: Refinement, version: IndexVersion, key: str) -> Ranking:
    if _KEY.fullmatch(key):
        with suppress(QueryGone):  # the list is no longer kept, the query is
            return ranking.find(query, key, refinement, version)
    return ranking.rank(query, refinement, version)


def _number(given: str, least: int, most: int) -> int:
    """A number of an address within its bounds; the least where it is none."""
    if not (given.isascii() and given.isdecimal() and len(given) <= len(str(LONGEST))):
        return least
    return min(max(int(given), least), most)


def _picture_colours(query: Query) -> dict[str, Any]:
    """The named colours of the picture with their swatches, and the ends of the slider."""
    return {
        "picture_colours": [
            (colours.label(name), colours.SWATCHES[name])
            for name, _share in query.colours
            if name in colours.SWATCHES
        ],
        "default_colour_weight": DEFAULT_COLOUR_WEIGHT,
        "max_colour_weight": MAX_COLOUR_WEIGHT,
    }


# The picture ------------------------------------------------------------------------------------------------


@require_safe
@private
@cache_control(no_store=True)  # a deleted picture must not stay in the browser's cache
def picture(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The shopper's own picture, from private storage."""
    query = _find(pk)
    if not query.picture:
        raise Http404(_("This search was made with a product's photo."))
    try:
        file = query.picture.open()
    except FileNotFoundError as error:
        raise QueryGone(_("The picture of this search was deleted. Search again with the picture.")) from error
    return FileResponse(file, content_type="image/jpeg")


@require_POST
@private
def forget(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Delete the picture and all that was derived from it, at once."""
    _find(pk).forget()
    messages.success(request, _("Your picture was deleted."))
    return redirect("catalogue:home")


# In words ---------------------------------------------------------------------------------------------------


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What searching with a picture is, for shoppers."""
    return render(request, "search/about.html")


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What becomes of a picture that somebody searches with."""
    return render(request, "search/privacy.html", {"hours": settings.QUERY_LIFETIME_HOURS, "days": REMEMBERED.days})
