"""The catalogue's signal that photos have changed."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.dispatch import Signal

#: Sent inside the changing transaction, with `ids`: the primary keys of photos that were added, changed or deleted,
#: or whose product changed. What a receiver writes is committed or rolled back together with the change.
photos_changed = Signal()


def announce(ids: Iterable[int]) -> None:
    """Send `photos_changed` for these photos, within the transaction that changes them."""
    changed = sorted(set(ids))
    if not changed:
        return
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("photos_changed must be sent inside the changing transaction.")
    photos_changed.send(sender=None, ids=changed)
