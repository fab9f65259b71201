"""The columns of a table: what they are called, and how a cell becomes a value of the model.

A cell is text in CSV and any JSON value in JSON Lines; both come out the same.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from catalogue.attributes import checked
from catalogue.fetching import is_address
from catalogue.importers.records import PhotoSource, ProductRecord, SourceRefused
from catalogue.importers.taxonomy import MAX_LEVELS
from catalogue.models import Brand, Category, Product, ProductImage

ATTRIBUTE_PREFIX = "attribute:"
PATH_SIGN = ">"
"""Parts the names of a category's path in a table."""
PHOTO_SIGN = "|"
"""Parts photos, and their texts."""
PHOTO_COLUMNS = frozenset({"photos", "image_url", "image_urls"})
"""Those that say which photos a product has; the names come before the addresses."""
MAX_COLUMNS = 200
"""Headings of a table: there are sixteen columns, the others are attributes."""
MAX_PHOTOS = 100
"""Photos that a column of a row may name: each is read and decoded, even where it is the same."""
MAX_PRICE = Decimal("9999999999.99")
"""What twelve digits, two of them after the point, can say."""
MAX_STOCK = 2_147_483_647
"""PostgreSQL's largest integer."""
_CENT = Decimal("0.01")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What spreadsheets take for the beginning of a formula, wide signs in East Asian ones too, or pass over before it.

OWASP, “CSV Injection”.
"""
_SHOWN = 60
_PROBLEMS = 10
"""Sentences about one header or row: who has put these right sees the next."""


class BadCell(ValueError):
    """A cell cannot be taken. The message names the column and the value."""


class BadRow(ValueError):
    """A row cannot be taken. The message has a sentence for each of its bad cells."""


def check_header(names: Iterable[str]) -> None:
    """Raise `SourceRefused` unless these are names of columns, each once, with `sku` among them."""
    names = list(names)
    if len(names) > MAX_COLUMNS:
        raise SourceRefused(
            _("The table has %(columns)d columns; at most %(limit)d are taken. Delete those that are not needed.")
            % {"columns": len(names), "limit": MAX_COLUMNS}
        )
    problems = [_unknown(name) for name in names if not _known(name)]
    problems += [
        _("The column %(name)s is there twice.") % {"name": _shown(name)}
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]
    if "sku" not in names:
        problems.append(_("The column 'sku' is missing; it says which product a row is."))
    if "alt" in names and not PHOTO_COLUMNS & set(names):
        problems.append(_("The column 'alt' describes photos, but the column 'photos' is missing."))
    if problems:
        del problems[_PROBLEMS:]
        known_names = _("The columns are: %(names)s, and %(prefix)sNAME for an attribute.") % {
            "names": ", ".join(_PARSERS),
            "prefix": ATTRIBUTE_PREFIX,
        }
        raise SourceRefused(" ".join([*problems, known_names]))


def has_addresses(names: Iterable[str]) -> bool:
    """Whether one of these columns has addresses of photos."""
    return not {"image_url", "image_urls"}.isdisjoint(names)


def names() -> list[str]:
    """What columns are called."""
    return [*_PARSERS, f"{ATTRIBUTE_PREFIX}…"]


def known(names: Iterable[str]) -> int:
    """How many of these are names of columns."""
    return sum(map(_known, names))


def normalise(name: str) -> str:
    """`Visible from` -> `visible_from`; the name of an attribute keeps its letters."""
    name = name.strip()
    if name.casefold().startswith(ATTRIBUTE_PREFIX):
        return ATTRIBUTE_PREFIX + name[len(ATTRIBUTE_PREFIX) :].strip()
    return re.sub(r"[\s-]+", "_", name.casefold())


def category_path(names: Sequence[str]) -> str:
    """A category's path as `category` takes it."""
    if len(names) == 1 and "/" in names[0]:
        names = [*names, ""]
    return _joined(names, PATH_SIGN)


def photo_texts(texts: Sequence[str]) -> str:
    """The texts of photos as `alt` takes them."""
    return _joined(texts, PHOTO_SIGN) if any(texts) else ""


def as_text(cell: str) -> str:
    """A cell of CSV that no spreadsheet takes for a formula: one that begins like one gets a space before it.

    An import strips that space again.
    """
    return f" {cell}" if cell.startswith(_FORMULA) else cell


def _joined(texts: Sequence[str], sign: str) -> str:
    """Texts with a sign between them; as a JSON list where they could not be parted again."""
    joined = f" {sign} ".join(texts)
    if any(sign in text for text in texts) or _json_list(joined) is not None:
        return json.dumps(list(texts), ensure_ascii=False)
    return joined


def _json_list(cell: object) -> list[Any] | None:
    """The list that a cell is, or the texts that are written out in it as a JSON list; None where it is neither."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def record(row: Mapping[str, object], where: str, photo: Callable[[str], PhotoSource]) -> ProductRecord:
    """The product of a row whose names of columns have been checked.

    Raises `BadRow` with a sentence for each cell that cannot be taken.
    """
    values: dict[str, Any] = {}
    named_attributes: dict[str, str] = {}
    problems: list[str] = []
    for name, cell in row.items():
        try:
            if name.startswith(ATTRIBUTE_PREFIX):
                named_attributes[name[len(ATTRIBUTE_PREFIX) :]] = _text(name, cell)
            else:
                values[name] = _PARSERS[name](name, cell)
        except BadCell as error:
            problems.append(str(error))
    named = [values.pop(name) for name in _PARSERS if name in PHOTO_COLUMNS and name in values]
    photos: tuple[str, ...] | None = tuple(name for names in named for name in names) if named else None
    alts: tuple[str, ...] | None = values.pop("alt", None)
    if not problems and len(alts or ()) > len(photos or ()):
        problems.append(
            _("alt has %(texts)d texts for %(photos)d photos; part them with | as the photos.")
            % {"texts": len(alts or ()), "photos": len(photos or ())}
        )
    if problems:
        raise BadRow(" ".join(problems[:_PROBLEMS]))
    return ProductRecord(
        sku=values.pop("sku"),
        where=where,
        values=values,
        named_attributes=named_attributes,
        photos=None if photos is None else tuple(map(photo, photos)),
        alts=alts,
    )


def _known(name: str) -> bool:
    return name in _PARSERS or (name.startswith(ATTRIBUTE_PREFIX) and name != ATTRIBUTE_PREFIX)


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name[:_SHOWN], _PARSERS, n=1)
    if not close:
        return _("There is no column %(name)s.") % {"name": _shown(name)}
    return _("There is no column %(name)s; did you mean %(close)s?") % {"name": _shown(name), "close": repr(close[0])}


def _shown(cell: object) -> str:
    text = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def _bad(sentence: str, name: str, cell: object, **more: object) -> BadCell:
    """The error of a cell, with a sentence that names its column and its value."""
    return BadCell(sentence % {"name": name, "cell": _shown(cell), **more})


def _text(name: str, cell: object) -> str:
    """A cell as text without space around it."""
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        raise _bad(_("%(name)s is %(cell)s; write a text."), name, cell)
    text = str(cell).strip()
    if not _storable(text):
        raise BadCell(
            _("%(name)s has a character that cannot be stored (NUL, or half of a pair). Take it out.")
            % {"name": name}
        )
    return text


def _storable(text: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 has no lone surrogates."""
    return "\0" not in text and is_unicode(text)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _field(name: str, cell: object) -> Any:
    """A cell that the model's own field checks."""
    text = _text(name, cell)
    field = cast("Field[Any, Any]", Product._meta.get_field(name))
    try:
        return field.clean(text, None)
    except ValidationError as error:
        raise _bad(_("%(name)s is %(cell)s: %(reason)s"), name, text, reason=" ".join(error.messages)) from error


def _currency(name: str, cell: object) -> str:
    return str(_field(name, _text(name, cell) or settings.DEFAULT_CURRENCY))


def _category(name: str, cell: object) -> tuple[str, ...]:
    """`Tops > Shirts` or `Tops / Shirts`, or a list of names from the top down, which may have both signs.

    With a `>` in it, names may have a `/` of their own.
    """
    cells = _json_list(cell)
    if cells is None:
        text = _text(name, cell)
        cells = text.split(PATH_SIGN if PATH_SIGN in text else "/")
    if len(cells) > MAX_LEVELS:
        raise _bad(_("%(name)s is %(cell)s; a category has at most %(limit)d levels."), name, cell, limit=MAX_LEVELS)
    names = tuple(text for part in cells if (text := " ".join(_text(name, part).split())))
    limit = Category._meta.get_field("name").max_length or 0
    if any(len(part) > limit for part in names):
        raise _bad(
            _("%(name)s is %(cell)s; a category's name has at most %(limit)d characters."), name, cell, limit=limit
        )
    return names


def _brand(name: str, cell: object) -> str:
    text = " ".join(_text(name, cell).split())
    limit = Brand._meta.get_field("name").max_length or 0
    if len(text) > limit:
        raise _bad(
            _("%(name)s is %(cell)s; a brand's name has at most %(limit)d characters."), name, text, limit=limit
        )
    return text


def _number(cell: str) -> Decimal | None:
    try:
        number = Decimal(cell) if cell.isascii() else Decimal("NaN")
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _price(name: str, cell: object) -> Decimal | None:
    text = _text(name, cell)
    if not text:
        return None
    number = _number(text)
    if number is None:
        swapped = _number(text.replace(",", ".")) if text.count(",") == 1 and "." not in text else None
        if swapped is not None:
            raise _bad(
                _("%(name)s is %(cell)s; write a number with a point, as in %(number)s."), name, text, number=swapped
            )
        raise _bad(
            _("%(name)s is %(cell)s; write a number with a point, without a currency, as in 12.50."), name, text
        )
    if number < 0:
        raise _bad(
            _("%(name)s is %(cell)s; a price is not negative. Leave it empty if the shop does not say."), name, text
        )
    if number > MAX_PRICE:
        raise _bad(_("%(name)s is %(cell)s; at most %(limit)s can be stored."), name, text, limit=MAX_PRICE)
    price = number.quantize(_CENT)
    if price != number:
        raise _bad(_("%(name)s is %(cell)s; write at most two digits after the point."), name, text)
    return abs(price)  # there is a -0.00


def _stock(name: str, cell: object) -> int | None:
    text = _text(name, cell)
    if not text:
        return None
    number = _number(text)
    if number is None or not 0 <= number <= MAX_STOCK or number != int(number):
        sentence = _(
            "%(name)s is %(cell)s; write a whole number from 0 to %(limit)d, "
            "or leave it empty if the stock is not counted."
        )
        raise _bad(sentence, name, text, limit=MAX_STOCK)
    return int(number)


def _moment(name: str, cell: object) -> datetime | None:
    """An ISO date (its first moment) or date and time; without an offset, in the site's time zone."""
    text = _text(name, cell)
    if not text:
        return None
    try:
        moment = parse_datetime(text) if len(text) > len("2026-01-31") else None
        if moment is None and (day := parse_date(text)):
            moment = datetime.combine(day, time.min)
        if moment is not None:
            moment = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # the 31st of February, or a year that UTC does not have
    raise _bad(
        _("%(name)s is %(cell)s; write a date as 2026-01-31, or with a time as 2026-01-31T09:00+01:00."), name, text
    )


def _attributes(name: str, cell: object) -> dict[str, Any]:
    """A JSON object, as such or written out."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return {}
    try:
        return checked(json.loads(cell) if isinstance(cell, str) else cell)
    except (ValueError, RecursionError):
        raise _bad(
            _("%(name)s is %(cell)s; write a JSON object, as in %(example)s."),
            name,
            cell,
            example='{"material": "wool"}',
        ) from None


def _photos(name: str, cell: object) -> tuple[str, ...]:
    """Paths parted by `|` (or, where there is none, by `;`), or a list of them."""
    if isinstance(cell, list):
        cells = cell
    else:
        text = _text(name, cell)
        cells = text.split("|" if "|" in text else ";")
    _check_photos(name, cells)
    return tuple(text for part in cells if (text := _text(name, part)))


def _check_photos(name: str, cells: Sequence[object]) -> None:
    if len(cells) > MAX_PHOTOS:
        raise BadCell(
            _("%(name)s lists %(photos)d photos; a row may have at most %(limit)d.")
            % {"name": name, "photos": len(cells), "limit": MAX_PHOTOS}
        )


def _addresses(name: str, cell: object) -> tuple[str, ...]:
    """Addresses parted by `|` or by space, neither of which an address has, or a list of them."""
    cells = _json_list(cell)
    if cells is None:
        cells = _text(name, cell).replace(PHOTO_SIGN, " ").split()
    _check_photos(name, cells)
    addresses = tuple(text for part in cells if (text := _text(name, part)))
    for address in addresses:
        if not is_address(address):
            raise _bad(_("%(name)s is %(cell)s; write addresses that begin with https://."), name, address)
    return addresses


def _alt(name: str, cell: object) -> tuple[str, ...]:
    """Texts parted by `|`, or a list of them, one for each photo; an empty one says nothing."""
    cells = _json_list(cell)
    if cells is None:
        cells = _text(name, cell).split(PHOTO_SIGN)
    _check_photos(name, cells)
    texts = tuple(_text(name, part) for part in cells)
    limit = ProductImage._meta.get_field("alt").max_length or 0
    if any(len(text) > limit for text in texts):
        raise _bad(
            _("%(name)s is %(cell)s; a photo's text has at most %(limit)d characters."), name, cell, limit=limit
        )
    return texts if any(texts) else ()


_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "sku": _field,
    "title": _field,
    "description": _field,
    "category": _category,
    "brand": _brand,
    "price": _price,
    "currency": _currency,
    "attributes": _attributes,
    "external_url": _field,
    "visible_from": _moment,
    "visible_until": _moment,
    "stock": _stock,
    "photos": _photos,
    "image_url": _addresses,
    "image_urls": _addresses,
    "alt": _alt,
}
