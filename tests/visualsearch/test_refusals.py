"""Refusals come in the form that the client reads, and need no database."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from django.test import Client, RequestFactory

from search.web.clients import LONGEST_ACCEPT, prefers_json
from tests.cost import processor_time
from visualsearch.charset import UNREADABLE
from visualsearch.refusals import refusal

FORMS = [
    ("/search/", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
    ("/search/", "application/json", "application/json"),
    ("/admin/", "application/json", "application/json"),
    ("/api/v1/search/", "text/html", "application/problem+json"),
    ("/postImage", "application/json", "application/problem+json"),
]


@pytest.mark.parametrize(("path", "accept", "kind"), FORMS)
def test_a_refusal_has_the_format_that_the_client_accepts(path: str, accept: str, kind: str) -> None:
    request = RequestFactory().get(path, headers={"Accept": accept})
    response = refusal(request, HTTPStatus.BAD_REQUEST, "No & no", "Send <less>.", code="much")
    assert (response.status_code, response["Content-Type"]) == (400, kind)
    text = response.content.decode()
    if kind == "application/json":
        assert text == '{"error": "Send <less>."}'
    elif kind.startswith("text/html"):
        assert "<h1>No &amp; no</h1>" in text
        assert "Send &lt;less&gt;." in text
    else:
        assert '"detail": "Send <less>."' in text
        assert '"code": "much"' in text


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_COOKIE": "a=" + "b" * 9_000}, 431),
        ({UNREADABLE: True}, 400),
        ({"CONTENT_LENGTH": "20000000"}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"HTTP_HOST": "elsewhere.example"}, 400),
    ],
)
@pytest.mark.parametrize(("path", "accept", "kind"), FORMS)
def test_every_refusal_uses_the_format_of_its_client(
    client: Client, environ: dict[str, Any], status: int, path: str, accept: str, kind: str
) -> None:
    response = client.generic("POST", path, HTTP_ACCEPT=accept, **environ)
    assert (response.status_code, response["Content-Type"]) == (status, kind)


def test_an_accept_header_that_takes_long_to_read_is_not_read() -> None:
    accept = "application/json," + "a/b;q=1," * 1_000
    assert len(accept) > LONGEST_ACCEPT
    with processor_time() as spent:
        assert not prefers_json(RequestFactory().get("/", headers={"Accept": accept}))
    assert spent.seconds < 0.01
