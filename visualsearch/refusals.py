"""What a request is answered that no view answers: in the form that its client reads, and without the database."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from visualsearch.problems import in_api, respond

LONGEST_ACCEPT = 1_000
"""Bytes of the Accept header; browsers send less than 200. A longer one is not read: that takes long."""


def refusal(request: HttpRequest, status: HTTPStatus, title: str, sentence: str, **members: str) -> HttpResponse:
    """A problem for the API's clients, `{"error": sentence}` for scripts, else a page.

    members: of the problem, such as `code`. The page reads nothing of the request, so it may be shown before cookies
    are read.
    """
    if in_api(request.path_info):
        return respond(status, sentence, **members)
    if prefers_json(request):
        return JsonResponse({"error": sentence}, status=status)
    return HttpResponse(render_to_string("refused.html", {"title": title, "sentence": sentence}), status=status)


def prefers_json(request: HttpRequest) -> bool:
    """Whether the client would rather have JSON than a page, as the scripts of the site's own pages do."""
    if len(request.META.get("HTTP_ACCEPT", "")) > LONGEST_ACCEPT:
        return False
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
