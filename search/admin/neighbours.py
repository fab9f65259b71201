"""The photos nearest to a photo, with every number that the ranking comes from: for debugging."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django import forms
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalogue.models import ProductImage
from search import versions
from search.admin.states import LABELS
from search.exceptions import SearchError
from search.indexes import index_of
from search.indexes.base import Filter, Hit
from search.models import Embedding, IndexEntry, IndexVersion
from search.vision import colours, vectors
from search.vision.matches import Match
from search.vision.vectors import DEFAULT_COLOUR_WEIGHT, MAX_COLOUR_WEIGHT

NEAREST = 50


@dataclass(frozen=True)
class Neighbour:
    """A photo that the index found, and how near it is."""

    photo_id: int
    #: None for one that has been deleted since
    photo: ProductImage | None
    #: cosine of query and document: what ranks
    score: float
    #: None where its embedding is not stored, and so for the three below
    style: float | None
    colour: float | None
    #: raw cosine of the embeddings: what the match comes from
    cosine: float | None
    match: Match | None
    names: str
    generation: int | None
    state: str
    rank: int
    itself: bool

    @property
    def state_label(self) -> str:
        return str(LABELS[self.state])


@dataclass(frozen=True)
class Comparison:
    neighbours: list[Neighbour] = field(default_factory=list)
    version: IndexVersion | None = None
    names: str = ""
    #: why there are no neighbours
    reason: str = ""
    #: what a cosine of the style or of the colour counts in the score
    style_share: float = 0.0
    colour_share: float = 0.0


class ComparisonForm(forms.Form):
    """How to compare; in the address, so that it can be sent to a colleague. What is wrong counts as absent."""

    weight = forms.FloatField(
        label=_("Colour weight"),
        min_value=0,
        max_value=MAX_COLOUR_WEIGHT,
        required=False,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=format_lazy(_("0: style only; {most}: style and colour equally"), most=MAX_COLOUR_WEIGHT),
    )
    visible = forms.BooleanField(label=_("Visible products only"), required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data if "weight" in data else {"weight": DEFAULT_COLOUR_WEIGHT, "visible": True})
        self.full_clean()

    @property
    def colour_weight(self) -> float:
        value = self.cleaned_data.get("weight")
        return DEFAULT_COLOUR_WEIGHT if value is None else float(value)

    @property
    def only_visible(self) -> bool:
        return bool(self.cleaned_data.get("visible"))


def compare(photo: Any, weight: float, *, visible: bool) -> Comparison:
    """The nearest photos of a photo of `states.with_entries`, itself among them, not grouped into products.

    A fixed number of queries, however many are found.
    """
    version = IndexVersion.objects.live()
    if version is None:
        return Comparison(reason=gettext("There is no index yet."))
    own = Embedding.objects.of(version, [photo.sha256]).first()
    if own is None:
        reason = photo.index_reason or gettext("Not indexed yet.")
        return Comparison(version=version, reason=reason)
    try:
        embedding = vectors.unit(Embedding.unpack([own.embedding]))
        colour = Embedding.unpack([own.colour])[0]
        style = versions.style_of(version, embedding)[0]
        where = Filter(visible_at=timezone.now()) if visible else None
        vector = vectors.scale(vectors.query(style, colour, weight))
        hits = index_of(version).search(vector, NEAREST, where)
        neighbours = _described(hits, version, embedding=embedding[0], style=style, colour=colour, asking=photo.pk)
    except SearchError as error:
        return Comparison(version=version, reason=str(error))
    # The query's vector is scaled to unit length, and so are its parts.
    length = float(np.hypot(1 - weight, weight) * np.sqrt(2))
    return Comparison(
        neighbours, version, _names(own), style_share=(1 - weight) / length, colour_share=weight / length
    )


def _described(
    hits: list[Hit], version: IndexVersion, *, embedding: Any, style: Any, colour: Any, asking: int
) -> list[Neighbour]:
    photos = ProductImage.objects.select_related("product").in_bulk([hit.photo_id for hit in hits])
    entries = {
        entry.photo_id: entry
        for entry in IndexEntry.objects.filter(version=version, photo_id__in=[hit.photo_id for hit in hits])
    }
    digests = {photo.sha256 for photo in photos.values()}
    stored = list(Embedding.objects.of(version, digests))
    rows = {row.digest: number for number, row in enumerate(stored)}
    if stored:
        raw = Embedding.unpack(row.embedding for row in stored)
        cosines = raw @ embedding
        styles = versions.style_of(version, raw) @ style
        shades = Embedding.unpack(row.colour for row in stored) @ colour
    found = []
    for rank, hit in enumerate(hits, 1):
        photo, entry = photos.get(hit.photo_id), entries.get(hit.photo_id)
        row = rows.get(photo.sha256) if photo else None
        found.append(
            Neighbour(
                photo_id=hit.photo_id,
                photo=photo,
                score=hit.score,
                style=None if row is None else float(styles[row]),
                colour=None if row is None else float(shades[row]),
                cosine=None if row is None else float(cosines[row]),
                match=None if row is None else version.calibration.match(float(cosines[row])),
                names="" if row is None else _names(stored[row]),
                generation=entry.generation if entry else None,
                state=entry.state if entry else "",
                rank=rank,
                itself=hit.photo_id == asking,
            )
        )
    return found


def _names(row: Embedding) -> str:
    return ", ".join(f"{colours.label(name)} {share:.0%}" for name, share in row.colours)
