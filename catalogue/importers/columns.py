"""The columns of a table: their names, and the product of a row."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from catalogue.importers.cells import PARSERS, BadCell, quoted, text
from catalogue.importers.records import PhotoSource, ProductRecord, SourceRefused

ATTRIBUTE_PREFIX = "attribute:"
ADDRESS_COLUMNS = frozenset({"image_url", "image_urls"})
PHOTO_COLUMNS = frozenset({"photos"}) | ADDRESS_COLUMNS
"""Columns that name a product's photos. Files come before web addresses."""
MAX_COLUMNS = 200
"""Columns of a table: sixteen are known, the others are attributes."""
_MAX_PROBLEMS = 10
"""Problems that are listed for one header or row."""


class BadRow(ValueError):
    """A row is invalid. The message has a sentence for each of its bad cells."""


def check_header(names: Iterable[str]) -> None:
    """Raise `SourceRefused` unless all names are known, none is repeated and `sku` is among them."""
    names = list(names)
    if len(names) > MAX_COLUMNS:
        raise SourceRefused(
            _("The table has %(columns)d columns; at most %(limit)d are taken. Delete those that are not needed.")
            % {"columns": len(names), "limit": MAX_COLUMNS}
        )
    problems = [_unknown(name) for name in names if not _is_known(name)]
    problems += [
        _("The column %(name)s appears twice.") % {"name": quoted(name)}
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]
    if "sku" not in names:
        problems.append(_("The column 'sku' is missing; it says which product a row is."))
    if "alt" in names and not PHOTO_COLUMNS & set(names):
        problems.append(_("The column 'alt' describes photos, but the column 'photos' is missing."))
    if problems:
        del problems[_MAX_PROBLEMS:]
        known_names = _("The columns are: %(names)s, and %(prefix)sNAME for an attribute.") % {
            "names": ", ".join(PARSERS),
            "prefix": ATTRIBUTE_PREFIX,
        }
        raise SourceRefused(" ".join([*problems, known_names]))


def has_addresses(names: Iterable[str]) -> bool:
    """Whether a column has web addresses of photos."""
    return not ADDRESS_COLUMNS.isdisjoint(names)


def names() -> list[str]:
    """The names of all columns."""
    return [*PARSERS, f"{ATTRIBUTE_PREFIX}…"]


def count_known(names: Iterable[str]) -> int:
    return sum(map(_is_known, names))


def normalise(name: str) -> str:
    """`Visible from` -> `visible_from`; the name of an attribute is kept as written."""
    name = name.strip()
    if name.casefold().startswith(ATTRIBUTE_PREFIX):
        return ATTRIBUTE_PREFIX + name[len(ATTRIBUTE_PREFIX) :].strip()
    return re.sub(r"[\s-]+", "_", name.casefold())


def record(row: Mapping[str, object], where: str, photo: Callable[[str], PhotoSource]) -> ProductRecord:
    """The product of a row whose header has been checked. Raises `BadRow` with a sentence for each bad cell."""
    values: dict[str, Any] = {}
    named_attributes: dict[str, str] = {}
    problems: list[str] = []
    for name, cell in row.items():
        try:
            if name.startswith(ATTRIBUTE_PREFIX):
                named_attributes[name[len(ATTRIBUTE_PREFIX) :]] = text(name, cell)
            else:
                values[name] = PARSERS[name](name, cell)
        except BadCell as error:
            problems.append(str(error))
    named = [values.pop(name) for name in PARSERS if name in PHOTO_COLUMNS and name in values]
    photos: tuple[str, ...] | None = tuple(name for names in named for name in names) if named else None
    alts: tuple[str, ...] | None = values.pop("alt", None)
    if not problems and len(alts or ()) > len(photos or ()):
        problems.append(
            _("alt has %(texts)d texts for %(photos)d photos; separate them with |, like the photos.")
            % {"texts": len(alts or ()), "photos": len(photos or ())}
        )
    if problems:
        raise BadRow(" ".join(problems[:_MAX_PROBLEMS]))
    return ProductRecord(
        sku=values.pop("sku"),
        where=where,
        values=values,
        named_attributes=named_attributes,
        photos=None if photos is None else tuple(map(photo, photos)),
        alts=alts,
    )


def _is_known(name: str) -> bool:
    return name in PARSERS or (name.startswith(ATTRIBUTE_PREFIX) and name != ATTRIBUTE_PREFIX)


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name[:60], PARSERS, n=1)
    if not close:
        return _("There is no column %(name)s.") % {"name": quoted(name)}
    return _("There is no column %(name)s; did you mean %(close)s?") % {"name": quoted(name), "close": repr(close[0])}
