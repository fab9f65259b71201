"""Keys of rows, as buttons of the admin's pages send them."""

from __future__ import annotations

_DIGITS = 18
"""As many as any database's key has, and far fewer than Python refuses to read."""


def is_key(text: str) -> bool:
    """Whether a text may be the number of a row."""
    return text.isdecimal() and len(text) <= _DIGITS
