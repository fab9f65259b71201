"""A model on a SageMaker endpoint, or on a server with the same API: `python -m endpoint.server`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, get_args

import numpy as np
import orjson
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from modelarchive.manifest import Manifest, ManifestError
from resilience.breaker import Breaker
from resilience.perprocess import PerProcess
from search.exceptions import EmbedderError, EmbedderUnavailable, PicturesRejected
from search.vision import vectors
from search.vision.embedders import deadline
from search.vision.embedders.base import Embedder
from search.vision.embedders.discovery import Discovery
from search.vision.embedders.instances import Encoding, TooLarge, fitting, requests
from search.vision.embedders.runtime import ModelFailed, ModelRefused, Patience, Runtime
from search.vision.pictures import PREPROCESSING_VERSION

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""Of an endpoint, by the API of SageMaker."""

_GREY = 127
_SMALL = 32
"""Side of the grey square that is sent to ask which model the endpoint has."""


@dataclass
class _Answer:
    """Rows of some squares, float32 (n, dimensions) of unit length, and why some were rejected, by position."""

    rows: NDArray[np.float32]
    reasons: dict[int, str] = field(default_factory=dict)


class SageMakerEmbedder(Embedder):
    """A model package on an endpoint, which says which package it is.

    Its answers are JSON, `{"predictions": [[...], ...], "model": FINGERPRINT}`. An answer of another model than the
    known one is thrown away: the endpoint is being updated.

    endpoint: its name. AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME names your own server instead of Amazon's.
    region: None leaves it to boto3 (AWS_DEFAULT_REGION, the profile).
    request_bytes: the largest request; SageMaker takes 6 MB (6,291,456), a serverless endpoint 4 MB (4,194,304).
    concurrency: concurrent requests of one batch.
    connect_timeout: seconds for a connection.
    read_timeout: seconds for an answer; SageMaker gives a model 60.
    query_timeout: seconds for all calls of one request (`request_deadline`), retries included, and for asking which
        model it is.
    patience: seconds for a batch, tries included.
    attempts: calls in all, if the endpoint is unavailable, busy or failing.
    backoff: seconds; the pause before the second try is up to twice as long, and so on up to `retries.LONGEST_PAUSE`.
    encoding: of the pictures, without loss: "bmp" or "png", see `instances`.
    """

    remote = True

    def __init__(
        self,
        alias: str,
        *,
        endpoint: str,
        region: str | None = None,
        request_bytes: int = 6_291_456,
        concurrency: int = 4,
        connect_timeout: float = 2.0,
        read_timeout: float = 60.0,
        query_timeout: float = 10.0,
        patience: float = 60.0,
        attempts: int = 5,
        backoff: float = 0.2,
        encoding: Encoding = "bmp",
    ) -> None:
        super().__init__(alias)
        if encoding not in get_args(Encoding):
            raise ImproperlyConfigured(f"encoding is {encoding!r}, but has to be one of: bmp, png.")
        if request_bytes < 1 or concurrency < 1 or attempts < 1:
            raise ImproperlyConfigured("request_bytes, concurrency and attempts have to be at least 1.")
        if min(connect_timeout, read_timeout, query_timeout, patience) <= 0 or backoff < 0:
            raise ImproperlyConfigured("Time-outs and patience have to be more than 0 seconds, backoff at least 0.")
        self.endpoint = endpoint
        self.region = region
        self.request_bytes = request_bytes
        self.concurrency = concurrency
        self.read_timeout = read_timeout
        self.query_timeout = query_timeout
        self.patience = patience
        self.attempts = attempts
        self.encoding: Encoding = encoding
        self._runtime = Runtime(endpoint, region=region, connect_timeout=connect_timeout, backoff=backoff)
        self._breaker = Breaker()
        self._pool = PerProcess(lambda: ThreadPoolExecutor(concurrency, thread_name_prefix="endpoint"))
        self._discovery = Discovery(
            self._ask_manifest,
            attempts=attempts,
            key=f"sagemaker-manifest:{region or ''}:{endpoint}",
            replaced=self._mark_outdated,
        )

    def check(self) -> list[CheckMessage]:
        if _NAME.fullmatch(self.endpoint):
            return []
        hint = "Write 1 to 63 letters, digits and hyphens, with a letter or digit first and last, and not a URL."
        return [Error(f"{self.endpoint!r} is not an endpoint name.", hint=hint, id="search.vision.embedders.E002")]

    @property
    def fingerprint(self) -> str:
        return f"{self.manifest.fingerprint}-p{PREPROCESSING_VERSION}"

    @property
    def dimensions(self) -> int:
        return self.manifest.dimensions

    @property
    def size(self) -> int:
        return self.manifest.size

    @property
    def batch_size(self) -> int:
        return fitting(self.size, self.request_bytes) * self.concurrency

    # Which model it is --------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """See `Discovery.manifest`. Raises EmbedderError."""
        return self._discovery.manifest

    def refresh_manifest(self) -> None:
        self._discovery.refresh()

    def mark_stale(self) -> None:
        self._discovery.mark_stale()

    def _mark_outdated(self) -> None:
        self.outdated = True

    def _ask_manifest(self, attempts: int) -> Manifest:
        body = self._body(np.full((1, _SMALL, _SMALL, 3), _GREY, np.uint8))
        answer = self._parse(self._runtime.invoke(body, self._quickly(attempts), manifest=True))
        try:
            manifest = Manifest.from_dict(answer.get("manifest"))
        except ManifestError as error:
            raise EmbedderError(
                _(
                    "The endpoint %(endpoint)s does not say which model it has: %(reason)s Deploy a package that "
                    "“python -m endpoint.export” has made."
                )
                % {"endpoint": self.endpoint, "reason": error}
            ) from error
        self._rows(answer, 1, manifest)
        return manifest

    # Pictures -> rows ---------------------------------------------------------------------------------------

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        manifest = self.manifest
        answer = _Answer(np.zeros((len(squares), manifest.dimensions), np.float32))
        if deadline.since() is None:
            parts = self._parts(squares, self._patiently(), manifest)
        else:
            with self._breaker.guard(EmbedderUnavailable, self.query_timeout):
                parts = self._parts(squares, self._quickly(self.attempts), manifest)
        for start, part in parts:
            answer.rows[start : start + len(part.rows)] = part.rows
            answer.reasons |= {start + place: reason for place, reason in part.reasons.items()}
        if answer.reasons:
            raise PicturesRejected(answer.rows, answer.reasons)
        return answer.rows

    def _parts(self, squares: NDArray[np.uint8], patience: Patience, manifest: Manifest) -> list[tuple[int, _Answer]]:
        if len(squares) == 1:
            return [(0, self._embed_request(squares, self._body(squares), patience, manifest))]
        return self._embed_concurrently(squares, patience, manifest)

    def _embed_concurrently(
        self, squares: NDArray[np.uint8], patience: Patience, manifest: Manifest
    ) -> list[tuple[int, _Answer]]:
        """Send several requests concurrently; later ones are encoded while the first are on their way."""
        pool = self._pool.get()
        futures: list[tuple[int, Future[_Answer]]] = []
        try:
            for part, body in requests(
                squares, self.encoding, most_bytes=self.request_bytes, concurrency=self.concurrency
            ):
                futures.append(
                    (part.start, pool.submit(self._embed_request, squares[part], body, patience, manifest))
                )
            return [(start, future.result()) for start, future in futures]
        except TooLarge as error:
            raise self._too_large(error) from error
        finally:
            for _start, future in futures:
                future.cancel()

    def _embed_request(
        self, squares: NDArray[np.uint8], body: bytes, patience: Patience, manifest: Manifest
    ) -> _Answer:
        """The answer to one request; if the model rejects it, find out which pictures are to blame."""
        try:
            return _Answer(self._rows(self._parse(self._runtime.invoke(body, patience)), len(squares), manifest))
        except (ModelRefused, ModelFailed) as error:
            if len(squares) > 1:
                self._probe(patience, manifest)
            return self._bisect(squares, error, patience, manifest)

    def _bisect(
        self, squares: NDArray[np.uint8], error: ModelRefused | ModelFailed, patience: Patience, manifest: Manifest
    ) -> _Answer:
        """Embed squares that the model rejected together: halve them until the bad ones are alone."""
        if len(squares) == 1:
            # The model may have failed meanwhile, which is no picture's fault.
            self._probe(patience, manifest)
            reason = _("The model rejects this picture: %(reason)s.") % {"reason": error.said.rstrip(".")}
            return _Answer(np.zeros((1, manifest.dimensions), np.float32), {0: reason})
        answer = _Answer(np.zeros((len(squares), manifest.dimensions), np.float32))
        half = len(squares) // 2
        for start, part in ((0, squares[:half]), (half, squares[half:])):
            # Retry only before a single picture is blamed.
            model_attempts = 1 if len(part) > 1 else 2
            asked = replace(patience, model_attempts=model_attempts)
            try:
                rows = self._rows(self._parse(self._runtime.invoke(self._body(part), asked)), len(part), manifest)
                found = _Answer(rows)
            except (ModelRefused, ModelFailed) as again:
                found = self._bisect(part, again, patience, manifest)
            answer.rows[start : start + len(part)] = found.rows
            answer.reasons |= {start + place: reason for place, reason in found.reasons.items()}
        return answer

    def _probe(self, patience: Patience, manifest: Manifest) -> None:
        """Raise EmbedderUnavailable if the model rejects a grey square as well: then no picture is to blame.

        Other requests of the batch may keep the endpoint busy, so this retries like any request.
        """
        grey = np.full((1, manifest.size, manifest.size, 3), _GREY, np.uint8)
        try:
            asked = replace(patience, model_attempts=1)
            self._rows(self._parse(self._runtime.invoke(self._body(grey), asked)), 1, manifest)
        except (ModelRefused, EmbedderUnavailable) as error:
            raise EmbedderUnavailable(
                _("The endpoint %(endpoint)s rejects even a plain grey picture. %(reason)s")
                % {"endpoint": self.endpoint, "reason": error}
            ) from error

    def _body(self, squares: NDArray[np.uint8]) -> bytes:
        """One request with all of the squares."""
        try:
            [request] = requests(squares, self.encoding, most_bytes=self.request_bytes, concurrency=1)
        except TooLarge as error:
            raise self._too_large(error) from error
        return request.body

    def _too_large(self, error: TooLarge) -> EmbedderError:
        return EmbedderError(
            _("The endpoint %(endpoint)s cannot be called: %(reason)s Increase SAGEMAKER_REQUEST_BYTES.")
            % {"endpoint": self.endpoint, "reason": error}
        )

    # Answers ------------------------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._bad_answer(_("something that is not JSON")) from error
        if not isinstance(answer, dict):
            raise self._bad_answer(_("JSON that is not an object"))
        return answer

    def _rows(self, answer: dict[str, Any], n: int, manifest: Manifest) -> NDArray[np.float32]:
        """The n rows of an answer, normalised to unit length. Raises EmbedderError for anything else."""
        model = answer.get("model")
        if not isinstance(model, str) or not model:
            raise self._bad_answer(_("JSON without the model's fingerprint"))
        if model != manifest.fingerprint:
            self._discovery.forget()
            raise EmbedderError(
                _(
                    "The endpoint %(endpoint)s answers with the model %(model)s, not with %(expected)s as before. "
                    "While it is being updated, wait; if it is to keep this model, run “manage.py rebuild_index”."
                )
                % {"endpoint": self.endpoint, "model": model[:100], "expected": manifest.fingerprint}
            )
        try:
            rows = _numbers(answer.get("predictions"))
        except (ValueError, TypeError, OverflowError) as error:
            raise self._bad_answer(_("something other than rows of numbers")) from error
        if rows.shape != (n, manifest.dimensions):
            expected, got = f"({n}, {manifest.dimensions})", str(rows.shape)
            raise self._bad_answer(
                _("rows of the shape %(got)s, not %(expected)s") % {"got": got, "expected": expected}
            )
        if not (np.isfinite(rows).all() and rows.any(axis=1).all()):
            raise self._bad_answer(_("rows that are zero, infinite or not numbers"))
        return vectors.unit(rows)

    def _bad_answer(self, what: str) -> EmbedderError:
        sentence = _(
            "The endpoint %(endpoint)s answers with %(what)s. Check that “python -m endpoint.export” made its model "
            "package."
        )
        return EmbedderError(sentence % {"endpoint": self.endpoint, "what": what})

    # Time and threads ---------------------------------------------------------------------------------------

    def _quickly(self, attempts: int) -> Patience:
        began = deadline.since()
        until = (time.monotonic() if began is None else began) + self.query_timeout
        return Patience(self.query_timeout, until, attempts, attempts)

    def _patiently(self) -> Patience:
        timeout = min(self.read_timeout, self.patience)
        return Patience(timeout, time.monotonic() + self.patience, self.attempts, self.attempts)


def _numbers(rows: Iterable[Iterable[object]] | None) -> NDArray[np.float32]:
    """Lists of numbers as an array. Raises ValueError, TypeError and OverflowError for anything else."""
    if rows is None or not set(map(type, chain.from_iterable(rows))) <= {int, float}:
        raise TypeError("These are not numbers.")  # NumPy would convert true and "1.5"
    return np.array(rows, np.float32)
