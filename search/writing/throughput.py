"""Photos settled per minute, for staff: counted by every process that indexes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from search.models import IndexedMinute


def count(photos: int) -> None:
    """Add settled photos to the current minute: one UPDATE for each claim of some hundred photos."""
    if not photos:
        return
    minute = timezone.now().replace(second=0, microsecond=0)
    row = IndexedMinute.objects.filter(minute=minute)
    if row.update(photos=F("photos") + photos):
        return
    try:
        with transaction.atomic():
            IndexedMinute.objects.create(minute=minute, photos=photos)
    except IntegrityError:  # another process was first
        row.update(photos=F("photos") + photos)


def minutes(number: int, now: datetime | None = None) -> list[int]:
    """The photos settled in each of the last minutes, oldest first; the last one has only begun."""
    present = (now or timezone.now()).replace(second=0, microsecond=0)
    first = present - timedelta(minutes=number - 1)
    rows = IndexedMinute.objects.filter(minute__gte=first, minute__lte=present)
    known = dict(rows.values_list("minute", "photos"))
    return [known.get(first + timedelta(minutes=step), 0) for step in range(number)]
