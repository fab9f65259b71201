"""Photos in an S3 bucket, `s3://bucket/folder`, read like a folder of photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from catalogue.files import StorageError, StorageRefused
from catalogue.images import Limits
from catalogue.importers import layout
from catalogue.importers.records import ProductRecord, Reject, Source, SourceRefused, UnreadablePhoto

SCHEME = "s3://"


class ObjectsSource(Source):
    """The objects below a prefix, sorted by key, with one page of a thousand names in memory at a time."""

    far = True

    def __init__(self, address: str) -> None:
        """Raises `SourceRefused` if the bucket cannot be listed or has no objects there."""
        from catalogue.s3 import client

        self.bucket, _slash, prefix = address.removeprefix(SCHEME).partition("/")
        self.prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        if not self.bucket:
            raise SourceRefused(f"{address} names no bucket. Write it as in s3://bucket/folder.")
        self.client = client()
        try:
            self.total = sum(1 for _object in self._objects())
        except (StorageError, FileNotFoundError) as error:
            self.close()
            raise SourceRefused(str(error)) from error
        if not self.total:
            self.close()
            raise SourceRefused(f"There is nothing at {address}. Check the bucket and the folder.")

    def __iter__(self) -> Iterator[ProductRecord | Reject]:
        for key, size in self._objects():
            parts = tuple(key.removeprefix(self.prefix).split("/"))
            yield layout.record(parts, ObjectPhoto(self.client, self.bucket, key, size))

    def close(self) -> None:
        self.client.close()

    def _objects(self) -> Iterator[tuple[str, int]]:
        """Keys and sizes in bytes, without hidden files."""
        from catalogue.s3 import explained

        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        with explained(self.bucket):
            for page in pages:
                for entry in page.get("Contents", ()):
                    names = entry["Key"].removeprefix(self.prefix).split("/")
                    # A key that ends with a slash is an empty folder in consoles.
                    if all(names) and not any(map(layout.hidden, names)):
                        yield entry["Key"], entry["Size"]


@dataclass(frozen=True, slots=True)
class ObjectPhoto:
    """A photo in a bucket."""

    client: Any
    bucket: str
    name: str
    """Its key."""
    size: int

    def read(self) -> bytes:
        """Raises `StorageUnavailable`, which stops the import, if the whole bucket is unavailable."""
        from catalogue.s3 import explained

        limits = Limits.from_settings()
        limits.check_bytes(self.size)
        try:
            with explained(self.bucket, self.name):
                body = self.client.get_object(Bucket=self.bucket, Key=self.name)["Body"]
                data = bytes(body.read(limits.max_bytes + 1))
                body.close()
        except FileNotFoundError as error:
            raise UnreadablePhoto(
                _("This photo is no longer in the bucket. Put it back, or import again.")
            ) from error
        except StorageRefused as error:
            raise UnreadablePhoto(str(error)) from error
        limits.check_bytes(len(data))
        return data
