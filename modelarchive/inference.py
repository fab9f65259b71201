"""What SageMaker's TensorFlow Serving container calls before and after the model; the server takes the same requests.

`endpoint.export` copies this file into packages as code/inference.py, beside code/manifest.json. There it stands
alone, so it imports nothing but the standard library, and nothing newer than Python 3.8 has.

A request is one image (`application/x-image`) or several (`application/json`, {"instances": [{"b64": "..."}]}). The
answer is {"predictions": [[...], ...], "model": FINGERPRINT}, one row per image in their order, not of unit length;
with the custom attribute `manifest` (as in CustomAttributes="manifest=true") it has the model's "manifest" too.

The container makes HTTP 500 and {"error": text} of every exception, so the text begins with the status that is meant.
"""

from __future__ import annotations

import base64
import json
import math
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_BYTES = 6_291_456
"""The longest body: what SageMaker lets through to a real-time endpoint."""

IMAGES = 64
"""The most images of one request: about what fits into BODY_BYTES at 224 pixels, as PNG."""

IMAGE = "application/x-image"
JSON = "application/json"

_SHAPE = '{"instances": [{"b64": "..."}]}'


class Refused(ValueError):
    """A request that cannot be answered: a status (400, 413, 415) and a sentence for the client."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.status}: {self.sentence}"


def input_handler(data: Any, context: Any) -> str:
    """A request's stream -> the body for TensorFlow Serving's REST API. Raises Refused."""
    if context.content_length and int(context.content_length) > BODY_BYTES:
        raise too_large(BODY_BYTES)
    body = data.read(BODY_BYTES + 1)
    if len(body) > BODY_BYTES:
        raise too_large(BODY_BYTES)
    images = pictures(body, context.request_content_type)
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode("ascii")} for image in images]})


def output_handler(response: Any, context: Any) -> tuple[str, str]:
    """TensorFlow Serving's answer -> the endpoint's answer and its content type.

    Raises Refused where TensorFlow Serving refuses the images, RuntimeError where it fails or answers no rows.
    """
    if response.status_code != HTTPStatus.OK:
        reason = _error(response.content)
        if response.status_code == HTTPStatus.BAD_REQUEST:
            raise Refused(400, f"The model cannot read an image of this request: {reason}")
        raise RuntimeError(f"TensorFlow Serving answered {response.status_code}: {reason}")
    answer = {"predictions": _rows(response.content, manifest()["dimensions"]), "model": manifest()["fingerprint"]}
    if wants_manifest(context.custom_attributes):
        answer["manifest"] = manifest()
    return json.dumps(answer), JSON


def pictures(body: bytes, content_type: str | None) -> list[bytes]:
    """The encoded images of a request's body: at least one, at most IMAGES, none empty. Raises Refused."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in {IMAGE, JSON}:
        named = f"not {kind}" if kind else "and this request names none"
        raise Refused(415, f"The content type has to be {IMAGE} (one image) or {JSON} ({_SHAPE}), {named}.")
    if not body:
        raise Refused(400, "The body is empty: send an image.")
    if kind == IMAGE:
        return [body]
    instances = _instances(body)
    if len(instances) > IMAGES:
        raise Refused(413, f"These are {len(instances)} images; at most {IMAGES} fit into one request. Send fewer.")
    return [_picture(instance, index) for index, instance in enumerate(instances)]


def wants_manifest(custom_attributes: str | None) -> bool:
    """Whether the custom attributes (name=value, or a name alone, separated by commas) ask for the manifest."""
    for attribute in (custom_attributes or "").split(","):
        name, _, value = attribute.partition("=")
        if name.strip().lower() == "manifest":
            return value.strip().lower() not in {"false", "0", "no"}
    return False


def too_large(limit: int) -> Refused:
    """The refusal of a body of more than `limit` bytes."""
    return Refused(413, f"The body is larger than {limit:,} bytes. Send fewer or smaller images.")


@lru_cache(maxsize=1)
def manifest() -> Mapping[str, Any]:
    """The package's manifest, read from beside this file."""
    values: Mapping[str, Any] = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="utf-8"))
    return values


def _instances(body: bytes) -> list[Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body is not JSON: {error}. Send {_SHAPE}.") from error
    if not isinstance(request, dict) or set(request) != {"instances"}:
        raise Refused(400, f"The body has to be an object with “instances” and nothing else: {_SHAPE}.")
    instances = request["instances"]
    if not isinstance(instances, list) or not instances:
        raise Refused(400, f"“instances” has to be a list of at least one image: {_SHAPE}.")
    return instances


def _picture(instance: object, index: int) -> bytes:
    text = instance.get("b64") if isinstance(instance, dict) and len(instance) == 1 else None
    if not isinstance(text, str):
        raise Refused(400, f'instances[{index}] has to be {{"b64": "..."}}, an image in base64.')
    try:
        picture = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(400, f"instances[{index}] is not valid base64: {error}.") from error
    if not picture:
        raise Refused(400, f"instances[{index}] is empty.")
    return picture


def _rows(content: bytes, dimensions: int) -> list[list[float]]:
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise RuntimeError(f"TensorFlow Serving did not answer with JSON: {error}") from error
    rows = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not rows:
        raise RuntimeError("TensorFlow Serving answered without predictions.")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != dimensions:
            raise RuntimeError(f"TensorFlow Serving's row {index} does not have the model's {dimensions} numbers.")
        if not all(type(number) in {int, float} and math.isfinite(number) for number in row):
            raise RuntimeError(f"TensorFlow Serving's row {index} has a value that is not a finite number.")
    return rows


def _error(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, TypeError, KeyError):
        return content[:500].decode("utf-8", "replace")
