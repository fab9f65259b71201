"""One endpoint of SageMaker, called through boto3: invocations with time-outs and retries, errors as sentences.

boto3's own retries are off. They do not retry what a model answers (ModelError, and the 429 of a model that is not
ready), and they know neither how many pictures wait nor for how long.
"""

from __future__ import annotations

import math
import re
import time
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from django.utils.translation import gettext as _

from resilience.perprocess import PerProcess
from resilience.retries import retrying
from search.exceptions import EmbedderError, EmbedderUnavailable

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError
    from tenacity import RetryCallState

_CONNECTIONS = 64
"""Kept open at the most, by a client; as many as threads ask at one time are opened."""

_QUOTED = 200
"""Characters of an endpoint's message that staff see."""

_SHARES = 4
"""Time-outs are rounded to as many parts of the longest, for each needs a client, and connections, of its own."""

_SLACK = 0.05
"""How much of the longest time-out may be missing until it is rounded down."""

_REFUSED = frozenset({400, 413, 415, 422})
"""Statuses with which a model says that the request is at fault, and so perhaps a picture in it."""

_MEANT = re.compile(r"(?:400|413|415): (?=\S)")
"""How `modelarchive.inference` begins its refusals, which AWS's container answers with 500."""

_TOO_LARGE = 413
_BUSY = 429
_SERVER_ERROR = 500

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"})
_AWAY = _THROTTLED | frozenset(
    {"InternalDependencyException", "InternalFailure", "ModelNotReadyException", "ServiceUnavailable"}
)


class ModelRefused(EmbedderError):
    """The model says that something is wrong with the request; `said` is its own message."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


class ModelFailed(EmbedderUnavailable):
    """The model fails, by itself or because of the request; `said` is its own message.

    TensorFlow Serving says no more of a picture that it cannot decode.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True)
class Patience:
    """How long an answer is waited for."""

    #: seconds in which the endpoint has to send something, at the most
    timeout: float
    #: when all is over, tries and the pauses between them, by `time.monotonic`
    until: float
    attempts: int
    #: tries where the model itself fails
    model_attempts: int

    def left(self, pause: float = 0.0) -> float:
        """The time-out of a try that begins after so many seconds; 0 where none is worth while any more."""
        left = self.until - time.monotonic() - pause
        shares = min(_SHARES, math.floor(_SHARES * (left / self.timeout + _SLACK)))
        return self.timeout * max(0, shares) / _SHARES

    def is_over(self, state: RetryCallState) -> bool:
        """Tell tenacity to stop after a failed try."""
        error = state.outcome.exception() if state.outcome else None
        attempts = self.model_attempts if isinstance(error, ModelFailed) else self.attempts
        return state.attempt_number >= attempts or not self.left(state.upcoming_sleep)


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, EmbedderUnavailable)


class Runtime:
    """Calls one endpoint. One instance serves all threads, and after a fork each process has its own connections."""

    def __init__(self, endpoint: str, *, region: str | None, connect_timeout: float, backoff: float) -> None:
        self.endpoint = endpoint
        self.region = region
        self.connect_timeout = connect_timeout
        self.backoff = backoff
        self._clients = PerProcess(lambda: lru_cache(_SHARES)(self._connect))

    def invoke(self, body: bytes, patience: Patience, *, manifest: bool = False) -> bytes:
        """Send a request and return the answer's body; `manifest` asks for the model's manifest with it.

        Retries with exponential backoff and full jitter while the endpoint is unavailable, busy or failing, as long
        as `patience` lasts: an attempt has no more time than is left. Raises ModelRefused, ModelFailed,
        EmbedderUnavailable and, if the configuration has to be changed, EmbedderError.
        """
        return retrying(_is_unavailable, stop=patience.is_over, first_pause=2 * self.backoff)(
            self._once, body, patience, manifest=manifest
        )

    def _once(self, body: bytes, patience: Patience, *, manifest: bool) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        timeout = patience.left()
        if not timeout:
            raise self._away(_("no time is left to ask it"))
        attributes = {"CustomAttributes": "manifest=true"} if manifest else {}
        try:
            response = self._client(timeout).invoke_endpoint(
                EndpointName=self.endpoint,
                ContentType="application/json",
                Accept="application/json",
                Body=body,
                **attributes,
            )
            with closing(response["Body"]) as answer:
                data: bytes = answer.read()
        except ClientError as error:
            raise self._answered(error) from error
        except BotoCoreError as error:
            raise self._unanswered(error) from error
        return data

    # The client ---------------------------------------------------------------------------------------------

    def _client(self, timeout: float) -> Any:
        try:
            return self._clients.get()(timeout)
        except ValueError as error:  # boto3 raises it for an invalid endpoint URL
            raise self._misconfigured(error) from error

    def _connect(self, timeout: float) -> Any:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import NoRegionError

        session = boto3.session.Session()  # the default session is not made for threads
        region = self.region or session.region_name
        config = Config(
            connect_timeout=self.connect_timeout,
            read_timeout=timeout,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )

        def client(**options: Any) -> Any:
            # Only a signature needs the true region.
            merged = config.merge(Config(**options))
            return session.client("sagemaker-runtime", region_name=region or "us-east-1", config=merged)

        asked, amazons = client(), client(signature_version=UNSIGNED, ignore_configured_endpoint_urls=True)
        if asked.meta.endpoint_url == amazons.meta.endpoint_url:
            if region is None:
                raise NoRegionError
            return asked
        # Your own server, by AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME, needs no AWS account.
        return asked if session.get_credentials() else client(signature_version=UNSIGNED)

    # Errors as sentences ------------------------------------------------------------------------------------

    def _answered(self, error: ClientError) -> EmbedderError:
        """An error answer of SageMaker, or of the server in its place, as an exception of ours."""
        response = error.response
        code = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = _shortened(response.get("Error", {}).get("Message") or code)
        if code == "ModelError":
            return self._from_model(response, said)
        if code in _CREDENTIALS:
            return EmbedderError(
                _("The credentials for the endpoint %(endpoint)s are invalid or expired: %(reason)s. Renew them.")
                % self._because(said)
            )
        if code in _DENIED:
            return EmbedderError(
                _(
                    "These credentials may not call the endpoint %(endpoint)s: %(reason)s. Allow them "
                    "sagemaker:InvokeEndpoint on it."
                )
                % self._because(said)
            )
        if code in _AWAY or status == _BUSY or status >= _SERVER_ERROR:
            return self._away(said)
        if status == _TOO_LARGE:
            return EmbedderError(
                _(
                    "The request is too large for the endpoint %(endpoint)s: %(reason)s. Set SAGEMAKER_REQUEST_BYTES "
                    "to what it takes, 4194304 for a serverless one."
                )
                % self._because(said)
            )
        return EmbedderError(
            _(
                "The endpoint %(endpoint)s cannot be called: %(reason)s. Check that SAGEMAKER_ENDPOINT_NAME and "
                "the region are those of an endpoint in service."
            )
            % self._because(said)
        )

    def _from_model(self, response: Any, said: str) -> EmbedderError:
        original = int(response.get("OriginalStatusCode") or _SERVER_ERROR)
        said = _shortened(_unwrapped(response.get("OriginalMessage")) or said)
        meant = _MEANT.match(said) if original == _SERVER_ERROR else None
        if original in _REFUSED or meant:
            said = said[meant.end() :] if meant else said
            sentence = _("The model on the endpoint %(endpoint)s rejects the request: %(reason)s.")
            return ModelRefused(sentence % self._because(said), said)
        if original in {_BUSY, 503}:
            return self._away(said)
        sentence = _("The model on the endpoint %(endpoint)s fails: %(reason)s.")
        if original >= _SERVER_ERROR:
            return ModelFailed(sentence % self._because(said), said)
        return EmbedderError(sentence % self._because(said))

    def _unanswered(self, error: BotoCoreError) -> EmbedderError:
        """A failure to send a request or to receive its answer, as an exception of ours."""
        from botocore import exceptions

        if isinstance(
            error, (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError)
        ):
            return self._away(str(error))
        if isinstance(error, exceptions.NoRegionError):
            return EmbedderError(
                _("The region of the endpoint %(endpoint)s is not known: set AWS_DEFAULT_REGION, as in eu-west-1.")
                % {"endpoint": self.endpoint}
            )
        if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
            return EmbedderError(
                _(
                    "No credentials for the endpoint %(endpoint)s were found. Set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role; they have to allow "
                    "sagemaker:InvokeEndpoint."
                )
                % {"endpoint": self.endpoint}
            )
        return self._misconfigured(error)

    def _misconfigured(self, error: Exception) -> EmbedderError:
        sentence = _("The endpoint %(endpoint)s cannot be called with this AWS configuration: %(reason)s.")
        return EmbedderError(sentence % self._because(str(error)))

    def _away(self, reason: str) -> EmbedderUnavailable:
        sentence = _("The endpoint %(endpoint)s does not answer now: %(reason)s.")
        return EmbedderUnavailable(sentence % self._because(reason))

    def _because(self, reason: str) -> dict[str, str]:
        return {"endpoint": self.endpoint, "reason": _shortened(reason).rstrip(".")}


def _unwrapped(message: object) -> str:
    """A model's message: plain text, or the member "error" of JSON as TensorFlow Serving's container sends."""
    text = message if isinstance(message, str) else ""
    try:
        error = orjson.loads(text)["error"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return text
    return error if isinstance(error, str) else text


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
