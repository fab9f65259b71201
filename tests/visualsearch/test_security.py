"""What browsers may do with the pages, and how large a request may be."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.visualsearch.second_factor import with_code
from visualsearch.security import in_admin

pytestmark = pytest.mark.django_db


def test_pages_take_scripts_from_the_site_alone(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/admin/login/", "/ja/admin/login/", "/api/docs/"])
def test_pages_of_others_may_have_styles_in_them_and_no_scripts(client: Client, path: str) -> None:
    policy = client.get(path)["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert "script-src" not in directives
    assert "unsafe-eval" not in policy
    assert directives["style-src"] == "'self' 'unsafe-inline'"
    assert directives["frame-ancestors"] == "'none'"


def test_pages_may_not_use_the_machine_they_are_shown_on(client: Client) -> None:
    assert "geolocation=()" in client.get("/")["Permissions-Policy"]


@pytest.mark.parametrize("path", ["/admin/", "/admin/catalogue/product/import/", "/admin/login/", "/api/docs/"])
def test_no_page_has_a_script_in_it(admin_client: Client, path: str) -> None:
    page = admin_client.get(path, follow=True).content.decode()
    assert "<script>" not in page
    assert " onclick=" not in page


def test_the_script_of_the_apis_page_is_a_script(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    (address,) = re.findall(r'<script src="(/api/docs/[^"]*)"', page)
    response = client.get(html.unescape(address))
    assert response["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in response.content.decode()


@pytest.mark.parametrize("path", ["/admins/", "/hats/admin/", "/jab/admin/", "/ja/hats/admin/", "/"])
def test_what_only_looks_like_the_admin_is_not(path: str) -> None:
    assert not in_admin(path)


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


@pytest.mark.parametrize("path", ["/admin/logout/", "/ja/admin/logout/"])
def test_staff_may_send_several_photos_at_once(admin_client: Client, path: str) -> None:
    length = settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 2
    response = admin_client.generic("POST", path, CONTENT_LENGTH=str(length))
    assert response.status_code != 413


def test_staff_without_a_required_code_have_the_limit_of_shoppers(admin_client: Client, settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    length = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 2)
    assert admin_client.generic("POST", "/admin/logout/", CONTENT_LENGTH=length).status_code == 413
    with_code(admin_client)
    assert admin_client.generic("POST", "/admin/logout/", CONTENT_LENGTH=length).status_code != 413


def test_an_upload_of_staff_has_a_limit_too(admin_client: Client) -> None:
    length = settings.STAFF_UPLOAD_MAX_BYTES + 1
    response = admin_client.generic("POST", "/admin/catalogue/product/import/", CONTENT_LENGTH=str(length))
    assert response.status_code == 413
    assert "This is larger than 300 MB." in response.content.decode()


def test_strangers_cannot_send_large_bodies_to_the_admin(client: Client) -> None:
    length = settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 2
    assert client.generic("POST", "/admin/login/", CONTENT_LENGTH=str(length)).status_code == 413


@pytest.mark.parametrize("length", ["", "-1", "ten"])
def test_an_invalid_length_is_left_to_the_server(client: Client, length: str) -> None:
    assert client.generic("GET", "/healthz", CONTENT_LENGTH=length).status_code == 200


@pytest.mark.parametrize("path", ["/search/", "/api/v1/search/"])
def test_a_body_of_unknown_length_is_not_taken_as_empty(client: Client, path: str) -> None:
    response = client.generic("POST", path, headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411
    assert "Content-Length" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/admin/catalogue/product/?q=a%00b",
        "/ja/admin/catalogue/product/?brand__id__exact=%00",
        "/admin/catalogue/product/%00/change/",
    ],
)
def test_an_address_of_the_admin_that_holds_a_nul_is_refused(admin_client: Client, path: str) -> None:
    assert admin_client.get(path).status_code == 400
    assert admin_client.get(path.replace("%00", "c"), follow=True).status_code == 200


@pytest.mark.usefixtures("no_nul")
@pytest.mark.parametrize("path", ["/admin/search/indexversion/index/do/", "/ja/admin/search/indexversion/index/do/"])
@pytest.mark.parametrize("form", [{"again": "\0"}, {"again": "a", "\0": ""}])
def test_a_form_of_the_admin_that_holds_a_nul_is_refused(
    admin_client: Client, path: str, form: dict[str, str]
) -> None:
    assert admin_client.post(path, form).status_code == 400
    assert admin_client.post(path, {"again": "a"}).status_code == 302


@pytest.mark.usefixtures("no_nul")
@pytest.mark.parametrize("cookie", [r'"\000abcdefgh"', "abcdefgh!", '""'])
def test_a_cookie_that_holds_no_key_is_no_session(client: Client, cookie: str) -> None:
    response = client.get("/", headers={"Cookie": f"sessionid={cookie}"})
    assert response.status_code == 200
    response = client.get("/admin/", headers={"Cookie": f"sessionid={cookie}"})
    assert response.status_code == 302
    assert response.cookies["sessionid"].value == ""
