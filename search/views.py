"""The pages of search: ask with a picture or a product, see what was found, delete the picture."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from catalogue.images import ImageRefused, Limits
from catalogue.models import Brand, Category, Product
from search import colours, querying
from search.exceptions import QueryGone, SearchError
from search.forms import RefinementForm
from search.matches import Match
from search.models import Query
from search.querying import LONGEST, Criteria, Page, Ranking, Refinement, Result
from search.statuses import image_status, search_status
from search.throttling import SearchThrottle
from search.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

RETRY_AFTER = 30
"""Seconds after which a search that could not be answered is worth another try."""

_CURSOR = re.compile(r"([0-9a-f]{16})\.([0-9]{1,5})")
"""A ranking's key, and a position in it."""


@dataclass(frozen=True)
class Card:
    """A result with the addresses of the searches that want more, or less, like it."""

    result: Result
    more: str
    less: str


@dataclass(frozen=True)
class Wish:
    """A product that the shopper has said to want more, or less, of; and the address without that."""

    product: Product
    liked: bool
    without: str


def private(view: View) -> View:
    """For the shopper alone: caches on the way do not keep it, browsers ask again, search engines leave it out."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        response["X-Robots-Tag"] = "noindex"
        return response

    return answer


def explained(view: View) -> View:
    """What search raises becomes a page that says so."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except SearchError as error:
            status = search_status(error)
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                return _error_page(request, status, _("Search again"), str(error))
            logger.warning("A search could not be answered: %s", error)  # its words are for staff
            response = _error_page(
                request,
                status,
                _("Search is having a break"),
                _("It does not answer just now. Try again in a minute; until then you can look around the shop."),
            )
            response["Retry-After"] = RETRY_AFTER
            return response

    return answer


def _error_page(request: HttpRequest, status: HTTPStatus, title: str, sentence: str) -> HttpResponse:
    return render(request, "error.html", {"status": status, "title": title, "sentence": sentence}, status=status)


# Asking -----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@private
@explained
def ask(request: HttpRequest) -> HttpResponseBase:
    """Search with an uploaded `image`, or with the `product` of a SKU; leads to the results at their own address."""
    if request.method != "POST":
        return render(request, "search/ask.html")
    if (wait := _must_wait(request)) is not None:
        return _slow_down(request, wait)
    try:
        query = _query_of(request)
    except ImageRefused as error:
        return render(request, "search/ask.html", {"error": str(error)}, status=image_status(error))
    if query is None:
        context = {"error": _("Choose a picture first, then search.")}
        return render(request, "search/ask.html", context, status=HTTPStatus.BAD_REQUEST)
    return HttpResponseRedirect(query.get_absolute_url(), status=HTTPStatus.SEE_OTHER)


def _query_of(request: HttpRequest) -> Query | None:
    if (sku := request.POST.get("product")) is not None:
        return querying.ask_with_product(get_object_or_404(Product.objects.visible(), sku=sku))
    if (upload := request.FILES.get("image")) is None:
        return None
    Limits.from_settings().check_bytes(upload.size or 0)
    return querying.ask_with_picture(upload.read())


def _must_wait(request: HttpRequest) -> float | None:
    """Count what asks the model; the seconds to wait if it was too often of late."""
    throttle = SearchThrottle()
    if throttle.allow_request(request, None):  # type: ignore[arg-type]  # it reads what both kinds have
        return None
    return throttle.wait() or 1.0


def _slow_down(request: HttpRequest, wait: float) -> HttpResponse:
    seconds = max(1, round(wait))
    sentence = ngettext(
        "That were many searches in a short time. Try again in %(seconds)d second.",
        "That were many searches in a short time. Try again in %(seconds)d seconds.",
        seconds,
    ) % {"seconds": seconds}
    response = _error_page(request, HTTPStatus.TOO_MANY_REQUESTS, _("A little slower, please"), sentence)
    response["Retry-After"] = seconds
    return response


# What was found ---------------------------------------------------------------------------------------------


@require_safe
@private
@explained
def results(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """A page of what a query found, refined as the address says."""
    query = _find(pk)
    form = RefinementForm(request.GET)
    context = {"query": query, "form": form, **_choices(query)}
    if not form.is_valid():
        return render(request, "search/results.html", context, status=HTTPStatus.BAD_REQUEST)
    refinement = form.refinement
    if refinement.box is not None and (wait := _must_wait(request)) is not None:
        return _slow_down(request, wait)
    start = 0
    if cursor := request.GET.get("cursor"):
        try:
            ranking, start = _resume(query, cursor)
        except QueryGone:  # the list is no longer kept, the query is
            return redirect(_address(query, refinement))
    else:
        ranking = querying.rank(query, refinement)
    page = querying.page(query, ranking, refinement, start)
    context |= {
        "refinement": refinement,
        "refined": refinement != Refinement(),
        "narrowed": refinement.criteria != Criteria(),
        "ranking": ranking,
        "start": start,
        "summary": _summary(ranking, page, start),
        "cards": [_card(query, refinement, result) for result in page.results],
        "wishes": _wishes(query, refinement),
        "first": _address(query, refinement),
        "following": None
        if page.next_position is None
        else _address(query, refinement, cursor=f"{ranking.key}.{page.next_position}"),
    }
    return render(request, "search/results.html", context)


def _find(pk: UUID) -> Query:
    try:
        return querying.find_query(pk)
    except Query.DoesNotExist:
        raise Http404(_("There is no such search.")) from None


def _resume(query: Query, cursor: str) -> tuple[Ranking, int]:
    if not (match := _CURSOR.fullmatch(cursor)):
        raise QueryGone(_("This is no place in a list of results."))
    return querying.find_ranking(query, match[1]), int(match[2])


def _address(query: Query, refinement: Refinement, **extra: str) -> str:
    parameters = [*RefinementForm.parameters(refinement), *extra.items()]
    return query.get_absolute_url() + ("?" + urlencode(parameters) if parameters else "")


def _card(query: Query, refinement: Refinement, result: Result) -> Card:
    sku = result.product.sku
    like, dislike = _without(refinement.like, sku), _without(refinement.dislike, sku)
    return Card(
        result,
        more=_address(query, replace(refinement, like=(*like, sku), dislike=dislike)),
        less=_address(query, replace(refinement, like=like, dislike=(*dislike, sku))),
    )


def _wishes(query: Query, refinement: Refinement) -> list[Wish]:
    skus = [*refinement.like, *refinement.dislike]
    if not skus:
        return []
    named = Product.objects.visible().filter(sku__in=skus).prefetch_related("photos")
    return [
        Wish(
            product,
            liked=product.sku in refinement.like,
            without=_address(
                query,
                replace(
                    refinement,
                    like=_without(refinement.like, product.sku),
                    dislike=_without(refinement.dislike, product.sku),
                ),
            ),
        )
        for product in named
    ]


def _without(skus: Iterable[str], sku: str) -> tuple[str, ...]:
    return tuple(other for other in skus if other != sku)


def _summary(ranking: Ranking, page: Page, start: int) -> str:
    """What happened, in a sentence or two."""
    count = len(ranking)
    if start:
        return _("Products %(first)d to %(last)d of %(count)d.") % {
            "first": start + 1,
            "last": page.next_position or count,
            "count": count,
        }
    if count >= LONGEST:
        found = _("The %(count)d most similar products, the most similar first.") % {"count": count}
    else:
        found = ngettext("%(count)d product.", "%(count)d products, the most similar first.", count) % {
            "count": count
        }
    words = [result.match for result in page.results]
    if same := words.count(Match.SAME_ITEM):
        alike = ngettext("%(count)d looks like the same item.", "%(count)d look like the same item.", same)
        return found + " " + alike % {"count": same}
    if very := words.count(Match.VERY_SIMILAR):
        alike = ngettext("%(count)d looks very similar.", "%(count)d look very similar.", very)
        return found + " " + alike % {"count": very}
    return found


def _choices(query: Query) -> dict[str, Any]:
    """What a search can be shaped by. Colours come with their label and swatch."""
    named = {name: (name, colours.label(name), swatch) for name, swatch in colours.SWATCHES.items()}
    return {
        "categories": Category.objects.with_tree_fields(),
        "brands": Brand.objects.all(),
        "colours": list(named.values()),
        "picture_colours": [named[name] for name, _share in query.colours if name in named],
        "default_colour_weight": DEFAULT_COLOUR_WEIGHT,
        "max_colour_weight": MAX_COLOUR_WEIGHT,
    }


# The picture ------------------------------------------------------------------------------------------------


@require_safe
@private
@explained
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
@explained
def forget(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Delete the picture and all that was derived from it, at once."""
    _find(pk).forget()
    messages.success(request, _("Your picture was deleted."))
    return redirect("catalogue:home")
