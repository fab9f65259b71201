"""What browsers may do with the pages, and how large a request may be."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

pytestmark = pytest.mark.django_db


def test_pages_take_scripts_from_the_site_alone(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "Content-Security-Policy" in client.get("/admin/login/")
    assert "Content-Security-Policy" not in client.get("/api/docs/")


@pytest.mark.parametrize("path", ["/search/", "/api/v1/search/", "/"])
def test_a_request_larger_than_any_picture_is_answered_before_it_is_read(client: Client, path: str) -> None:
    def unread(size: int) -> bytes:
        raise AssertionError("The body was read.")

    body: Any = type("Body", (), {"read": staticmethod(unread), "readline": staticmethod(unread)})()
    length = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    response = client.generic("POST", path, CONTENT_LENGTH=str(length), **{"wsgi.input": body})
    assert response.status_code == 413
    assert "10 MB" in response.content.decode()
    assert (response["Content-Type"] == "application/problem+json") is path.startswith("/api/")


def test_staff_may_send_several_photos_at_once(admin_client: Client) -> None:
    length = settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 2
    response = admin_client.generic("POST", "/admin/logout/", CONTENT_LENGTH=str(length))
    assert response.status_code != 413


@pytest.mark.parametrize("length", ["", "-1", "ten"])
def test_a_length_that_is_none_is_left_to_the_server(client: Client, length: str) -> None:
    assert client.generic("GET", "/healthz", CONTENT_LENGTH=length).status_code == 200


@pytest.mark.parametrize("path", ["/search/", "/api/v1/search/"])
def test_a_body_of_unknown_length_is_not_taken_for_nothing(client: Client, path: str) -> None:
    response = client.generic("POST", path, headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411
    assert "Content-Length" in response.content.decode()
