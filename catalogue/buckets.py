"""Files in an S3 bucket: photos that browsers fetch from there by signed addresses, and files for the site alone.

The bucket is private. An address of a photo is signed here, without asking S3, and the same for a while, so that
browsers can keep what they have; renditions may be served by CloudFront instead. Names are of contents and never
written twice. What goes wrong is one of the errors of `files`.

Imported only where a bucket is configured.
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
from catalogue.s3 import client, config, explained, refused
from resilience.breaker import Breaker

logger = logging.getLogger(__name__)

RENDITIONS = "thumbnails/"
"""What CloudFront may serve: the folder of all renditions, and of nothing else."""

MOST_ADDRESSES = 20_000
"""Signed addresses that a process remembers, half a kilobyte each."""

MOST_DELETED = 1_000
"""Files that S3 deletes with one request."""

LOOK_AGAIN = 10.0
"""Seconds until credentials are looked for once more: a machine without a role takes seconds to say so."""

KEPT_YEAR = "max-age=31536000, immutable"
"""Names are made from contents."""

SHARED_DAY = "s-maxage=86400"
"""CloudFront asks S3 again after a day, whether the file is still there."""


class _Bucket(S3Storage):  # type: ignore[misc]
    """django-storages' with one client for all threads, one request for each file, and errors in sentences."""

    cache_control = ""

    def __init__(self, **options: Any) -> None:
        # Above the largest file: an upload in parts is several requests, and asks for a right of its own to be ended.
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


def _began(seconds: int) -> int:
    """When the period began that it is now, in seconds since 1970. An address is good for `seconds` from then, and
    given out for half of them: what a page names is good for the other half."""
    period = seconds // 2
    return int(time.time()) // period * period


class _PeriodAuth(S3SigV4QueryAuth):  # type: ignore[misc]
    """botocore's signature of an address, made when the period began: at any moment, and in any process, the same."""

    def _modify_request_before_signing(self, request: Any) -> None:
        began = datetime.fromtimestamp(_began(self._expires), UTC)
        request.context["timestamp"] = began.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


AUTH_TYPE_MAPS["s3v4-period-query"] = _PeriodAuth


def _of_a_period(signature_version: Any, **rest: Any) -> str | None:
    return "s3v4-period-query" if signature_version == "s3v4-query" else None


class PhotoBucket(_Bucket):
    """Photos and their renditions: each name is new, and has an address for browsers.

    cloudfront_domain: serves the renditions. Originals are only ever given out by addresses that S3 has to check.
    public_endpoint_url: S3 as browsers reach it, where the site reaches it by another address.
    """

    def __init__(
        self, *, cloudfront_domain: str = "", public_endpoint_url: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.cloudfront_domain = cloudfront_domain
        self.public_endpoint_url = public_endpoint_url
        self._addresses = lru_cache(MOST_ADDRESSES)(self._address)
        self._credentials = Breaker(LOOK_AGAIN)

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        rendition = name.startswith(posixpath.join(self.location, RENDITIONS))
        return super().get_object_parameters(name) | {
            "CacheControl": f"public, {SHARED_DAY}, {KEPT_YEAR}" if rendition else f"private, {KEPT_YEAR}"
        }

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """A name of its own, without asking whether another is free: that would be a request more, and a race."""
        root, extension = posixpath.splitext(name)
        return str(self.get_alternative_name(root, extension))

    def delete_many(self, names: Iterable[str]) -> dict[str, OSError]:
        """Delete files, many with one request. Those that are left, with why; one that is missing is no error."""
        keys = {self._normalize_name(clean_name(name)): name for name in names}
        left: dict[str, OSError] = {}
        listed = list(keys)
        for start in range(0, len(listed), MOST_DELETED):
            objects = [{"Key": key} for key in listed[start : start + MOST_DELETED]]
            try:
                with explained(self.bucket_name):
                    answer = self.connection.meta.client.delete_objects(
                        Bucket=self.bucket_name, Delete={"Objects": objects, "Quiet": True}
                    )
            except OSError as error:  # whatever refuses all of them is not asked for the rest
                return left | {keys[key]: error for key in listed[start:]}
            for fault in answer.get("Errors", ()):
                name = keys[fault["Key"]]
                refusal = refused(ClientError({"Error": fault}, "DeleteObjects"), self.bucket_name, name)
                if not isinstance(refusal, FileNotFoundError):
                    left[name] = refusal
        return left

    def url(self, name: str, parameters: Any = None, expire: Any = None, http_method: Any = None) -> str:
        """Where a browser finds a file. No request is made. Without credentials it is an address that S3 refuses:
        a page without pictures is better than none."""
        name = clean_name(name)
        key = self._normalize_name(name)
        if self.cloudfront_domain and name.startswith(RENDITIONS):
            return f"https://{self.cloudfront_domain}/{filepath_to_uri(key)}"
        return str(self._addresses(key, _began(self.querystring_expire), self._access_key()))

    def _address(self, key: str, began: int, access_key: str) -> str:
        """`access_key` is part of what is remembered: a role's credentials end, and what they signed with them."""
        chosen = self._signer if access_key else self._unsigned
        return str(
            chosen.generate_presigned_url(
                "get_object", {"Bucket": self.bucket_name, "Key": key}, ExpiresIn=self.querystring_expire
            )
        )

    def _access_key(self) -> str:
        """Of the credentials that sign; empty where there are none, which is not looked into for each photo."""
        if self._credentials.refusal():
            return ""
        try:
            with explained(self.bucket_name):
                if (found := self._session.get_credentials()) is None:
                    raise botocore.NoCredentialsError
                return str(found.get_frozen_credentials().access_key)
        except StorageUnavailable as error:
            logger.warning("Photos cannot be shown: %s", error)
            self._credentials.open(str(error))
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
        """Where browsers fetch files from."""
        parts = urlsplit(self._address("a", 0, ""))
        found = [f"{parts.scheme}://{parts.netloc}"]
        return [*found, f"https://{self.cloudfront_domain}"] if self.cloudfront_domain else found


class PrivateBucket(_Bucket):
    """Files that the site alone gives out: shoppers' pictures. They have no address, and nobody keeps them."""

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
