"""What becomes of a page where the storage of pictures is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from catalogue.files import StorageError
from search.web.statuses import storage_sentence
from visualsearch.refusals import refusal
from visualsearch.security import in_admin

logger = logging.getLogger(__name__)

RETRY_AFTER = "30"
"""Seconds."""


class StorageFaults:
    """Middleware: a view that met the storage's error is answered with 503 and a sentence; staff are told which."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, StorageError):
            return None
        logger.warning("The storage of pictures failed: %s", error)
        staff = in_admin(request.path_info) and request.user.is_staff
        sentence = str(error) if staff else storage_sentence()
        response = refusal(request, HTTPStatus.SERVICE_UNAVAILABLE, _("Pictures are out of reach"), sentence)
        response["Retry-After"] = RETRY_AFTER
        return response
