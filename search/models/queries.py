"""What shoppers ask with, what was derived from it, and how much they ask."""

from __future__ import annotations

import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.files.storage import storages
from django.db import DatabaseError, models
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from catalogue.models import ProductImage
from search.vision.matches import Match

if TYPE_CHECKING:
    from django.core.files.storage import Storage


logger = logging.getLogger(__name__)

#: How long a `QueryMemo` is kept.
MEMORY = timedelta(hours=1)


def query_expiry() -> datetime:
    return timezone.now() + timedelta(hours=settings.QUERY_LIFETIME_HOURS)


def query_storage() -> Storage:
    return storages["queries"]


class QueryQuerySet(models.QuerySet["Query"]):
    def to_forget(self) -> QueryQuerySet:
        """Queries that have expired and still hold something."""
        return self.filter(expires__lte=timezone.now()).exclude(embedding=b"")


class Query(models.Model):
    """What a shopper asks with: a picture of their own, or a photo of the catalogue. Refinements live in addresses.

    It never changes but to note how well it was answered, once, and to forget: `forget` deletes the picture and
    all that was derived from it, and keeps the row for a while, so that its address can say that it is gone. How
    well it was answered stays with the row: numbers without a picture say nothing of a person, and staff learn
    from them what shoppers look for in vain.
    """

    class Kind(models.TextChoices):
        PICTURE = "picture", _("own picture")
        PRODUCT = "product", _("product")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    picture = models.FileField(
        storage=query_storage, max_length=200, blank=True, help_text="upright JPEG without metadata"
    )
    photo = models.ForeignKey(ProductImage, models.SET_NULL, null=True, blank=True, related_name="+")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=120)
    embedding = models.BinaryField(help_text="float16, little-endian, unit length")
    colour = models.BinaryField(help_text="float16, little-endian, unit length")
    colours_version = models.PositiveSmallIntegerField()
    colours = models.JSONField(default=list, help_text="named colours with their shares, the largest first")
    kind = models.CharField(_("searched with"), max_length=7, choices=Kind.choices, default=Kind.PICTURE)
    # What the first list of results was like; null until the whole picture is ranked for the first time.
    best = models.FloatField(_("best score"), null=True, help_text="raw cosine of the nearest photo; null for none")
    best_match = models.CharField(_("best match"), max_length=15, choices=Match.choices, blank=True)
    alike = models.BooleanField(_("matches"), null=True)
    found = models.PositiveIntegerField(_("results"), null=True, help_text="products in the first list")
    created = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    expires = models.DateTimeField(default=query_expiry, db_index=True)

    objects: ClassVar[QueryQuerySet] = QueryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("query")
        verbose_name_plural = _("queries")

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return self._address

    @cached_property
    def _address(self) -> str:
        # A page of results names it some fifty times.
        return reverse("search:results", args=[self.pk])

    @property
    def gone(self) -> bool:
        """Whether it has expired or was deleted, or its photo has left the catalogue."""
        return self.expires <= timezone.now() or not (self.picture or self.photo_id)

    def note(self, found: int, best: float | None, match: str, alike: bool) -> None:
        """Write down how well the query was answered, unless that was done before: one UPDATE."""
        values = {"found": found, "best": best, "best_match": match, "alike": alike}
        Query.objects.filter(pk=self.pk, found=None).update(**values)
        for name, value in values.items():
            setattr(self, name, value)

    def forget(self) -> None:
        """Delete the picture and what was derived from it, at once."""
        # The file first: if that fails, the row still names it, and the next purge tries again.
        if self.picture:
            self.picture.storage.delete(self.picture.name or "")
        self.memos.all().delete()
        self.picture, self.photo, self.embedding, self.colour, self.colours = "", None, b"", b"", []
        self.expires = min(self.expires, timezone.now())
        # By name: what was noted since this row was read stays.
        self.save(update_fields=["picture", "photo", "embedding", "colour", "colours", "expires"])


class QueryMemoQuerySet(models.QuerySet["QueryMemo"]):
    def keep(self, query: Query, kind: QueryMemo.Kind, name: str, data: bytes) -> None:
        """Keep something that was derived from a saved query. What cannot be kept now is derived again."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        memo = QueryMemo(query=query, kind=kind, slot=int(digest[:2], 16), name=digest, data=data)
        try:
            self.bulk_create(
                [memo],
                update_conflicts=True,
                unique_fields=["query", "kind", "slot"],
                update_fields=["name", "data", "created"],
            )
        except DatabaseError as error:
            logger.warning("What was derived from a query could not be kept: %s", error)

    def find(self, query: Query, kind: QueryMemo.Kind, name: str) -> bytes | None:
        """What was kept under a name, if it still is: one query."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        kept = self.filter(query=query, kind=kind, slot=int(digest[:2], 16), name=digest)
        data = kept.exclude(created__lte=timezone.now() - MEMORY).values_list("data", flat=True).first()
        return None if data is None else bytes(data)

    def expired(self) -> QueryMemoQuerySet:
        return self.filter(created__lte=timezone.now() - MEMORY)


class QueryMemo(models.Model):
    """What was derived from a query and is kept for an hour: rankings, boxes, how near the nearest photo is.

    It is deleted with the query's picture. A query has 256 slots of each kind, more than a shopper makes of one
    picture: a memo takes the place of the one in its slot, so that nobody fills the database.
    """

    class Kind(models.TextChoices):
        RANKING = "ranking"
        BOX = "box"
        NEAREST = "nearest"

    query = models.ForeignKey(Query, models.CASCADE, related_name="memos")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=64, help_text="SHA-256 of what it is called")
    data = models.BinaryField()
    created = models.DateTimeField(default=timezone.now, db_index=True)

    objects: ClassVar[QueryMemoQuerySet] = QueryMemoQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["query", "kind", "slot"], name="memo_once_per_slot")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.query_id}"


class ThrottleWindow(models.Model):
    """What one client has used of its searches, until its window ends (`search.web.throttling`)."""

    #: an address or a network
    client = models.CharField(max_length=50, primary_key=True)
    used = models.PositiveIntegerField()
    #: seconds since the epoch
    ends = models.FloatField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.client}: {self.used}"
