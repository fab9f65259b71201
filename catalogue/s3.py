"""Clients of S3, and its errors as sentences for staff. Imported only where a bucket is configured."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore import UNSIGNED
from botocore import exceptions as botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.utils.translation import gettext as _

from catalogue.files import StorageRefused, StorageUnavailable

logger = logging.getLogger(__name__)

_NO_CREDENTIALS = (
    botocore.NoCredentialsError,
    botocore.PartialCredentialsError,
    botocore.CredentialRetrievalError,
    botocore.ProfileNotFound,
    botocore.SSOError,
    botocore.TokenRetrievalError,
    botocore.NoAuthTokenError,
)
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
_ELSEWHERE = frozenset(
    {
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


def config(*, signed: bool = True) -> Config:
    """Timeouts, three attempts, and settings that every S3-compatible store understands."""
    return Config(
        s3={"addressing_style": settings.AWS_S3_ADDRESSING_STYLE},
        signature_version="s3v4" if signed else UNSIGNED,
        connect_timeout=5,
        read_timeout=15,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def client(endpoint: str | None = None, *, signed: bool = True) -> Any:
    """A thread-safe client of S3. Raises StorageUnavailable."""
    with explained(""):
        return boto3.Session().client(
            "s3",
            region_name=settings.AWS_S3_REGION_NAME,
            endpoint_url=endpoint or settings.AWS_S3_ENDPOINT_URL,
            config=config(signed=signed),
        )


@contextmanager
def explained(bucket: str, name: str = "") -> Iterator[None]:
    """Turn boto3's errors into FileNotFoundError, StorageRefused or StorageUnavailable, with a sentence for staff."""
    try:
        yield
    except ClientError as error:
        raise client_error(error, bucket, name) from error
    except Boto3Error as error:  # wraps S3's own error of an upload
        cause = error.__cause__ or error.__context__
        raise (
            client_error(cause, bucket, name) if isinstance(cause, ClientError) else _connection_error(error)
        ) from error
    except BotoCoreError as error:
        raise _connection_error(error) from error


def client_error(error: ClientError, bucket: str, name: str) -> OSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    values = {"bucket": bucket, "code": code or status}
    if code == "NoSuchBucket":
        return StorageUnavailable(
            _("The bucket %(bucket)s does not exist. Create it, or name another in AWS_STORAGE_BUCKET_NAME.") % values
        )
    if code in _MISSING:
        return FileNotFoundError(name)
    if (sentence := _file_message(code, status)) is not None:
        return StorageRefused(sentence % values)
    if code in _BAD_CREDENTIALS:
        return StorageUnavailable(_("S3 does not accept these credentials (%(code)s). Renew them.") % values)
    # The answer to a HEAD has no body, so its status is all there is.
    if code in _ELSEWHERE or (status == 400 and code == "400"):  # noqa: PLR2004
        return StorageUnavailable(
            _("The bucket %(bucket)s is in another region (%(code)s). Set AWS_S3_REGION_NAME to that.") % values
        )
    return StorageUnavailable(
        _("S3 cannot do this now (%(code)s). It is tried again. If it keeps failing, check the status of S3.")
        % values
    )


def _file_message(code: str, status: int) -> str | None:
    """The message for an error of this one file; None if it concerns the whole bucket."""
    if code in _DENIED:
        return _(
            "The bucket %(bucket)s does not allow this with these credentials. They need s3:GetObject, "
            "s3:PutObject and s3:DeleteObject of its objects, and s3:ListBucket."
        )
    if code == "InvalidObjectState":
        return _("This file is in an archive of the bucket %(bucket)s. Restore it there: it cannot be read before.")
    # A disabled or forbidden key. An unavailable key service is treated like an unavailable S3.
    if code.startswith("KMS.") and status < 500 and "Throttling" not in code:  # noqa: PLR2004
        return _(
            "The key that encrypts this file of the bucket %(bucket)s cannot be used (%(code)s). Enable it, and let "
            "these credentials use it: kms:Decrypt and kms:GenerateDataKey."
        )
    return None


def _connection_error(error: Exception) -> StorageUnavailable:
    if isinstance(error, _NO_CREDENTIALS):
        return StorageUnavailable(
            _(
                "There are no credentials for S3. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the "
                "machine a role."
            )
        )
    if isinstance(error, botocore.NoRegionError):
        return StorageUnavailable(_("No region is known for S3. Set AWS_S3_REGION_NAME."))
    logger.warning("S3 could not be reached: %s", error)
    return StorageUnavailable(_("S3 does not answer. Check the network, and AWS_S3_ENDPOINT_URL if it is set."))
