"""Calls, made: AWS's clients, and its errors as sentences that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from endpoint.deployment import Call

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

#: bytes sent since the last time
Sent = Callable[[int], None]

_SENTENCES = {
    ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"): (
        "AWS does not allow that with these credentials: it needs {action}; docs/endpoint.md has the whole list."
    ),
    (
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ): "AWS does not accept these credentials: sign in again, or renew them.",
    ("LimitExceededException", "ResourceLimitExceeded"): (
        "A quota of this AWS account is used up: take fewer or other machines (--count, --instance-type), or ask for "
        "more under Service Quotas, Amazon SageMaker."
    ),
    ("Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"): (
        "AWS is asked too much just now: run the command again in a minute."
    ),
    ("NoSuchBucket", "PermanentRedirect", "301"): (
        "There is no such bucket in this region: make one where the endpoint is to be."
    ),
}
"""Codes of AWS's errors -> what to do."""

_ACTIONS = {"head_object": ("s3:GetObject", "s3:ListBucket"), "upload_file": ("s3:PutObject",)}


class AwsError(Exception):
    """AWS did not do what was asked; a sentence that says what to do."""


class NotFound(AwsError):
    """What was asked for is not there."""


class Aws:
    """AWS in one region, with the credentials that boto3 finds."""

    def __init__(self, region: str | None = None) -> None:
        """Makes no client yet. Raises AwsError where no region is known."""
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            self._session = boto3.Session(region_name=region)
        except BotoCoreError as error:  # a profile that is not there
            raise AwsError(f"{error}. Name a profile of ~/.aws/config in AWS_PROFILE, or none.") from error
        if self._session.region_name is None:
            raise AwsError("No region is set: give one with --region, or in AWS_DEFAULT_REGION.")
        self.region: str = self._session.region_name
        self._clients: dict[str, Any] = {}

    def do(self, call: Call, sent: Sent | None = None) -> dict[str, Any]:
        """Make a call and return its answer; `sent` hears of an upload's progress. Raises AwsError."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            more = {"Callback": sent} if call.operation == "upload_file" else {}
            return getattr(self._client(call.service), call.operation)(**call.parameters, **more) or {}
        except ClientError as error:
            raise _refused(call, error) from error
        except BotoCoreError as error:
            raise AwsError(_away(error)) from error
        except Boto3Error as error:  # what an upload raises, around AWS's own
            cause = error.__context__
            raise (_refused(call, cause) if isinstance(cause, ClientError) else AwsError(str(error))) from error

    def all(self, call: Call, key: str) -> Iterator[dict[str, Any]]:
        """What a call lists under `key`, page after page. Raises AwsError."""
        answer = self.do(call)
        yield from answer[key]
        while token := answer.get("NextToken"):
            answer = self.do(Call(call.service, call.operation, call.parameters | {"NextToken": token}))
            yield from answer[key]

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            retries = Config(retries={"mode": "standard", "total_max_attempts": 5})
            self._clients[service] = self._session.client(service, config=retries)
        return self._clients[service]


def actions(call: Call) -> tuple[str, ...]:
    """What has to be allowed for a call, as IAM names it; without ListBucket, S3 denies what is merely absent."""
    name = "".join(part.title() for part in call.operation.split("_"))
    return _ACTIONS.get(call.operation, (f"{call.service}:{name}",))


def _refused(call: Call, error: ClientError) -> AwsError:
    code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code == "404" or "could not find" in said.lower() or code == "ObjectNotFoundException":
        return NotFound(said)
    action = " and ".join(actions(call))
    for codes, sentence in _SENTENCES.items():
        if code in codes:
            return AwsError(f"{sentence.format(action=action)} AWS says: {said or code}")
    return AwsError(f"AWS refused {action}: {said or code}")


def _away(error: Exception) -> str:
    from botocore import exceptions

    credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.SSOError,
        exceptions.LoginError,
        exceptions.TokenRetrievalError,
        exceptions.NoAuthTokenError,
    )
    if isinstance(error, credentials):
        return (
            "There are no credentials for AWS: sign in (“aws login”, “aws sso login”), or set AWS_PROFILE, or "
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. ({error})"
        )
    if isinstance(error, exceptions.ParamValidationError):
        return f"A value has a form that AWS does not take. {error}"
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return f"AWS could not be reached; look at the network and --region, and run the command again. ({error})"
    return str(error)
