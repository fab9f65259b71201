"""A model behind a SageMaker endpoint, or behind any server that answers as one: `python -m endpoint.server`."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any, get_args

import numpy as np
import orjson
from django.core.cache import cache
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
from search.vision.embedders.instances import Encoding, TooLarge, fitting, requests
from search.vision.embedders.runtime import ModelFailed, ModelRefused, Patience, Runtime
from search.vision.pictures import PREPROCESSING_VERSION

logger = logging.getLogger(__name__)

FRESH = 300.0
"""Seconds after which an endpoint is asked again which model it has. Every answer names its model besides."""

AGAIN = 30.0
"""Seconds until it is asked again where it did not say."""

SOON = 5.0
"""Seconds between two questions while the index is of another model: it may be an update that is taken back."""

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""Of an endpoint, by the API of SageMaker."""

_GREY = 127
_SMALL = 32
"""Side of the grey square that goes along with the question which model it is."""


@dataclass
class _Answer:
    """The rows of some squares, float32 (n, dimensions) of unit length, and why some have none, by place."""

    rows: NDArray[np.float32]
    reasons: dict[int, str] = field(default_factory=dict)


class SageMakerEmbedder(Embedder):
    """A model package behind an endpoint; which one it is, the endpoint says.

    Its answers are JSON, `{"predictions": [[...], ...], "model": FINGERPRINT}`. Where the model is not the one that
    was known, for the endpoint is being updated, nothing of the answer is used.

    endpoint: its name. AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME leads to a server of one's own instead of Amazon's.
    region: None leaves it to boto3 (AWS_DEFAULT_REGION, the profile).
    request_bytes: the largest request; SageMaker takes 6 MB (6,291,456), a serverless endpoint 4 MB (4,194,304).
    concurrency: requests under way at one time, of one batch.
    connect_timeout: seconds for a connection.
    read_timeout: seconds for an answer; SageMaker gives a model 60.
    query_timeout: seconds for all calls of one request (`request_deadline`), retries included, and for asking which
        model it is.
    patience: seconds for a batch, tries included.
    attempts: tries in all, where the endpoint is away, busy or fails.
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
        self._asking = threading.Lock()
        self._known: Manifest | None = None
        self._asked_at = 0.0
        self._ask_after = 0.0
        self._unknown = Breaker(AGAIN)

    def check(self) -> list[CheckMessage]:
        if _NAME.fullmatch(self.endpoint):
            return []
        hint = "Write 1 to 63 letters, digits and hyphens, with a letter or digit first and last; no address."
        return [Error(f"{self.endpoint!r} is no name of an endpoint.", hint=hint, id="search.vision.embedders.E002")]

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
        """What the endpoint has said of its model, in this process or to another one that shares the cache.

        From time to time it is asked again; one that has become another makes this embedder `outdated`, and one that
        does not answer is still the one it was. Raises EmbedderError where nobody knows and it cannot be asked.
        """
        known = self._known
        if known is None:
            with self._asking:
                return self._known or self._learnt()
        # One thread asks again; the others do not wait for it.
        if time.monotonic() >= self._ask_after and self._asking.acquire(blocking=False):
            try:
                self._ask_again(known)
            finally:
                self._asking.release()
        return known

    def _learnt(self) -> Manifest:
        if reason := self._unknown.refusal():
            raise EmbedderUnavailable(reason)
        kept = _recalled(self._key)
        try:
            manifest = self._asked(attempts=1 if kept else self.attempts)
        except EmbedderError as error:
            if kept is None:
                self._unknown.open(str(error))
                raise
            self._ask_after = time.monotonic() + AGAIN
            logger.warning("The model is taken for the one that it was: %s", error)
            manifest = kept
        else:
            self._ask_after = time.monotonic() + FRESH
            if manifest != kept:
                _remember(self._key, manifest)
        self._known = manifest
        return manifest

    def _ask_again(self, known: Manifest) -> None:
        try:
            manifest = self._asked(attempts=1)
        except EmbedderError as error:
            logger.warning("The model is taken for the one that it was: %s", error)
            self._ask_after = time.monotonic() + AGAIN
            return
        self._ask_after = time.monotonic() + FRESH
        if manifest.fingerprint != known.fingerprint:
            self.outdated = True
            _remember(self._key, manifest)

    def ask_anew(self) -> None:
        with self._asking:
            if self._known is None:
                self._unknown.close()  # the next caller asks at once
            else:
                self._ask_again(self._known)

    def doubt(self) -> None:
        self._ask_after = min(self._ask_after, self._asked_at + SOON)

    def _asked(self, attempts: int) -> Manifest:
        self._asked_at = time.monotonic()
        body = self._body(np.full((1, _SMALL, _SMALL, 3), _GREY, np.uint8))
        answer = self._parsed(self._runtime.invoke(body, self._quickly(attempts), manifest=True))
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

    def _forget(self) -> None:
        """The endpoint has another model: whoever asks next asks it which."""
        self.outdated = True
        _remember(self._key, None)

    @property
    def _key(self) -> str:
        return f"sagemaker-manifest:{self.region or ''}:{self.endpoint}"

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
            return [(0, self._seen(squares, self._body(squares), patience, manifest))]
        return self._together(squares, patience, manifest)

    def _together(
        self, squares: NDArray[np.uint8], patience: Patience, manifest: Manifest
    ) -> list[tuple[int, _Answer]]:
        """Ask with several requests at one time: while the first are under way, the next are made."""
        pool = self._pool.get()
        futures: list[tuple[int, Future[_Answer]]] = []
        try:
            for part, body in requests(
                squares, self.encoding, most_bytes=self.request_bytes, concurrency=self.concurrency
            ):
                futures.append((part.start, pool.submit(self._seen, squares[part], body, patience, manifest)))
            return [(start, future.result()) for start, future in futures]
        except TooLarge as error:
            raise self._too_large(error) from error
        finally:
            for _start, future in futures:
                future.cancel()

    def _seen(self, squares: NDArray[np.uint8], body: bytes, patience: Patience, manifest: Manifest) -> _Answer:
        """The answer to one request, whose pictures may be to blame if the model does not take it."""
        try:
            return _Answer(self._rows(self._parsed(self._runtime.invoke(body, patience)), len(squares), manifest))
        except (ModelRefused, ModelFailed) as error:
            if len(squares) > 1:
                self._probe(patience, manifest)
            return self._sifted(squares, error, patience, manifest)

    def _sifted(
        self, squares: NDArray[np.uint8], error: ModelRefused | ModelFailed, patience: Patience, manifest: Manifest
    ) -> _Answer:
        """What the model makes of squares that it has not taken together: halved until those to blame are alone."""
        if len(squares) == 1:
            # It may have fallen ill on the way; that is no picture's fault.
            self._probe(patience, manifest)
            reason = _("The model does not take this picture: %(reason)s.") % {"reason": error.said.rstrip(".")}
            return _Answer(np.zeros((1, manifest.dimensions), np.float32), {0: reason})
        answer = _Answer(np.zeros((len(squares), manifest.dimensions), np.float32))
        half = len(squares) // 2
        for start, part in ((0, squares[:half]), (half, squares[half:])):
            # A model that fails is asked once more only before a single picture is blamed for it.
            model_attempts = 1 if len(part) > 1 else 2
            asked = replace(patience, model_attempts=model_attempts)
            try:
                rows = self._rows(self._parsed(self._runtime.invoke(self._body(part), asked)), len(part), manifest)
                found = _Answer(rows)
            except (ModelRefused, ModelFailed) as again:
                found = self._sifted(part, again, patience, manifest)
            answer.rows[start : start + len(part)] = found.rows
            answer.reasons |= {start + place: reason for place, reason in found.reasons.items()}
        return answer

    def _probe(self, patience: Patience, manifest: Manifest) -> None:
        """Raise EmbedderUnavailable if the model does not take a grey square either: then no picture is to blame.

        Other requests of the batch may keep the endpoint busy: that is waited for as with any request.
        """
        grey = np.full((1, manifest.size, manifest.size, 3), _GREY, np.uint8)
        try:
            asked = replace(patience, model_attempts=1)
            self._rows(self._parsed(self._runtime.invoke(self._body(grey), asked)), 1, manifest)
        except (ModelRefused, EmbedderUnavailable) as error:
            raise EmbedderUnavailable(
                _("The endpoint %(endpoint)s does not take a plain grey picture either. %(reason)s")
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
            _("The endpoint %(endpoint)s cannot be asked: %(reason)s SAGEMAKER_REQUEST_BYTES has to allow it.")
            % {"endpoint": self.endpoint, "reason": error}
        )

    # Answers ------------------------------------------------------------------------------------------------

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._nonsense(_("something that is not JSON")) from error
        if not isinstance(answer, dict):
            raise self._nonsense(_("JSON that is no object"))
        return answer

    def _rows(self, answer: dict[str, Any], n: int, manifest: Manifest) -> NDArray[np.float32]:
        """The rows of an answer, brought to unit length. Raises EmbedderError for whatever is not n of this model."""
        model = answer.get("model")
        if not isinstance(model, str) or not model:
            raise self._nonsense(_("nothing that says of which model it is"))
        if model != manifest.fingerprint:
            self._forget()
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
            raise self._nonsense(_("something else than rows of numbers")) from error
        if rows.shape != (n, manifest.dimensions):
            expected, got = f"({n}, {manifest.dimensions})", str(rows.shape)
            raise self._nonsense(
                _("rows of the shape %(got)s, not %(expected)s") % {"got": got, "expected": expected}
            )
        if not (np.isfinite(rows).all() and rows.any(axis=1).all()):
            raise self._nonsense(_("rows that are zero, infinite or no numbers"))
        return vectors.unit(rows)

    def _nonsense(self, what: str) -> EmbedderError:
        sentence = _("The endpoint %(endpoint)s answers with %(what)s. See that its model is a package made for it.")
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
    """Lists of numbers as an array. Raises ValueError, TypeError and OverflowError for whatever is not."""
    if rows is None or not set(map(type, chain.from_iterable(rows))) <= {int, float}:
        raise TypeError("These are no numbers.")  # NumPy would make some of true and of "1.5"
    return np.array(rows, np.float32)


def _recalled(key: str) -> Manifest | None:
    try:
        return Manifest.from_dict(cache.get(key))
    except ManifestError:
        return None
    except Exception:
        logger.exception("The cache could not be asked which model the endpoint has.")
        return None


def _remember(key: str, manifest: Manifest | None) -> None:
    """Keep it in the cache for good, or delete it there."""
    try:
        if manifest is None:
            cache.delete(key)
        else:
            cache.set(key, asdict(manifest), None)
    except Exception:
        logger.exception("The cache could not be told which model the endpoint has.")
