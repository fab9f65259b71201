"""A product's attributes: a JSON object that any database can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_MAX_LEVELS = 50
"""Levels of nesting. Deeper values could be stored but not shown, as Python limits recursion."""


def checked(value: object) -> dict[str, Any]:
    """The value, if it is valid for a product's attributes. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("Attributes must be a JSON object.")  # noqa: TRY004 - bad input, not a bug
    if "\0" in "".join(_texts(value, _MAX_LEVELS)):
        raise ValueError("PostgreSQL stores no NUL.")
    # NaN, infinity and lone surrogates are not JSON.
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


def _texts(value: object, levels: int) -> Iterable[str]:
    """Every string in a JSON value, keys included."""
    if levels == 0:
        raise ValueError("These nest too deeply.")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, levels - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item, levels - 1)
