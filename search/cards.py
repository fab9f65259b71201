"""What was found, as the page shows it: a card for each product, and the address of more of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from catalogue.filters import without
from search.forms import RefinementForm
from search.models import Query
from search.querying import DEFAULT_PAGE, LONGEST, Page, Ranking, Refinement, Result


@dataclass(frozen=True)
class Card:
    """A result with the addresses of the searches that want more, or less, like it."""

    result: Result
    more: str
    less: str
    #: Whether the shopper has said already to want more like it; `more` then takes that back.
    liked: bool

    @classmethod
    def of(cls, query: Query, refinement: Refinement, result: Result) -> Self:
        sku = result.product.sku
        like, dislike = without(refinement.like, sku), without(refinement.dislike, sku)
        liked = sku in refinement.like
        return cls(
            result,
            more=address(query, replace(refinement, like=like if liked else (*like, sku), dislike=dislike)),
            less=address(query, replace(refinement, like=like, dislike=(*dislike, sku))),
            liked=liked,
        )


def address(query: Query, refinement: Refinement, **extra: str | int) -> str:
    """Where a query is refined in a way."""
    parameters = [*RefinementForm.parameters(refinement), *((name, str(value)) for name, value in extra.items())]
    return query.get_absolute_url() + ("?" + urlencode(parameters) if parameters else "")


def following(query: Query, refinement: Refinement, ranking: Ranking, page: Page) -> str:
    """The address of the same list with more products, at the first that is new; empty where there are no more."""
    shown = len(page.results)
    if page.next_position is None:
        return ""
    more = address(query, refinement, list=ranking.key, shown=min(shown + DEFAULT_PAGE, LONGEST))
    return f"{more}#p{shown + 1}"
