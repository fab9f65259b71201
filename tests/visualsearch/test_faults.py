"""What is answered where no view does."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils.log import log_response

from catalogue.models import Product
from search.models import IndexVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests for products or the index raise an unexpected error."""

    def fail(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(type(Product.objects), "visible", fail)
    monkeypatch.setattr(type(IndexVersion.objects), "live", fail)


@pytest.mark.usefixtures("mistake")
@pytest.mark.parametrize("path", ["/api/v1/products/", "/postImage"])
def test_an_unexpected_error_in_the_api_is_a_problem_document(path: str) -> None:
    client = Client(raise_request_exception=False)
    picture = json.dumps({"base64img": "aaaa"})
    response = client.post(path, picture, "application/json") if path == "/postImage" else client.get(path)
    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "The mistake is ours and has been noted. Try again in a minute."


@pytest.mark.usefixtures("mistake")
def test_an_unexpected_error_in_a_page_is_a_page() -> None:
    response = Client(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert "<h1>Something went wrong</h1>" in response.content.decode()


@pytest.mark.parametrize(("status", "logged"), [(500, True), (501, True), (502, False), (503, False), (504, False)])
def test_only_unexplained_errors_are_logged_as_unexpected(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture, status: int, logged: bool
) -> None:
    request = rf.get("/api/v1/search/")
    log_response("%s: %s", "Failed", request.path, response=HttpResponse(status=status), request=request)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * logged


@pytest.mark.parametrize("path", ["/api/v1/products/", "/postImage"])
def test_an_unknown_host_is_a_problem_document_in_the_api(client: Client, path: str) -> None:
    response = client.get(path, headers={"Host": "another.example"})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert "/api/docs/" in response.json()["detail"]


def test_an_unknown_host_is_a_page_for_shoppers(client: Client) -> None:
    response = client.get("/", headers={"Host": "another.example"})
    assert response.status_code == 400
    assert "This request cannot be understood" in response.content.decode()
