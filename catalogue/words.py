"""What stands between words and sentences that are put together, which is not the same in every language."""

from __future__ import annotations

from django.utils.translation import get_language

#: Languages whose full stop is as wide as a letter, and needs no space after it.
UNSPACED = {"ja"}


def sentence_space() -> str:
    """What stands between two sentences."""
    return "" if get_language() in UNSPACED else " "
