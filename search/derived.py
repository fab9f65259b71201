"""What is derived from a query and kept in the shared cache for a while: rankings, boxes, how near the nearest is.

A shopper who deletes the picture deletes this too. A cache cannot be asked for names that begin alike, so there are
slots whose names are all known: what comes into a slot takes the place of what was there, and is worked out anew.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TypeAlias
from uuid import UUID

from django.core.cache import cache

#: For rankings and for boxes each: many more than one shopper makes of one picture.
SLOTS = 256
#: Seconds that a ranking is kept for its further pages, and boxes with it.
KEPT = 3_600

Rows: TypeAlias = list[tuple[int, int, float]]
"""(product id, photo id, score) each."""


def keep_ranking(query: UUID, key: str, rows: Rows, alike: bool, seconds: float) -> None:
    """Freeze a ranking under its key (sixteen hexadecimal digits)."""
    cache.set(_name("ranking", query, key), (key, rows, alike), seconds)


def ranking(query: UUID, key: str) -> tuple[Rows, bool] | None:
    """A frozen ranking, or None where it is no longer kept."""
    match cache.get(_name("ranking", query, key)):
        case [str(kept), list(rows), bool(alike)] if kept == key:
            return [(product, photo, score) for product, photo, score in rows], alike
    return None


def keep_box(query: UUID, what: str, packed: tuple[bytes, bytes]) -> None:
    """Keep what the model and the colour block say of a box; `what` names the box and the model."""
    digest = _digest(what)
    cache.set(_name("box", query, digest), (digest, *(base64.b64encode(data).decode() for data in packed)), KEPT)


def box(query: UUID, what: str) -> tuple[bytes, bytes] | None:
    digest = _digest(what)
    match cache.get(_name("box", query, digest)):
        case [str(kept), str(embedding), str(colour)] if kept == digest:
            return base64.b64decode(embedding), base64.b64decode(colour)
    return None


def keep_nearest(query: UUID, what: str, cosine: float | None) -> None:
    """Keep how near the nearest photo is to the picture or the box that was looked at last."""
    cache.set(f"nearest:{query}", (what, cosine), KEPT)


def nearest(query: UUID, what: str) -> tuple[float | None] | None:
    """The kept cosine in a tuple, since it may be None; None where none is kept."""
    match cache.get(f"nearest:{query}"):
        case [str(kept), float() | None as cosine] if kept == what:
            return (cosine,)
    return None


def forget(query: UUID) -> None:
    """Delete all of it."""
    slots = [f"{kind}:{query}:{slot:02x}" for kind in ("ranking", "box") for slot in range(SLOTS)]
    cache.delete_many([f"nearest:{query}", *slots])


def _name(kind: str, query: UUID, digits: str) -> str:
    return f"{kind}:{query}:{digits[:2]}"


def _digest(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()
