"""How sentences are joined in each language."""

from __future__ import annotations

from django.utils.translation import get_language

#: Languages whose full stop needs no space after it.
UNSPACED = {"ja"}


def sentence_space() -> str:
    """The separator of two sentences."""
    return "" if get_language() in UNSPACED else " "
