"""What is logged. Nothing of Django is imported here: its own start reads this."""

from __future__ import annotations

import logging
from http import HTTPStatus

EXPLAINED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses that are answered on purpose, where another site, the database or the index fails."""


class Unexplained(logging.Filter):
    """Filter of `django.request`: answers of `EXPLAINED` statuses are not logged as errors of ours.

    Failures of the shop's own parts are logged where they are noticed. The rest anyone can cause, with the address of
    a picture at a site that does not answer.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) not in EXPLAINED
