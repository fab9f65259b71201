"""Which model a remote endpoint has: asked at the first need, kept in the cache, asked again now and then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from django.core.cache import cache

from modelarchive.manifest import Manifest, ManifestError
from resilience.breaker import Breaker
from search.exceptions import EmbedderError, EmbedderUnavailable

logger = logging.getLogger(__name__)

FRESH = 300.0
"""Seconds after which an endpoint is asked again which model it has. Every answer names its model as well."""

AGAIN = 30.0
"""Seconds until it is asked again after it failed to say."""

SOON = 5.0
"""Seconds between two questions while the index is of another model: an update of it may be rolled back."""


class Discovery:
    """The model of one endpoint. One instance serves all threads.

    ask: asks the endpoint, with so many attempts. Raises EmbedderError.
    attempts: for the first question; later ones have one attempt.
    key: in the cache, which other processes share.
    replaced: called when the endpoint turns out to have another model than `manifest`, which never changes.
    """

    def __init__(
        self, ask: Callable[[int], Manifest], *, attempts: int, key: str, replaced: Callable[[], None]
    ) -> None:
        self._ask = ask
        self._attempts = attempts
        self._key = key
        self._replaced = replaced
        self._asking = threading.Lock()
        self._known: Manifest | None = None
        self._asked_at = 0.0
        self._ask_after = 0.0
        self._unknown = Breaker(AGAIN)

    @property
    def manifest(self) -> Manifest:
        """What the endpoint said of its model, to this process or to another one that shares the cache.

        An endpoint that does not answer is assumed to have the model that it had. Raises EmbedderError if that is
        not known and the endpoint does not say.
        """
        known = self._known
        if known is None:
            with self._asking:
                return self._known or self._first()
        # One thread asks again; the others do not wait for it.
        if time.monotonic() >= self._ask_after and self._asking.acquire(blocking=False):
            try:
                self._again(known)
            finally:
                self._asking.release()
        return known

    def refresh(self) -> None:
        """Ask now; if nothing is known yet, let the next use of `manifest` ask at once."""
        with self._asking:
            if self._known is None:
                self._unknown.close()
            else:
                self._again(self._known)

    def mark_stale(self) -> None:
        """Let the next use of `manifest` ask again, at most every SOON seconds."""
        self._ask_after = min(self._ask_after, self._asked_at + SOON)

    def forget(self) -> None:
        """The endpoint has answered with another model: the next process or instance has to ask."""
        self._replaced()
        self._remember(None)

    def _first(self) -> Manifest:
        if reason := self._unknown.refusal():
            raise EmbedderUnavailable(reason)
        cached = self._cached()
        try:
            manifest = self._timed(1 if cached else self._attempts)
        except EmbedderError as error:
            if cached is None:
                self._unknown.open(error)
                raise
            manifest = cached
        else:
            if manifest != cached:
                self._remember(manifest)
        self._known = manifest
        return manifest

    def _again(self, known: Manifest) -> None:
        try:
            manifest = self._timed(attempts=1)
        except EmbedderError:
            return
        if manifest.fingerprint != known.fingerprint:
            self._replaced()
            self._remember(manifest)

    def _timed(self, attempts: int) -> Manifest:
        """Ask, and decide when to ask again."""
        self._asked_at = time.monotonic()
        try:
            manifest = self._ask(attempts)
        except EmbedderError as error:
            logger.warning("The endpoint does not say which model it has: %s", error)
            self._ask_after = time.monotonic() + AGAIN
            raise
        self._ask_after = time.monotonic() + FRESH
        return manifest

    def _cached(self) -> Manifest | None:
        try:
            return Manifest.from_dict(cache.get(self._key))
        except ManifestError:
            return None
        except Exception:
            logger.exception("The cache could not be asked which model the endpoint has.")
            return None

    def _remember(self, manifest: Manifest | None) -> None:
        """Keep it in the cache without expiry, or delete it there."""
        try:
            if manifest is None:
                cache.delete(self._key)
            else:
                cache.set(self._key, asdict(manifest), None)
        except Exception:
            logger.exception("The cache could not store which model the endpoint has.")
