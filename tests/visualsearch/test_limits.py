"""How much of a request is read, and what refusing the rest costs."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.http.multipartparser import MultiPartParserError
from django.test import Client, RequestFactory

from search.web.clients import LONGEST_ACCEPT
from tests.cost import processor_time
from tests.visualsearch.second_factor import with_code
from visualsearch import charset
from visualsearch.limits import (
    LONGEST_COOKIES,
    MOST_ESCAPES,
    MOST_PARAMETERS,
    MOST_PARTS,
    MOST_STAFF_PARTS,
    _Counted,
)

PATHS = ["/about/", "/api/v1/products/", "/admin/login/"]


def parts(*heads: str) -> bytes:
    """A body of these parts, each without contents."""
    return "".join(f"--edge\r\n{head}\r\n\r\n\r\n" for head in heads).encode() + b"--edge--\r\n"


FIELD = 'Content-Disposition: form-data; name="a"'


def send(client: Client, path: str, body: bytes) -> Any:
    return client.generic("POST", path, body, content_type="multipart/form-data; boundary=edge")


# Headers ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Cookie", "a=" + "b" * LONGEST_COOKIES, 431),
        ("Cookie", "; ".join(f"c{number}={'x' * 8_000}" for number in range(20)), 431),
        ("Cookie", 'a="' + "\\" * 8_000 + '"', 431),
        ("Cookie", 'a="' + '\\"' * 4_000 + '"', 431),
        ("Accept", "a/b;q=1," * 1_000, 431),
    ],
)
def test_headers_that_take_long_to_read_are_refused(
    client: Client, path: str, header: str, value: str, status: int
) -> None:
    client.get("/about/")  # templates are compiled at their first use
    with processor_time() as spent:
        response = client.get(path, headers={header: value})
    assert response.status_code == status
    assert len(response.content) < 4_000
    assert (response["Content-Type"] == "application/problem+json") is path.startswith("/api/")
    assert "Content-Security-Policy" in response
    assert spent.seconds < 0.1  # 1 ms; 20 large cookies take 50 s where they are read


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_what_browsers_send_is_read(client: Client, path: str) -> None:
    cookies = "; ".join([f"_ga{number}=GS1.{'x' * 100}" for number in range(60)] + ['other="a\\054b"'])
    assert len(cookies) < LONGEST_COOKIES
    assert cookies.count("\\") < MOST_ESCAPES
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    assert len(accept) < LONGEST_ACCEPT
    assert client.get(path, headers={"Cookie": cookies, "Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        'a/b;a="' + ";" * 8_000,
        "a/b" + ";" * 8_000,
        "a/b" + ';"' * 4_000,
        "multipart/form-data; boundary=" + "-" * 8_000,
        "a" * 8_000,
    ],
    ids=lambda text: text[:10],
)
def test_a_long_content_type_is_not_read(content_type: str) -> None:
    seen: list[dict[str, Any]] = []
    application = charset.ReadableCharset(lambda environ, start: seen.append(environ) or [])
    with processor_time() as spent:
        application({"CONTENT_TYPE": content_type}, lambda *args: None)
        RequestFactory().generic("POST", "/", content_type=seen[0]["CONTENT_TYPE"])
    assert charset.UNREADABLE in seen[0]
    assert spent.seconds < 0.05  # 0.1 ms; 0.2 s where it is read


# Addresses --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/about/", "/products/", "/api/v1/products/"])
def test_an_address_of_too_many_parameters_is_refused(client: Client, path: str) -> None:
    response = client.get(f"{path}?{'a&' * MOST_PARAMETERS}")
    assert response.status_code == 414
    assert len(response.content) < 4_000


@pytest.mark.django_db
def test_an_address_of_results_may_name_all_that_it_can(client: Client) -> None:
    names = ("category", "brand", "colour")
    query = urlencode([(name, "x" * 20) for name in names for _ in range(50)])
    assert client.get(f"/about/?{query}").status_code == 200
    assert client.get(f"/admin/login/?{'a&' * 3_000}").status_code == 200


# Forms ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "number"),
    [("/search/", 20_000), ("/api/v1/search/", 20_000), ("/admin/login/", 500)],  # what `BodyLimit` lets through
)
@pytest.mark.parametrize(
    "head",
    [FIELD, "A: b", 'Content-Disposition: form-data; name="a"; filename="x"', f'{FIELD}; filename=""', "\r\n--edge"],
)
def test_a_form_of_too_many_parts_is_not_read_to_its_end(client: Client, path: str, number: int, head: str) -> None:
    body = parts(*[head] * number)
    with processor_time() as spent:
        response = send(client, path, body)
    assert response.status_code == 400
    assert len(response.content) < 8_000
    assert spent.seconds < 0.3  # 0.01 s to 0.05 s; 1.4 s where Django reads what it admits


@pytest.mark.django_db
def test_parts_are_counted_across_the_pieces_that_a_body_is_read_in(client: Client) -> None:
    filler = 'Content-Disposition: form-data; name="a"\r\n\r\n' + "x" * 997
    assert send(client, "/api/v1/search/", parts(*[filler] * (MOST_PARTS - 2))).json()["errors"]
    assert "too many parts" in send(client, "/api/v1/search/", parts(*[filler] * (MOST_PARTS + 2))).json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/search/", "/ja/search/", "/api/v1/search/"])
@pytest.mark.parametrize(
    "header",
    [
        "Content-Transfer-Encoding: base64",
        " CONTENT-TRANSFER-ENCODING:\t   BASE64",
        "content-transfer-encoding:base64 ",
        "Content-Transfer-Encoding: quoted-printable",
    ],
)
def test_a_form_in_base64_is_refused_before_it_is_decoded(path: str, header: str) -> None:
    client = Client(enforce_csrf_checks=True)  # which read the form first
    client.cookies["csrftoken"] = "a" * 32
    head = f'Content-Disposition: form-data; name="image"; filename="a"\r\n{header}\r\n\r\n' + "QUFB" * 3_000_000
    body = parts(head)
    with processor_time() as spent:
        response = send(client, path, body)
    assert response.status_code == 400
    assert spent.seconds < 0.3  # 0.02 s; 0.5 s where it is decoded


@pytest.mark.parametrize("size", range(1, 60))
def test_base64_is_noticed_across_the_pieces_that_a_body_is_read_in(size: int) -> None:
    def read(head: str) -> None:
        counted = _Counted(io.BytesIO(parts(head)), b"--edge", MOST_PARTS)
        while counted.read(size):
            pass

    read("Content-Transfer-Encoding: binary")
    with pytest.raises(MultiPartParserError):
        read("Content-Transfer-Encoding: base64")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/products/", "/", "/language/", "/hats/search/"])
def test_only_the_search_takes_a_large_body(client: Client, path: str) -> None:
    client.cookies["csrftoken"] = "a" * 32
    body = parts(FIELD + "\r\n\r\n" + "a" * settings.FORM_MAX_BYTES)
    assert send(client, path, body).status_code == 413
    for search in ("/search/", "/ja/search/"):
        assert send(client, search, body).status_code != 413


@pytest.mark.django_db
def test_a_picture_comes_as_it_was_sent(client: Client) -> None:
    data = (b"\r\n--edg" + bytes(range(256))) * 20_000  # nearly a boundary, again and again
    seen: list[bytes] = []
    request = RequestFactory().post("/search/", {"image": SimpleUploadedFile("photo.jpg", data), "a": ["1", "2"]})
    seen.append(request.FILES["image"].read())
    assert seen == [data]
    assert request.POST.getlist("a") == ["1", "2"]


@pytest.mark.django_db
def test_staff_may_send_as_many_fields_as_the_admin_has(admin_client: Client) -> None:
    assert send(admin_client, "/admin/logout/", parts(*[FIELD] * (MOST_STAFF_PARTS + 1))).status_code == 400
    assert send(admin_client, "/admin/logout/", parts(*[FIELD] * 1_000)).status_code == 200


@pytest.mark.django_db
def test_staff_without_the_second_factor_that_is_required_may_not(admin_client: Client, settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True
    body = parts(*[FIELD] * (MOST_PARTS + 1))
    assert send(admin_client, "/admin/logout/", body).status_code == 400
    with_code(admin_client)
    assert send(admin_client, "/admin/logout/", body).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/search/", "/admin/login/", "/language/"])
def test_a_form_without_files_is_small(client: Client, path: str) -> None:
    body = "a=" + "%41" * 400_000
    with processor_time() as spent:
        response = client.generic("POST", path, body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 413
    assert spent.seconds < 0.5  # the page; 5 s where 13 MB of it are read


@pytest.mark.django_db
def test_staff_may_send_a_large_form(admin_client: Client) -> None:
    body = QueryDict(mutable=True)
    body.setlist("ids", [str(number) for number in range(15_000)])
    assert len(body.urlencode()) > settings.FORM_MAX_BYTES
    response = admin_client.post("/admin/logout/", body.urlencode(), "application/x-www-form-urlencoded")
    assert response.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("length", ["9" * 30, "9" * 5_000])
def test_a_length_of_many_digits_is_too_long(client: Client, length: str) -> None:
    assert client.generic("POST", "/search/", CONTENT_LENGTH=length).status_code == 413
