"""The policy that pages are sent with."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils.deconstruct import deconstructible

from visualsearch.security import ContentSecurityPolicy


@deconstructible
class Elsewhere(FileSystemStorage):
    """Photos that another site serves."""

    def url(self, name: str | None) -> str:
        return f"https://photos.example/shop/{name}?signature=x"


def policy(path: str = "/", response: HttpResponse | None = None) -> str:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse() if response is None else response

    answer = ContentSecurityPolicy(view)(RequestFactory().get(path))
    return answer.headers.get("Content-Security-Policy", "")


def test_a_page_takes_everything_from_the_site_alone() -> None:
    assert policy().startswith("default-src 'self'; img-src 'self' data: blob:;")
    assert "unsafe" not in policy()


def test_photos_may_come_from_where_they_are_kept(settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": f"{__name__}.Elsewhere"}}
    assert "img-src 'self' data: blob: https://photos.example;" in policy()


def test_a_response_keeps_a_policy_of_its_own() -> None:
    assert policy(response=HttpResponse(headers={"Content-Security-Policy": "sandbox"})) == "sandbox"


def test_the_documentation_of_the_api_may_start_itself() -> None:
    assert policy("/api/docs/") == ""


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/search/", "/products/", "/nothing"])
def test_no_page_needs_more_than_the_policy_gives(client: Client, path: str) -> None:
    shown = client.get(path).content.decode()
    assert "<style" not in shown
    assert " style=" not in shown
    assert " onclick=" not in shown
    assert "<script>" not in shown
