"""What is answered where no view does: a page, or a problem for the API's clients."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import csrf, defaults

from visualsearch.problems import respond
from visualsearch.security import in_api


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refuses: it names a host that is not the site's, or has too many parts."""
    if in_api(request.path_info):
        return respond(
            HTTPStatus.BAD_REQUEST,
            _("Something in this request is not as it should be. See /api/docs/ for what to send."),
        )
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """A mistake of ours. Nothing that can fail belongs here."""
    if in_api(request.path_info):
        return respond(
            HTTPStatus.INTERNAL_SERVER_ERROR, _("The mistake is ours and has been noted. Try again in a minute.")
        )
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token; the script of the page shows why in place."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        sentence = _("This page was open for too long. Reload it and try again; cookies must be allowed.")
        return JsonResponse({"error": sentence}, status=HTTPStatus.FORBIDDEN)
    return csrf.csrf_failure(request, reason)
