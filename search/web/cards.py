"""What was found, as the page shows it: a card for each product, and the address of more of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from catalogue.filters import without
from search.models import Query
from search.reading.ranking import Ranking
from search.reading.refinement import Refinement
from search.reading.results import DEFAULT_PAGE, Page, Result
from search.web.forms import RefinementForm

#: Products on one page of results. "Show more" adds to the page up to here and then leads to the next page.
MOST_SHOWN = 96


@dataclass(frozen=True)
class Card:
    """A result with the addresses of the searches that want more, or less, like it."""

    result: Result
    more: str
    less: str
    #: Whether the shopper has said already to want more like it; `more` then takes that back.
    liked: bool


def cards(query: Query, refinement: Refinement, page: Page) -> Iterator[Card]:
    """The cards of a page. All but a few add one parameter to the same address, which is encoded once."""
    same = address(query, refinement)
    same += "&" if "?" in same else "?"
    for result in page.results:
        sku = result.product.sku
        if sku in refinement.like or sku in refinement.dislike:
            yield _wished(query, refinement, result)
        else:
            more, less = (same + urlencode({name: sku}) for name in ("like", "dislike"))
            yield Card(result, more, less, liked=False)


def _wished(query: Query, refinement: Refinement, result: Result) -> Card:
    sku = result.product.sku
    like, dislike = without(refinement.like, sku), without(refinement.dislike, sku)
    liked = sku in refinement.like
    return Card(
        result,
        more=address(query, replace(refinement, like=like if liked else (*like, sku), dislike=dislike)),
        less=address(query, replace(refinement, like=like, dislike=(*dislike, sku))),
        liked=liked,
    )


def address(query: Query, refinement: Refinement, **extra: str | int) -> str:
    """Where a query is refined in a way."""
    parameters = [*RefinementForm.parameters(refinement), *((name, str(value)) for name, value in extra.items())]
    return query.get_absolute_url() + ("?" + urlencode(parameters) if parameters else "")


@dataclass(frozen=True)
class Following:
    """Where there are more products."""

    address: str
    #: Whether they are added to what the page shows; else they are a page of their own.
    adds: bool


def following(query: Query, refinement: Refinement, ranking: Ranking, page: Page, start: int) -> Following | None:
    """Where the products after a page are that starts at a position of the ranking; None where there are no more."""
    shown = len(page.results)
    if page.next_position is None:
        return None
    place: dict[str, str | int] = {"list": ranking.key}
    if shown >= MOST_SHOWN:
        return Following(address(query, refinement, **place, start=page.next_position), adds=False)
    if start:
        place["start"] = start
    more = address(query, refinement, **place, shown=min(shown + DEFAULT_PAGE, MOST_SHOWN))
    return Following(f"{more}#p{shown + 1}", adds=True)
