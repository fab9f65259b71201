"""Requests that name a charset, as the web server hands them over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory

pytestmark = pytest.mark.django_db


def ask(path: str, content_type: str) -> tuple[str, dict[str, str], str]:
    """Status, headers and body of the answer."""
    from visualsearch.wsgi import application  # reads the test's own settings

    answer: list[Any] = []
    environ = RequestFactory()._base_environ(PATH_INFO=path, QUERY_STRING="q=a", CONTENT_TYPE=content_type)  # type: ignore[attr-defined]
    # As Django's test client does it: the test's own connection stays.
    request_started.disconnect(close_old_connections)
    try:
        body = b"".join(application(environ, lambda status, headers: answer.extend([status, dict(headers)])))
    finally:
        request_started.connect(close_old_connections)
    return answer[0], answer[1], body.decode()


@pytest.mark.parametrize(
    "parameter",
    [
        "charset=hex", "charset=zlib", "charset=rot13", "charset=undefined", "charset=idna", "charset=punycode",
        "charset=unicode_escape", "charset=a\0b", "x*=nothing''a",
    ],
)  # fmt: skip
def test_an_unknown_charset_is_refused_with_a_sentence(parameter: str) -> None:
    status, _headers, body = ask("/", f"a/b; {parameter}")
    assert status == "400 Bad Request"
    assert "Send it as UTF-8." in body


@pytest.mark.parametrize("path", ["/api/v1/products/", "/postImage"])
def test_an_unknown_charset_in_the_api_is_a_problem_document(path: str) -> None:
    status, headers, body = ask(path, "a/b; charset=hex")
    assert status == "400 Bad Request"
    assert headers["Content-Type"] == "application/problem+json"
    assert "Send it as UTF-8." in json.loads(body)["detail"]


@pytest.mark.parametrize(
    "charset", ["utf-8", "UTF8", "us-ascii", "ISO-8859-15", "windows-1252", "Shift_JIS", "x-own"]
)
def test_other_charsets_are_read(charset: str) -> None:
    assert ask("/", f"text/plain; charset={charset}")[0] == "200 OK"
    assert ask("/", "text/plain")[0] == "200 OK"
