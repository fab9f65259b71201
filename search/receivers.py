"""What search does when the catalogue changes."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from catalogue.signals import photos_changed
from search import broker
from search.models import IndexEntry, IndexVersion


@receiver(photos_changed)
def make_pending(ids: list[int], **kwargs: Any) -> None:
    """Record, in the transaction of the change, that these photos have to be indexed again."""
    for version in IndexVersion.objects.lock_for_change():
        IndexEntry.objects.change(version, ids)
    broker.tell(ids)
