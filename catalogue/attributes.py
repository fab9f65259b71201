"""A product's attributes: a JSON object that any database can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_DEEPEST = 50
"""Levels within each other. What nests deeper than Python recurses could be stored, and then not be shown."""


def checked(value: object) -> dict[str, Any]:
    """The value, if it can be a product's attributes. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("These are no names and values.")  # noqa: TRY004 - what was written, not a mistake of ours
    if "\0" in "".join(_texts(value, _DEEPEST)):
        raise ValueError("PostgreSQL stores no NUL.")
    # NaN, infinity and unpaired surrogates are Python's, not JSON's.
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


def _texts(value: object, levels: int) -> Iterable[str]:
    """Every text in a JSON value, keys too."""
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
