"""Downloading a picture from its web address."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils import translation

from catalogue import fetching
from catalogue.fetching import AddressRefused, FetchRefused, RemoteRefused, RemoteSlow, RemoteUnavailable, fetch
from tests.cost import processor_time
from tests.drawing import photo
from tests.web import LOOPBACK, Page, Web, page, redirect, web

PICTURE = photo()


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as running:
        yield running


@pytest.fixture
def intranet(settings: Any, site: Web) -> Web:
    """The same site, with this machine allowed by the settings."""
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    return site


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.5)


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Resolve pictures.example to these addresses in turn, and then always to the last."""
    answers = list(addresses)
    look_up = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "pictures.example":
            return look_up(host, port, *args, **kwargs)
        return look_up(answers.pop(0) if len(answers) > 1 else answers[0], port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


# Accepted --------------------------------------------------------------------------------------------


def test_a_picture_is_fetched_as_it_is(intranet: Web) -> None:
    assert fetch(intranet.put("/dress.jpg", page(PICTURE))) == PICTURE


def test_spaces_and_fragment_of_an_address_are_ignored(intranet: Web) -> None:
    assert fetch(f"  {intranet.put('/dress.jpg', page(PICTURE))}#detail\n") == PICTURE


def test_three_redirects_are_followed(intranet: Web) -> None:
    intranet.put("/d", page(PICTURE))
    for here, there in (("/a", "/b"), ("/b", intranet.url + "/c"), ("/c", "d")):
        intranet.put(here, redirect(there))
    assert fetch(intranet.url + "/a") == PICTURE
    assert intranet.asked == ["/a", "/b", "/c", "/d"]


def endless(request: BaseHTTPRequestHandler) -> None:
    while True:
        request.wfile.write(bytes(65_536))


def dripping(request: BaseHTTPRequestHandler) -> None:
    while True:
        request.wfile.write(b".")
        time.sleep(0.05)


@pytest.mark.parametrize("body", [endless, dripping])
def test_a_redirect_is_followed_without_reading_its_body(intranet: Web, body: Page) -> None:
    def redirecting(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "/dress.jpg")
        request.end_headers()
        body(request)

    intranet.put("/dress.jpg", page(PICTURE))
    began = time.monotonic()
    assert fetch(intranet.put("/a", redirecting)) == PICTURE
    assert time.monotonic() - began < 2


def test_a_redirects_packed_body_is_not_unpacked(intranet: Web) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    intranet.put("/dress.jpg", page(PICTURE))
    address = intranet.put("/a", page(bomb, status=302, Location="/dress.jpg", Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        assert fetch(address) == PICTURE
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/JPEG; charset=binary", "binary/octet-stream", None])
def test_pictures_and_untyped_content_are_fetched(intranet: Web, kind: str | None) -> None:
    assert fetch(intranet.put("/dress", page(PICTURE, kind=kind))) == PICTURE


def test_a_picture_of_unknown_length_is_fetched(intranet: Web) -> None:
    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for start in range(0, len(PICTURE), 1000):
            part = PICTURE[start : start + 1000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        request.wfile.write(b"0\r\n\r\n")
        request.close_connection = True

    assert fetch(intranet.put("/dress", chunked)) == PICTURE


def test_requests_send_no_other_headers(intranet: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login shop password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fetch(intranet.put("/dress.jpg", page(PICTURE)))
    assert set(intranet.headers[0]) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


def test_proxies_of_the_environment_are_not_used(intranet: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(intranet.put("/dress.jpg", page(PICTURE))) == PICTURE


# Refused by their text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://pictures.example/a.jpg", "https://"),
        ("file:///etc/passwd", "https://"),
        ("data:image/png;base64,AAAA", "https://"),
        ("//pictures.example/a.jpg", "https://"),
        ("a dress", "https://"),
        ("", "https://"),
        ("https://", "Copy the whole address"),
        ("https://[::1/a.jpg", "Copy the whole address"),
        ("https://pictures.example:port/", "Copy the whole address"),
        (f"https://{'a' * 64}.example/", "Copy the whole address"),
        (f"https://pictures.example/{'a' * 2000}", "Copy the whole address"),
        ("https://pictures.example/a b.jpg", "Copy the whole address"),
        ("https://pictures.example\\@127.0.0.1/", "Copy the whole address"),
        ("https://pictures.example/\x00", "Copy the whole address"),
        ("https://shop:secret@pictures.example/a.jpg", "password"),
        ("https://@pictures.example/a.jpg", "password"),
        ("http://pictures.example:25/", "Port 25"),
    ],
)
def test_an_invalid_address_is_refused(address: str, words: str) -> None:
    with pytest.raises(AddressRefused, match=words) as refused:
        fetch(address)
    assert refused.value.permanent
    assert "secret" not in str(refused.value)


# Refused by their target -------------------------------------------------------------------------

PRIVATE = [
    "http://127.0.0.1{port}/dress.jpg",
    "http://localhost{port}/dress.jpg",
    "http://2130706433{port}/dress.jpg",
    "http://0177.0.0.1{port}/dress.jpg",
    "http://0x7f.1{port}/dress.jpg",
    "http://127.1{port}/dress.jpg",
    "http://0.0.0.0{port}/dress.jpg",
    "http://[::ffff:127.0.0.1]{port}/dress.jpg",
    "http://[::ffff:7f00:1]{port}/dress.jpg",
    "http://[::1]{port}/dress.jpg",
    "http://10.0.0.1/dress.jpg",
    "http://172.16.0.1/dress.jpg",
    "http://192.168.1.1/dress.jpg",
    "http://100.64.0.1/dress.jpg",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/dress.jpg",
    "http://224.0.0.1/dress.jpg",
    "http://[::7f00:1]{port}/dress.jpg",
    "http://[64:ff9b::7f00:1]{port}/dress.jpg",
    "http://[2002:7f00:1::1]{port}/dress.jpg",
    "http://[fec0::1]{port}/dress.jpg",
    "http://[ff02::1]{port}/dress.jpg",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(site: Web, address: str) -> None:
    site.put("/dress.jpg", page(PICTURE))
    with pytest.raises(AddressRefused, match="public") as refused:
        fetch(address.format(port=f":{site.url.rpartition(':')[2]}"))
    assert refused.value.permanent
    assert site.asked == []


def test_a_name_that_means_a_private_address_is_refused(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "127.0.0.1")
    with pytest.raises(AddressRefused, match="public"):
        fetch(site.url.replace("127.0.0.1", "pictures.example") + "/dress.jpg")
    assert site.asked == []


def test_the_checked_address_is_connected_to(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put("/dress.jpg", page(PICTURE))
    names(monkeypatch, "93.184.215.14", "127.0.0.1")
    connected: list[str] = []

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        """Nothing of a test leaves the machine."""
        connected.append(socket.getaddrinfo(*address)[0][4][0])
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(RemoteUnavailable):
        fetch(site.url.replace("127.0.0.1", "pictures.example") + "/dress.jpg")
    assert connected == ["93.184.215.14"]


@pytest.mark.parametrize(
    "where", ["http://10.0.0.1/", "http://[::1]/", "//169.254.169.254/", "http://127.0.0.2:{port}/x"]
)
def test_a_redirect_to_a_private_address_is_refused(settings: Any, site: Web, where: str) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = [ip_network("127.0.0.1")]
    port = site.url.rpartition(":")[2]
    address = site.put("/a", redirect(where.format(port=port)))
    with pytest.raises(AddressRefused, match="public"):
        fetch(address)
    assert site.asked == ["/a"]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://shop:secret@127.0.0.1/", "http://127.0.0.1:25/"])
def test_a_redirect_is_checked_as_the_address_itself(intranet: Web, where: str) -> None:
    with pytest.raises(AddressRefused):
        fetch(intranet.put("/a", redirect(where)))
    assert intranet.asked == ["/a"]


def test_allowing_some_private_addresses_allows_no_others(settings: Any, site: Web) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = [ip_network("127.0.0.1")]
    address = site.put("/dress.jpg", page(PICTURE))
    assert fetch(address) == PICTURE
    with pytest.raises(AddressRefused, match="public"):
        fetch("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(AddressRefused, match="public"):
        fetch(address.replace("127.0.0.1", "127.0.0.2"))


def test_an_allowed_name_that_changes_its_address_is_refused(
    settings: Any, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = [ip_network("127.0.0.9")]
    site.put("/dress.jpg", page(PICTURE))
    names(monkeypatch, "127.0.0.9", "127.0.0.1")
    with pytest.raises(AddressRefused, match="public"):
        fetch(site.url.replace("127.0.0.1", "pictures.example") + "/dress.jpg")
    assert site.asked == []


# Refused by their answer -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 410, 418, 204])
def test_a_site_that_refuses_is_a_permanent_error(intranet: Web, status: int) -> None:
    with pytest.raises(RemoteRefused) as refused:
        fetch(intranet.put("/a", page(status=status, kind="text/html")))
    assert refused.value.permanent


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_failing_site_is_a_temporary_error(intranet: Web, status: int) -> None:
    with pytest.raises(RemoteUnavailable) as refused:
        fetch(intranet.put("/a", page(status=status)))
    assert not refused.value.permanent


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "video/mp4"])
def test_other_content_types_are_refused(intranet: Web, kind: str) -> None:
    with pytest.raises(RemoteRefused, match="does not lead to a picture"):
        fetch(intranet.put("/a", page(b"<html>", kind=kind)))


def test_a_fourth_redirect_is_refused(intranet: Web) -> None:
    with pytest.raises(RemoteRefused, match="more than 3 times"):
        fetch(intranet.put("/a", redirect("/a")))
    assert len(intranet.asked) == 4


def test_a_picture_with_a_large_content_length_is_not_read(intranet: Web, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 2_500_000
    address = intranet.put("/a", page(b"", Content_Length="2500001"))
    with pytest.raises(RemoteRefused, match=r"larger than 2\.5 MB"):
        fetch(address)


def test_reading_stops_at_the_size_limit(intranet: Web, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 100_000
    sent = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        for _ in range(10_000):
            request.wfile.write(bytes(65_536))
            sent.append(65_536)

    with pytest.raises(RemoteRefused, match=r"larger than 0\.1 MB"):
        fetch(intranet.put("/a", endless))
    assert sum(sent) < 50_000_000


def test_compressed_content_is_not_decompressed(intranet: Web) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert fetch(intranet.put("/a", page(bomb, Content_Encoding="gzip"))) == bomb


def test_a_truncated_download_is_a_temporary_error(intranet: Web) -> None:
    with pytest.raises(RemoteUnavailable):
        fetch(intranet.put("/a", page(PICTURE, Content_Length=str(len(PICTURE) + 10))))


def test_an_unreachable_site_is_a_temporary_error(settings: Any) -> None:
    settings.FETCH_PRIVATE_ADDRESSES = LOOPBACK
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RemoteUnavailable) as refused:
        fetch(f"http://127.0.0.1:{port}/a")
    assert not refused.value.permanent


def no_names(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Let every name look-up fail with this error."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(error, "whatever they say")

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_FAIL, socket.EAI_AGAIN, -5])
def test_an_unknown_name_is_refused_like_a_private_one(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    with pytest.raises(AddressRefused) as private:
        fetch("http://10.0.0.1/a.jpg")
    no_names(monkeypatch, error)
    with pytest.raises(AddressRefused) as unknown:
        fetch("https://pictures.example/a.jpg")
    assert type(unknown.value) is type(private.value)
    assert str(unknown.value) == str(private.value)
    # Imports try again if name servers are unavailable. Shoppers cannot see the difference.
    assert unknown.value.permanent is (error != socket.EAI_AGAIN)


@pytest.mark.parametrize(
    "address",
    [
        "https://" + "ü" * 80_000,
        "https://" + "ü." * 40_000 + "example/",
        "https://" + "ü" * 1_900,
        "https://" + "ü." * 950 + "example/",
        "https://[" + ":" * 80_000 + "]/",
        "https://pictures.example:" + "9" * 80_000,
        " " * 80_000,
        "https://pictures.example/" + "ü" * 80_000,
        "http://" + "@" * 80_000,
    ],
    ids=lambda address: address[:20].strip(),
)
def test_a_long_address_is_refused_for_its_length(address: str) -> None:
    with processor_time() as spent, pytest.raises(AddressRefused):
        fetching.checked(address)
    assert spent.seconds < 0.025  # less than 0.5 ms


def test_a_redirect_to_a_long_address_is_refused_for_its_length(intranet: Web) -> None:
    address = intranet.put("/a", redirect("http://" + "\xfc" * 60_000 + "/"))
    began = time.process_time()
    with pytest.raises(AddressRefused):
        fetch(address)
    assert time.process_time() - began < 0.5  # 16 s where names are read first


def test_a_sites_cookies_are_not_read(intranet: Web) -> None:
    def generous(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", str(len(PICTURE)))
        for _ in range(90):
            request.send_header("Set-Cookie", "a=b;" * 16_000)
        request.end_headers()
        request.wfile.write(PICTURE)

    address = intranet.put("/a", generous)
    began = time.process_time()
    assert fetch(address) == PICTURE
    assert time.process_time() - began < 1  # 0.2 s, of which the site here takes half; 3 s with its cookies


def test_a_picture_in_too_many_pieces_is_refused(intranet: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_READS", 100)

    def crumbs(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"1\r\n.\r\n" * 1_000)
        request.wfile.write(b"0\r\n\r\n")
        request.close_connection = True

    with pytest.raises(RemoteSlow):
        fetch(intranet.put("/a", crumbs))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def endlessly(piece: bytes, *, after: bytes = b"") -> Page:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(after)
        while True:
            request.wfile.write(piece * (1 + 65_536 // len(piece)))

    return answer


ENDLESS = {
    "informational": endlessly(CONTINUE),
    "informational with headers": endlessly(CONTINUE[:-2] + b"a:b\r\n" * 90 + b"\r\n"),
    "trailers": endlessly(b"a\r\n", after=CHUNKED + b"1\r\na\r\n0\r\n"),
    "chunk extensions": endlessly(b"1;" + b"x" * 65_000 + b"\r\na\r\n", after=CHUNKED),
    "tiny chunks": endlessly(b"1\r\na\r\n", after=CHUNKED),
}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The processor times of the threads of downloads, without the test's web server."""
    seconds: list[float] = []
    follow = fetching._follow

    def measured(*arguments: Any) -> bytes:
        began = time.thread_time()
        try:
            return follow(*arguments)
        finally:
            seconds.append(time.thread_time() - began)

    monkeypatch.setattr(fetching, "_follow", measured)
    return seconds


@pytest.mark.parametrize("redirected", [False, True], ids=["at once", "after a redirect"])
@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_answer_is_refused_before_it_costs_much(
    intranet: Web, used: list[float], body: Page, redirected: bool
) -> None:
    address = intranet.put("/endless", body)
    with pytest.raises(FetchRefused):
        fetch(intranet.put("/a", redirect("/endless")) if redirected else address)
    assert used[0] < 2  # 6 to 9 s where nothing is counted


def test_the_bytes_of_a_fetch_are_counted_over_all_its_answers(intranet: Web, settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 100_000
    trailers = CHUNKED + b"1\r\na\r\n0\r\n" + b"a\r\n" * 150_000 + b"\r\n"

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(trailers)

    with pytest.raises(RemoteRefused, match=r"larger than 0\.1 MB"):
        fetch(intranet.put("/a", answer))

    def redirecting(onward: str) -> Page:
        return page(status=302, kind=None, Location=onward, **{f"X{number}": "x" * 60_000 for number in range(2)})

    for here, there in (("/b", "/c"), ("/c", "/d"), ("/d", "/dress.jpg")):
        intranet.put(here, redirecting(there))
    intranet.put("/dress.jpg", page(PICTURE))
    assert fetch(intranet.url + "/d") == PICTURE
    with pytest.raises(RemoteRefused, match=r"larger than 0\.1 MB"):
        fetch(intranet.url + "/b")


def test_a_few_informational_answers_are_ignored(intranet: Web) -> None:
    def answer(count: int) -> Page:
        def write(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(CONTINUE * count + HEAD + b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE)

        return write

    assert fetch(intranet.put("/a", answer(3))) == PICTURE
    with pytest.raises(RemoteUnavailable):
        fetch(intranet.put("/b", answer(4)))


# Deadlines ----------------------------------------------------------------------------------------


def drip_head(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        request.wfile.write(b"X-Slow: 1\r\n"[:1])
        time.sleep(0.05)


def drip_body(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "image/jpeg")
    request.end_headers()
    while True:
        request.wfile.write(b".")
        time.sleep(0.05)


def say_nothing(request: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("slow", [drip_head, drip_body, say_nothing])
def test_a_slow_site_times_out(intranet: Web, slow: Any) -> None:
    began = time.monotonic()
    with pytest.raises(RemoteSlow, match="Try again") as refused:
        fetch(intranet.put("/a", slow))
    assert time.monotonic() - began < 2
    assert not refused.value.permanent
    assert fetches_end()


@pytest.mark.usefixtures("short")
def test_redirects_share_one_deadline(intranet: Web) -> None:
    def slowly(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        redirect("/a")(request)

    with pytest.raises(RemoteSlow):
        fetch(intranet.put("/a", slowly))
    assert len(intranet.asked) <= 2


@pytest.mark.usefixtures("short")
def test_slow_name_servers_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> Any:
        answered.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    began = time.monotonic()
    with pytest.raises(RemoteSlow):
        fetch("https://pictures.example/a.jpg")
    assert time.monotonic() - began < 2
    answered.set()
    assert fetches_end()


def fetches_end() -> bool:
    """Whether all threads of downloads end."""
    for _ in range(100):
        if not any(thread.name == "fetch" for thread in threading.enumerate()):
            return True
        time.sleep(0.02)
    return False


# Retries ----------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)


@pytest.mark.usefixtures("hasty")
def test_fetch_patiently_retries_temporary_errors(intranet: Web) -> None:
    address = intranet.put("/a", page(status=503), page(status=429), page(PICTURE))
    assert fetching.fetch_patiently(address) == PICTURE


@pytest.mark.usefixtures("hasty")
def test_fetch_patiently_gives_up(intranet: Web) -> None:
    with pytest.raises(RemoteUnavailable):
        fetching.fetch_patiently(intranet.put("/a", page(status=503)))
    assert len(intranet.asked) == fetching.TRIES


@pytest.mark.usefixtures("hasty")
def test_fetch_patiently_does_not_retry_permanent_errors(intranet: Web) -> None:
    with pytest.raises(RemoteRefused):
        fetching.fetch_patiently(intranet.url + "/nothing")
    assert len(intranet.asked) == 1


def test_refusals_are_in_the_callers_language(intranet: Web) -> None:
    with translation.override("ja"), pytest.raises(FetchRefused) as refused:
        fetch(intranet.url + "/nothing")
    with translation.override("ja"):
        assert str(refused.value) == translation.gettext(
            "There is nothing at this address. Check it, or upload the picture."
        )
