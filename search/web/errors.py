"""The table of errors and their answers. Pages, the pages' scripts and the API all take their answer from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from http import HTTPStatus

from django.db import InterfaceError, OperationalError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from rest_framework.exceptions import Throttled

from catalogue.fetching import RemoteSlow, RemoteUnavailable
from catalogue.files import StorageError
from catalogue.images import DecoderBusy, EmptyFile, ImageRefused, TooManyBytes, UnsupportedFormat
from search.exceptions import EmbedderError, NotIndexed, PicturesRejected, QueryGone, SearchError

DATABASE_ERRORS = (OperationalError, InterfaceError)
"""What Django raises if a database is down, restarts, or is locked for too long."""

OWN = ""
"""Stands for the error's own message, if that is written for shoppers."""

BUSY_RETRY_AFTER = 5
"""Seconds after which to retry a picture that found all decoders busy: decoding a large one takes one or two."""

_AGAIN = _("Search again")
_PAUSE = _("Search is unavailable")


@dataclass(frozen=True)
class Answer:
    """What a client is told about an error.

    title: the heading of a page.
    sentence: what to do, for shoppers and API clients. Messages for staff may name machines; they go to the log.
    retry_after: seconds; 0 if a retry would not help.
    code: identifies the error to API clients; "" if only the status does.
    hides_message: the error's own message is for staff: it belongs in the log.
    """

    status: HTTPStatus
    title: str | Promise
    sentence: str | Promise
    retry_after: int = 0
    code: str = ""
    hides_message: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


_ANSWERS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Answer], ...] = (
    # The first entry that matches counts, so subclasses come before their bases.
    (EmptyFile, Answer(HTTPStatus.BAD_REQUEST, _AGAIN, OWN)),
    (TooManyBytes, Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _AGAIN, OWN)),
    (UnsupportedFormat, Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _AGAIN, OWN)),
    (RemoteSlow, Answer(HTTPStatus.GATEWAY_TIMEOUT, _AGAIN, OWN)),
    (RemoteUnavailable, Answer(HTTPStatus.BAD_GATEWAY, _AGAIN, OWN)),
    (DecoderBusy, Answer(HTTPStatus.SERVICE_UNAVAILABLE, _AGAIN, OWN, BUSY_RETRY_AFTER)),
    (ImageRefused, Answer(HTTPStatus.UNPROCESSABLE_ENTITY, _AGAIN, OWN)),
    (QueryGone, Answer(HTTPStatus.GONE, _AGAIN, OWN)),
    (NotIndexed, Answer(HTTPStatus.UNPROCESSABLE_ENTITY, _AGAIN, OWN)),
    (
        PicturesRejected,
        Answer(HTTPStatus.UNPROCESSABLE_ENTITY, _AGAIN, _("This picture cannot be searched with. Try another one.")),
    ),
    (
        EmbedderError,
        Answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            _PAUSE,
            _("Search by picture is unavailable right now. Try again in a minute."),
            retry_after=30,
        ),
    ),
    (
        SearchError,
        Answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            _PAUSE,
            _("Search is unavailable right now. Try again in a minute."),
            retry_after=30,
        ),
    ),
    (
        StorageError,
        Answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            _("Pictures are unavailable"),
            _("Pictures are unavailable right now. Try again in a minute."),
            retry_after=30,
        ),
    ),
    (
        DATABASE_ERRORS,
        Answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            _("The shop is unavailable"),
            _("The shop is unavailable right now. Try again in a minute."),
            retry_after=10,
        ),
    ),
)


def answer_to(error: Exception) -> Answer | None:
    """Return the answer to an error, or None if the error is a bug."""
    if isinstance(error, Throttled):
        return _too_many_searches(error)
    for kinds, answer in _ANSWERS:
        if isinstance(error, kinds):
            return replace(
                answer,
                sentence=answer.sentence or str(error),
                code=getattr(error, "code", ""),
                hides_message=bool(answer.sentence),
            )
    return None


def _too_many_searches(error: Throttled) -> Answer:
    seconds = max(1, math.ceil(getattr(error, "wait", None) or 1))
    sentence = ngettext(
        "Too many searches. Try again in %(seconds)d second.",
        "Too many searches. Try again in %(seconds)d seconds.",
        seconds,
    ) % {"seconds": seconds}
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, _("Too many searches"), sentence, seconds)
