"""Storages in an S3 bucket: photos that browsers fetch by signed URLs, and files that only the site reads.

The bucket is private. URLs of photos are signed here, without a request to S3, and stay the same for a while, so that
browsers can cache them. CloudFront may serve the renditions. Names are made from contents and never written twice.
Errors are those of `files`. Imported only where a bucket is configured.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import exceptions as botocore
from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.utils.encoding import filepath_to_uri
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from catalogue.files import CONTENT_TYPES, StorageUnavailable
from catalogue.s3 import client, client_error, config, explained
from resilience.breaker import Breaker

logger = logging.getLogger(__name__)

RENDITIONS = "thumbnails/"
"""The folder that CloudFront may serve: it holds renditions only."""

MAX_ADDRESSES = 20_000
"""Signed URLs that a process caches, half a kilobyte each."""

MAX_DELETED = 1_000
"""Files that S3 deletes with one request."""

LOOK_AGAIN = 10.0
"""Seconds before looking for credentials again: on a machine without a role, that takes seconds."""

KEPT_YEAR = "max-age=31536000, immutable"
"""A name always has the same content."""

SHARED_DAY = "s-maxage=86400"
"""CloudFront checks once a day that the file still exists."""


class _Bucket(S3Storage):  # type: ignore[misc]
    """django-storages' S3 storage with one client for all threads, one request per file, and sentences as errors."""

    cache_control = ""

    def __init__(self, **options: Any) -> None:
        # Above the largest file: an upload in parts takes several requests and one more permission.
        transfer = TransferConfig(use_threads=False, multipart_threshold=settings.IMAGE_MAX_BYTES + 1)
        super().__init__(**options, transfer_config=transfer, client_config=config())
        self._lock = Lock()
        self._shared: Any = None

    @cached_property
    def _session(self) -> boto3.Session:
        with explained(self.bucket_name):
            session: boto3.Session = self._create_session()
            return session

    @property
    def connection(self) -> Any:
        with self._lock:
            if self._shared is None:
                with explained(self.bucket_name):
                    self._shared = self._session.resource(
                        "s3",
                        region_name=settings.AWS_S3_REGION_NAME,
                        endpoint_url=settings.AWS_S3_ENDPOINT_URL,
                        config=self.client_config,
                    )
            return self._shared

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        kind = CONTENT_TYPES.get(PurePosixPath(name).suffix, self.default_content_type)
        return {"ContentType": kind, "CacheControl": self.cache_control}

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode != "rb":
            with explained(self.bucket_name, name):
                return super()._open(name, mode)  # type: ignore[no-any-return]
        key = self._normalize_name(clean_name(name))
        with explained(self.bucket_name, name):
            answer = self.connection.meta.client.get_object(Bucket=self.bucket_name, Key=key)
            return ContentFile(answer["Body"].read(), name=name)

    def _save(self, name: str, content: File[Any]) -> str:
        with explained(self.bucket_name, name):
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        key = self._normalize_name(clean_name(name))
        with suppress(FileNotFoundError), explained(self.bucket_name, name):
            self.connection.meta.client.delete_object(Bucket=self.bucket_name, Key=key)

    def exists(self, name: str) -> bool:
        with explained(self.bucket_name, name):
            return bool(super().exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with explained(self.bucket_name, path):
            folders, names = super().listdir(path)
            return folders, names

    def size(self, name: str) -> int:
        with explained(self.bucket_name, name):
            return int(super().size(name))

    def get_modified_time(self, name: str) -> datetime:
        with explained(self.bucket_name, name):
            modified: datetime = super().get_modified_time(name)
            return modified


def _period_start(seconds: int) -> int:
    """The start of the current period, in seconds since 1970.

    A URL is valid for `seconds` from the start, and in use for half of that, so any page's URLs are valid for the
    other half at least.
    """
    period = seconds // 2
    return int(time.time()) // period * period


class _PeriodAuth(S3SigV4QueryAuth):  # type: ignore[misc]
    """botocore's signature of a URL, dated to the start of the period, so that all processes give the same URL."""

    def _modify_request_before_signing(self, request: Any) -> None:
        began = datetime.fromtimestamp(_period_start(self._expires), UTC)
        request.context["timestamp"] = began.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


AUTH_TYPE_MAPS["s3v4-period-query"] = _PeriodAuth


def _of_a_period(signature_version: Any, **rest: Any) -> str | None:
    return "s3v4-period-query" if signature_version == "s3v4-query" else None


class PhotoBucket(_Bucket):
    """Photos and their renditions, each under a new name, with URLs for browsers.

    cloudfront_domain: serves the renditions. Originals always have signed URLs.
    public_endpoint_url: S3's address for browsers, if the site uses another one.
    """

    def __init__(
        self, *, cloudfront_domain: str = "", public_endpoint_url: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.cloudfront_domain = cloudfront_domain
        self.public_endpoint_url = public_endpoint_url
        self._addresses = lru_cache(MAX_ADDRESSES)(self._address)
        self._credentials = Breaker(LOOK_AGAIN)

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        rendition = name.startswith(posixpath.join(self.location, RENDITIONS))
        return super().get_object_parameters(name) | {
            "CacheControl": f"public, {SHARED_DAY}, {KEPT_YEAR}" if rendition else f"private, {KEPT_YEAR}"
        }

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """A unique name. Asking whether the plain name is free would cost a request, and be a race."""
        root, extension = posixpath.splitext(name)
        return str(self.get_alternative_name(root, extension))

    def delete_many(self, names: Iterable[str]) -> dict[str, OSError]:
        """Delete files, many with one request. Returns those that could not be deleted; missing ones are no error."""
        keys = {self._normalize_name(clean_name(name)): name for name in names}
        left: dict[str, OSError] = {}
        listed = list(keys)
        for start in range(0, len(listed), MAX_DELETED):
            objects = [{"Key": key} for key in listed[start : start + MAX_DELETED]]
            try:
                with explained(self.bucket_name):
                    answer = self.connection.meta.client.delete_objects(
                        Bucket=self.bucket_name, Delete={"Objects": objects, "Quiet": True}
                    )
            except OSError as error:  # it would fail for the rest too
                return left | {keys[key]: error for key in listed[start:]}
            for fault in answer.get("Errors", ()):
                name = keys[fault["Key"]]
                refusal = client_error(ClientError({"Error": fault}, "DeleteObjects"), self.bucket_name, name)
                if not isinstance(refusal, FileNotFoundError):
                    left[name] = refusal
        return left

    def url(self, name: str, parameters: Any = None, expire: Any = None, http_method: Any = None) -> str:
        """A file's URL for browsers, made without a request. Without credentials it is unsigned, and S3 refuses it:
        a page without pictures is better than an error."""
        name = clean_name(name)
        key = self._normalize_name(name)
        if self.cloudfront_domain and name.startswith(RENDITIONS):
            return f"https://{self.cloudfront_domain}/{filepath_to_uri(key)}"
        return str(self._addresses(key, _period_start(self.querystring_expire), self._access_key()))

    def _address(self, key: str, began: int, access_key: str) -> str:
        """`access_key` is part of the cache's key: when a role's credentials expire, so do the URLs they signed."""
        chosen = self._signer if access_key else self._unsigned
        return str(
            chosen.generate_presigned_url(
                "get_object", {"Bucket": self.bucket_name, "Key": key}, ExpiresIn=self.querystring_expire
            )
        )

    def _access_key(self) -> str:
        """The access key that signs; empty without credentials, which is remembered for `LOOK_AGAIN` seconds."""
        if self._credentials.refusal():
            return ""
        try:
            with explained(self.bucket_name):
                if (found := self._session.get_credentials()) is None:
                    raise botocore.NoCredentialsError
                return str(found.get_frozen_credentials().access_key)
        except StorageUnavailable as error:
            logger.warning("Photos cannot be shown: %s", error)
            self._credentials.open(error)
            return ""

    @cached_property
    def _signer(self) -> Any:
        with explained(self.bucket_name):
            signer = self._session.client(
                "s3",
                region_name=settings.AWS_S3_REGION_NAME,
                endpoint_url=self.public_endpoint_url or settings.AWS_S3_ENDPOINT_URL,
                config=config(),
            )
        signer.meta.events.register_first("choose-signer.s3.GetObject", _of_a_period)
        return signer

    @cached_property
    def _unsigned(self) -> Any:
        return client(self.public_endpoint_url, signed=False)

    @cached_property
    def origins(self) -> list[str]:
        """The origins that browsers fetch files from."""
        parts = urlsplit(self._address("a", 0, ""))
        found = [f"{parts.scheme}://{parts.netloc}"]
        return [*found, f"https://{self.cloudfront_domain}"] if self.cloudfront_domain else found


class PrivateBucket(_Bucket):
    """Files that only the site serves: shoppers' pictures. They have no URL and are never cached."""

    cache_control = "private, no-store"

    def url(self, name: str, *args: Any, **kwargs: Any) -> str:
        raise ValueError("This file is not accessible via a URL.")


class UploadBucket(PrivateBucket):
    """Uploads to be imported, which may be large: they are read through a temporary file."""

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        with explained(self.bucket_name, name):
            file: File[Any] = S3Storage._open(self, name, mode)
            file.file  # noqa: B018 - downloads it, so that errors become sentences
            return file
