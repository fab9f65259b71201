"""Refusals, in the format that the client reads."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from search.web.clients import prefers_json
from visualsearch.problems import in_api, respond


def refusal(
    request: HttpRequest,
    status: HTTPStatus,
    title: str,
    sentence: str,
    *,
    code: str = "",
    in_shop: bool = False,
) -> HttpResponse:
    """Return a problem for API clients, `{"error": sentence}` for scripts, else a page.

    code: identifies the reason to API clients.
    in_shop: show the sentence in a page of the shop. By default the page reads nothing of the request, so it can be
        shown before cookies are read and without the database.
    """
    if in_api(request.path_info):
        return respond(status, sentence, **({"code": code} if code else {}))
    if prefers_json(request):
        return JsonResponse({"error": sentence}, status=status)
    context = {"status": status, "title": title, "sentence": sentence}
    if in_shop:
        return HttpResponse(render_to_string("error.html", context, request), status=status)
    return HttpResponse(render_to_string("refused.html", context), status=status)
