"""The HTTP status of each thing that can go wrong: it says whose turn it is."""

from __future__ import annotations

from http import HTTPStatus

from django.utils.translation import gettext as _

from catalogue.fetching import RemoteSlow, RemoteUnavailable
from catalogue.images import DecoderBusy, EmptyFile, ImageRefused, TooManyBytes, UnsupportedFormat
from search.exceptions import EmbedderError, NotIndexed, PicturesRejected, QueryGone, SearchError

#: By the kind of refusal; any other picture that cannot be used is 422.
_IMAGE_STATUS: dict[type[ImageRefused], HTTPStatus] = {
    EmptyFile: HTTPStatus.BAD_REQUEST,
    TooManyBytes: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RemoteUnavailable: HTTPStatus.BAD_GATEWAY,
    RemoteSlow: HTTPStatus.GATEWAY_TIMEOUT,
    DecoderBusy: HTTPStatus.SERVICE_UNAVAILABLE,
}

BUSY_RETRY_AFTER = 5
"""Seconds after which a picture that found the decoder busy is worth another try: a large one takes one or two."""


def image_status(error: ImageRefused) -> HTTPStatus:
    return _IMAGE_STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def image_headers(error: ImageRefused) -> dict[str, str]:
    """The headers that an answer to a refused picture has beside its status."""
    return {"Retry-After": str(BUSY_RETRY_AFTER)} if isinstance(error, DecoderBusy) else {}


def search_status(error: SearchError) -> HTTPStatus:
    """410 for what is gone, 422 for what cannot be searched with, else 503: try again later."""
    if isinstance(error, QueryGone):
        return HTTPStatus.GONE
    if isinstance(error, (NotIndexed, PicturesRejected)):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.SERVICE_UNAVAILABLE


def search_sentence(error: SearchError) -> str:
    """What a shopper is told. What errors of the model and the index say is for staff: machines, and what to do."""
    if isinstance(error, PicturesRejected):
        return _("This picture cannot be searched with. Try another one.")
    if isinstance(error, EmbedderError):
        return _("Search by picture does not answer just now. Try again in a minute.")
    if search_status(error) == HTTPStatus.SERVICE_UNAVAILABLE:
        return _("Search does not answer just now. Try again in a minute.")
    return str(error)


def storage_sentence() -> str:
    """What a shopper is told where pictures cannot be stored or read. What is wrong is for staff."""
    return _("Pictures cannot be stored or read just now. Try again in a minute.")
