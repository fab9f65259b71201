"""Which other sites' pages may ask the API from a shopper's browser (CORS, as the Fetch standard has it)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from visualsearch.problems import in_api

METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
#: What a page may send beside what each may: JSON, and the language of the answer is free already.
HEADERS = "Content-Type, X-Requested-With"
#: What a page may read of an answer beside its body.
EXPOSED = "Location, RateLimit, RateLimit-Policy, Retry-After"
#: Seconds that a browser remembers the answer.
MAX_AGE = "600"


class CrossOrigin:
    """Middleware: pages of `CORS_ORIGINS` may ask the API, and nothing else of the site.

    Never with cookies: the API knows no accounts.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not (settings.CORS_ORIGINS and in_api(request.path_info)):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        # What may be asked is asked before it is: the view need not know of it.
        response = HttpResponse(status=HTTPStatus.NO_CONTENT) if preflight else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if origin.lower() in settings.CORS_ORIGINS:
            response.headers["Access-Control-Allow-Origin"] = origin
            if preflight:
                response.headers["Access-Control-Allow-Methods"] = METHODS
                response.headers["Access-Control-Allow-Headers"] = HEADERS
                response.headers["Access-Control-Max-Age"] = MAX_AGE
            else:
                response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
