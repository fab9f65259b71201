"""Parsers that turn a cell of a table into a value of the model.

A cell is text in CSV and any JSON value in JSON Lines. Both give the same value. `PARSERS` has one parser for each
column; it takes the name of the column and the cell, and raises `BadCell`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Field, Model
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from catalogue import attributes
from catalogue.fetching import is_address
from catalogue.importers.taxonomy import MAX_LEVELS
from catalogue.models import Brand, Category, Product, ProductImage

CATEGORY_SEPARATOR = ">"
PHOTO_SEPARATOR = "|"
"""Separates photos, and their alternative texts."""
MAX_PHOTOS = 100
"""Photos in one cell: each is read and decoded, even if it is repeated."""
MAX_PRICE = Decimal("9999999999.99")
"""The largest number of twelve digits, two of them after the point."""
MAX_STOCK = 2_147_483_647
"""PostgreSQL's largest integer."""
_CENT = Decimal("0.01")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""Characters that start a formula in spreadsheets (full-width ones in East Asian versions too) or that are skipped
before it. OWASP, “CSV Injection”."""
_MAX_QUOTED = 60
"""Characters of a cell that a message repeats."""


class BadCell(ValueError):
    """A cell is invalid. The message names the column and the value."""


# What an export writes ---------------------------------------------------------------------------------------


def category_path(names: Sequence[str]) -> str:
    """A category's path as the column `category` takes it."""
    if len(names) == 1 and "/" in names[0]:
        names = [*names, ""]
    return _joined(names, CATEGORY_SEPARATOR)


def photo_texts(texts: Sequence[str]) -> str:
    """The alternative texts of photos as the column `alt` takes them."""
    return _joined(texts, PHOTO_SEPARATOR) if any(texts) else ""


def as_text(cell: str) -> str:
    """A cell of CSV that no spreadsheet runs as a formula: a leading space makes it text. An import strips it."""
    return f" {cell}" if cell.startswith(_FORMULA) else cell


def _joined(texts: Sequence[str], separator: str) -> str:
    """Texts with a separator between them, or a JSON list if they contain the separator themselves."""
    joined = f" {separator} ".join(texts)
    if any(separator in text for text in texts) or _json_list(joined) is not None:
        return json.dumps(list(texts), ensure_ascii=False)
    return joined


# What an import reads ----------------------------------------------------------------------------------------


def is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(cell: object) -> str:
    """The beginning of a cell in quotation marks, for a message."""
    shown = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
    return repr(shown if len(shown) <= _MAX_QUOTED else f"{shown[: _MAX_QUOTED - 1]}…")


def text(name: str, cell: object) -> str:
    """A cell as text, without spaces around it. Raises `BadCell`."""
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        raise _bad(_("%(name)s is %(cell)s; write a text."), name, cell)
    stripped = str(cell).strip()
    if "\0" in stripped or not is_unicode(stripped):  # PostgreSQL stores no NUL, UTF-8 no lone surrogates
        raise BadCell(
            _("%(name)s has a character that cannot be stored (NUL, or half of a pair). Remove it.") % {"name": name}
        )
    return stripped


def _bad(sentence: str, name: str, cell: object, **more: object) -> BadCell:
    return BadCell(sentence % {"name": name, "cell": quoted(cell), **more})


def _json_list(cell: object) -> list[Any] | None:
    """A cell that is a list, or that holds a JSON list of strings; None for any other cell."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _max_length(model: type[Model], field: str) -> int:
    return model._meta.get_field(field).max_length or 0  # type: ignore[union-attr]


def _model_field(name: str, cell: object) -> Any:
    """A cell that the model's own field validates."""
    value = text(name, cell)
    field = cast("Field[Any, Any]", Product._meta.get_field(name))
    try:
        return field.clean(value, None)
    except ValidationError as error:
        raise _bad(_("%(name)s is %(cell)s: %(reason)s"), name, value, reason=" ".join(error.messages)) from error


def _currency(name: str, cell: object) -> str:
    return str(_model_field(name, text(name, cell) or settings.DEFAULT_CURRENCY))


def _category(name: str, cell: object) -> tuple[str, ...]:
    """`Tops > Shirts`, `Tops / Shirts` or a list of names from the top down.

    Names may contain a `/` where `>` separates them, and any character in a list.
    """
    parts = _json_list(cell)
    if parts is None:
        path = text(name, cell)
        parts = path.split(CATEGORY_SEPARATOR if CATEGORY_SEPARATOR in path else "/")
    if len(parts) > MAX_LEVELS:
        raise _bad(_("%(name)s is %(cell)s; a category has at most %(limit)d levels."), name, cell, limit=MAX_LEVELS)
    names = tuple(cleaned for part in parts if (cleaned := " ".join(text(name, part).split())))
    limit = _max_length(Category, "name")
    if any(len(part) > limit for part in names):
        raise _bad(
            _("%(name)s is %(cell)s; a category's name has at most %(limit)d characters."), name, cell, limit=limit
        )
    return names


def _brand(name: str, cell: object) -> str:
    brand = " ".join(text(name, cell).split())
    limit = _max_length(Brand, "name")
    if len(brand) > limit:
        raise _bad(
            _("%(name)s is %(cell)s; a brand's name has at most %(limit)d characters."), name, brand, limit=limit
        )
    return brand


def _number(cell: str) -> Decimal | None:
    try:
        number = Decimal(cell) if cell.isascii() else Decimal("NaN")
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _price(name: str, cell: object) -> Decimal | None:
    written = text(name, cell)
    if not written:
        return None
    number = _number(written)
    if number is None:
        with_point = _number(written.replace(",", ".")) if written.count(",") == 1 and "." not in written else None
        if with_point is not None:
            sentence = _("%(name)s is %(cell)s; write a number with a point, as in %(number)s.")
            raise _bad(sentence, name, written, number=with_point)
        sentence = _("%(name)s is %(cell)s; write a number with a point, without a currency, as in 12.50.")
        raise _bad(sentence, name, written)
    if number < 0:
        sentence = _("%(name)s is %(cell)s; a price cannot be negative. Leave it empty if the product has no price.")
        raise _bad(sentence, name, written)
    if number > MAX_PRICE:
        raise _bad(_("%(name)s is %(cell)s; at most %(limit)s can be stored."), name, written, limit=MAX_PRICE)
    price = number.quantize(_CENT)
    if price != number:
        raise _bad(_("%(name)s is %(cell)s; write at most two digits after the point."), name, written)
    return abs(price)  # Decimal has a -0.00


def _stock(name: str, cell: object) -> int | None:
    written = text(name, cell)
    if not written:
        return None
    number = _number(written)
    if number is None or not 0 <= number <= MAX_STOCK or number != int(number):
        sentence = _(
            "%(name)s is %(cell)s; write a whole number from 0 to %(limit)d, "
            "or leave it empty if the stock is not counted."
        )
        raise _bad(sentence, name, written, limit=MAX_STOCK)
    return int(number)


def _moment(name: str, cell: object) -> datetime | None:
    """An ISO date (midnight) or date and time, in the site's time zone if it has no offset -> UTC."""
    written = text(name, cell)
    if not written:
        return None
    try:
        moment = parse_datetime(written) if len(written) > len("2026-01-31") else None
        if moment is None and (day := parse_date(written)):
            moment = datetime.combine(day, time.min)
        if moment is not None:
            moment = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # the 31st of February, or a year that UTC does not have
    sentence = _("%(name)s is %(cell)s; write a date as 2026-01-31, or with a time as 2026-01-31T09:00+01:00.")
    raise _bad(sentence, name, written)


def _attributes(name: str, cell: object) -> dict[str, Any]:
    """A JSON object, or its text."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return {}
    try:
        return attributes.checked(json.loads(cell) if isinstance(cell, str) else cell)
    except (ValueError, RecursionError):
        sentence = _("%(name)s is %(cell)s; write a JSON object, as in %(example)s.")
        raise _bad(sentence, name, cell, example='{"material": "wool"}') from None


def _list(name: str, cell: object) -> list[str]:
    """The texts of a list, or of a cell that separates them by `|`. Raises `BadCell` beyond `MAX_PHOTOS`."""
    parts = _json_list(cell)
    if parts is None:
        parts = text(name, cell).split(PHOTO_SEPARATOR)
    if len(parts) > MAX_PHOTOS:
        raise BadCell(
            _("%(name)s lists %(photos)d photos; a row may have at most %(limit)d.")
            % {"name": name, "photos": len(parts), "limit": MAX_PHOTOS}
        )
    return [text(name, part) for part in parts]


def _photos(name: str, cell: object) -> tuple[str, ...]:
    """Paths separated by `|`, or by `;` if there is no `|`, or a list of them."""
    if not isinstance(cell, list):  # text is never read as JSON here: a file's name may begin with a bracket
        paths = text(name, cell)
        cell = paths.split(PHOTO_SEPARATOR if PHOTO_SEPARATOR in paths else ";")
    return tuple(filter(None, _list(name, cell)))


def _addresses(name: str, cell: object) -> tuple[str, ...]:
    """Web addresses separated by `|` or spaces, which no address contains, or a list of them."""
    if _json_list(cell) is None:
        cell = text(name, cell).replace(PHOTO_SEPARATOR, " ").split()
    addresses = tuple(filter(None, _list(name, cell)))
    for address in addresses:
        if not is_address(address):
            raise _bad(_("%(name)s is %(cell)s; write addresses that begin with https://."), name, address)
    return addresses


def _alt(name: str, cell: object) -> tuple[str, ...]:
    """Alternative texts separated by `|`, or a list of them, one for each photo; they may be empty."""
    texts = tuple(_list(name, cell))
    limit = _max_length(ProductImage, "alt")
    if any(len(alt) > limit for alt in texts):
        raise _bad(
            _("%(name)s is %(cell)s; a photo's text has at most %(limit)d characters."), name, cell, limit=limit
        )
    return texts if any(texts) else ()


PARSERS: dict[str, Callable[[str, object], Any]] = {
    "sku": _model_field,
    "title": _model_field,
    "description": _model_field,
    "category": _category,
    "brand": _brand,
    "price": _price,
    "currency": _currency,
    "attributes": _attributes,
    "external_url": _model_field,
    "visible_from": _moment,
    "visible_until": _moment,
    "stock": _stock,
    "photos": _photos,
    "image_url": _addresses,
    "image_urls": _addresses,
    "alt": _alt,
}
