"""The HTTP status of each thing that can go wrong: it says whose turn it is."""

from __future__ import annotations

from http import HTTPStatus

from catalogue.images import EmptyFile, ImageRefused, TooManyBytes, UnsupportedFormat
from search.exceptions import NotIndexed, QueryGone, SearchError

#: By the kind of refusal; any other picture that cannot be used is 422.
_IMAGE_STATUS: dict[type[ImageRefused], HTTPStatus] = {
    EmptyFile: HTTPStatus.BAD_REQUEST,
    TooManyBytes: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}


def image_status(error: ImageRefused) -> HTTPStatus:
    return _IMAGE_STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def search_status(error: SearchError) -> HTTPStatus:
    """410 for what is gone, 422 for a product that cannot be searched with, else 503: try again later."""
    if isinstance(error, QueryGone):
        return HTTPStatus.GONE
    if isinstance(error, NotIndexed):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.SERVICE_UNAVAILABLE
