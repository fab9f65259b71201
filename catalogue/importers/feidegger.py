"""FEIDEGGER, Zalando's data set of 8,732 dresses: a JSON list of a photo's address and five German descriptions each.

L. Lefakis, A. Akbik, R. Vollgraf, "FEIDEGGER: A Multi-modal Corpus of Fashion Images and Descriptions in German",
LREC 2018. The photos are downloaded. Dresses whose photo is already in the catalogue are skipped, so that a second
run downloads only missing ones.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from catalogue.fetching import is_address
from catalogue.importers.cells import is_unicode
from catalogue.importers.records import AddressedPhoto, ProductRecord, Reject, Source, SourceRefused
from catalogue.models import Product

CATEGORY = ("Kleider",)
PREFIX = "FEIDEGGER-"
TITLE_LENGTH = 80
"""Characters of a title, taken from the first description."""

MAX_BYTES = 30_000_000
"""Of a release, which is read as a whole. Version 1.2 has a third of that."""

_DIGEST_LETTERS = 16
_ASKED = 500
"""Products in one query."""


class FeideggerSource(Source):
    """The dresses of a release, in the order of the file."""

    far = True

    def __init__(self, path: Path) -> None:
        """Raises `SourceRefused` unless this is a list of objects, at least one with a “url”."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            dresses = json.loads(data) if len(data) <= MAX_BYTES else None
        except OSError as error:
            raise SourceRefused(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise SourceRefused(f"{path} is not JSON: {error}. Download it again.") from error
        if not isinstance(dresses, list) or not any(isinstance(dress, dict) and "url" in dress for dress in dresses):
            raise SourceRefused(
                f"{path} is not a release of FEIDEGGER: that is a JSON list of objects with “url”, “split” and "
                f"“descriptions”, of at most {MAX_BYTES:,} bytes."
            )
        self._dresses: list[Any] = dresses
        self.total = len(dresses)

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        records = (_record(dress, f"entry {number}") for number, dress in enumerate(self._dresses, 1))
        while batch := list(islice(records, _ASKED)):
            skus = [record.sku for record in batch if isinstance(record, ProductRecord)]
            whole = set(Product.objects.filter(sku__in=skus, photos__isnull=False).values_list("sku", flat=True))
            for record in batch:
                yield record if isinstance(record, Reject) or record.sku not in whole else _without_photo(record)


def sku(url: str) -> str:
    """A SKU from a photo's address: the release has no numbers."""
    return PREFIX + hashlib.sha256(url.encode()).hexdigest()[:_DIGEST_LETTERS]


def _without_photo(record: ProductRecord) -> ProductRecord:
    return ProductRecord(record.sku, record.where, record.values, overwrite=False)


def _record(dress: Any, where: str) -> ProductRecord | Reject:
    url = dress.get("url") if isinstance(dress, dict) else None
    if not isinstance(url, str) or not is_address(url.strip()) or not is_unicode(url):
        return Reject(where, "This entry has no “url” that begins with https:// or http://.")
    url = url.strip()
    texts = dress.get("descriptions")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return Reject(where, "The “descriptions” of this entry are not a list of texts.", sku(url), url)
    split = str(dress.get("split", ""))
    if not is_unicode("".join([*texts, split])):
        return Reject(where, "The “descriptions” of this entry have half of a pair of characters.", sku(url), url)
    descriptions = [shown for text in texts if (shown := " ".join(text.replace("\0", " ").split()))]
    title = textwrap.shorten(descriptions[0], TITLE_LENGTH, placeholder="…") if descriptions else "Kleid"
    return ProductRecord(
        sku=sku(url),
        where=where,
        values={
            "title": title,
            "description": "\n".join(descriptions),
            "category": CATEGORY,
            "attributes": {"dataset": "FEIDEGGER", "split": split},
        },
        photos=(AddressedPhoto(url),),
        overwrite=False,
    )
