"""Another web site: a real server on the loopback interface, with pages that a test defines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from threading import Thread
from typing import Any

LOOPBACK = [ip_network("127.0.0.0/8")]
"""The value of `FETCH_PRIVATE_ADDRESSES` that lets a test fetch from here."""

Page = Callable[[BaseHTTPRequestHandler], None]


def page(body: bytes = b"", *, status: int = 200, kind: str | None = "image/jpeg", **headers: str) -> Page:
    """A page with this response; the header `Content_Length` may be wrong."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        named = {"Content-Length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
        if kind is not None:
            named["Content-Type"] = kind
        for name, text in named.items():
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(body)

    return answer


def redirect(address: str, status: int = 302) -> Page:
    return page(status=status, kind=None, Location=address)


@dataclass
class Web:
    """Serves pages by path. The pages of a list answer in turn; the last one stays."""

    url: str
    pages: dict[str, Page | list[Page]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths, in the order of the requests."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each request."""

    def put(self, path: str, *pages: Page) -> str:
        """Serve these pages at a path, and return the URL."""
        self.pages[path] = list(pages)
        return self.url + path

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        self.asked.append(path)
        self.headers.append(dict(request.headers.items()))
        found = self.pages.get(path, page(status=404, kind="text/html"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        found(request)


@contextmanager
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *arguments: Any) -> None:
            """Write no log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *arguments: Any) -> None:
            """Clients disconnect on purpose in tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        site = Web(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield site
        server.shutdown()
        thread.join()
