"""The server's error answers, in its own form and in that of SageMaker's runtime.

| fault | /invocations | /endpoints/NAME/invocations, and what boto3 makes of it |
|---|---|---|
| Refused: no image, too many, another type | 400, 413, 415 | 424 ModelError, with the former as OriginalStatusCode |
| ModelFailed | 500 | 424 ModelError, 500 |
| BodyTooLarge | 413 | 413, which has no name there either |
| Overloaded, TooSlow, Stopping | 503 | 503 ServiceUnavailable |
| NotReady: the model is being loaded | 503 | 429 ModelNotReadyException |
| InternalFailure | 500 | 500 InternalFailure |
| UnknownEndpoint | | 400 ValidationError |

The former are {"error": sentence}, as the TensorFlow Serving container's are; a ModelError has that text as its
OriginalMessage.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import ClassVar

from starlette.responses import JSONResponse

from modelarchive import inference

ACCOUNT = "000000000000"
"""Stands where the runtime names an account and its region's log."""

RETRY_AFTER = "1"
"""Seconds until a retry makes sense: a few batches."""


class Fault(Exception):
    """A request that gets no rows; a sentence for the client."""

    #: on /invocations
    status: int
    #: what the runtime calls it: a shape of the service's model, or None
    error: ClassVar[str | None] = "ModelError"
    #: the runtime's own status
    runtime_status: ClassVar[int] = 424


class Refused(Fault):
    """What `inference.Refused` says."""

    def __init__(self, refused: inference.Refused) -> None:
        super().__init__(refused.sentence)
        self.status = refused.status


class ModelFailed(Fault):
    """The engine failed, or its answer was not numbers."""

    status = 500


class InternalFailure(Fault):
    """A mistake in the server; its log says more."""

    status = 500
    error = "InternalFailure"
    runtime_status = 500


class BodyTooLarge(Fault):
    """More bytes than one request may have."""

    status = 413
    error = None
    runtime_status = 413


class Unavailable(Fault):
    """The client may retry in a moment."""

    status = 503
    error = "ServiceUnavailable"
    runtime_status = 503


class Overloaded(Unavailable):
    """The limit of concurrent requests is reached."""


class TooSlow(Unavailable):
    """The request has waited for too long."""


class Stopping(Unavailable):
    """The server is shutting down."""


class NotReady(Unavailable):
    """The model is being loaded."""

    error = "ModelNotReadyException"
    runtime_status = 429


class UnknownEndpoint(Fault):
    """The runtime was asked for an endpoint of another name."""

    status = 400
    error = "ValidationError"
    runtime_status = 400


def plain(fault: Fault) -> JSONResponse:
    """The answer of /invocations."""
    return JSONResponse({"error": str(fault)}, fault.status, _retry(fault))


def runtime(fault: Fault, endpoint: str) -> JSONResponse:
    """The answer of the runtime, of which boto3 makes its exceptions."""
    sentence = str(fault)
    body: dict[str, str | int] = {"Message": sentence}
    headers = _retry(fault)
    if fault.error:
        headers["x-amzn-ErrorType"] = fault.error
    else:
        body = {"message": sentence}
    if fault.error == "ModelError":
        original = json.dumps({"error": sentence}, ensure_ascii=False)
        kind = "client" if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server"
        body = {
            "ErrorCode": f"{kind.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:local:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{endpoint}",
            "Message": f'Received {kind} error ({fault.status}) from primary with message "{original}".',
            "OriginalMessage": original,
            "OriginalStatusCode": fault.status,
        }
    return JSONResponse(body, fault.runtime_status, headers)


def _retry(fault: Fault) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER} if isinstance(fault, Unavailable) else {}
