"""The application as a client, a shopper, staff and an operator see it, and what it answers them, written down.

Nothing here or in the scenario knows how the application is built: they use addresses, commands and settings alone,
so that a record outlives every refactoring.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import execute_from_command_line
from django.test import Client

from tests.replay.records import normalised
from tests.replay.texts import visible_text

HEADERS = (
    "Access-Control-Allow-Origin",
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Link",
    "Location",
    "Retry-After",
    "Vary",
    "X-Robots-Tag",
)


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[str, dict[str, str]] = defaultdict(dict)
        self._clients = 0
        self._names = {str(folder): "<folder>", str(Path(__file__).parents[2]): "<project>"}
        self.staff = self._client()

    def note(self, area: str, title: str, text: str) -> None:
        for path, name in self._names.items():
            title = title.replace(path, name)
        if title in self.records[area]:
            raise ValueError(f"Two steps of “{area}” have the title “{title}”.")
        self.records[area][title] = normalised(text, self._names).strip()

    # As an operator ---------------------------------------------------------------------------------------

    def manage(self, *words: str, note: bool = True) -> str:
        """Run a command as a shell would, and write down what it prints and its exit status; returns its output."""
        output, errors, status = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                execute_from_command_line(["manage.py", *words])
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if not note and status:
            raise RuntimeError(f"{words} ended with {status}: {errors.getvalue()}")
        if note:
            said = "".join(f"stderr: {line}\n" for line in errors.getvalue().splitlines())
            self.note("commands", " ".join(words), f"exit {status}\n{output.getvalue()}{said}")
        return output.getvalue()

    # As a client of the API -------------------------------------------------------------------------------

    def api(
        self, method: str, path: str, data: Any = None, *, title: str = "", area: str = "api", **options: Any
    ) -> Any:
        """Send a request (`data`: JSON, or a form where it has a picture), and write down the answer; returns its
        JSON, None where it has none."""
        response = self.ask(method, path, data, **options)
        body = response.content.decode()
        answer = json.loads(body) if body and "json" in response.headers.get("Content-Type", "") else None
        if answer is not None:
            body = json.dumps(answer, indent=1, ensure_ascii=False)
        sent = "" if data is None or title else f" {json.dumps(data, default=str)}"
        self.note(area, title or f"{method} {path}{sent}", f"{_head(response)}\n\n{body}")
        return answer

    def found(self, title: str, method: str, path: str, data: Any = None) -> Any:
        """Search, and write down the ranking: place, score, how alike, product."""
        response = self.ask(method, path, data)
        answer = response.json()
        lines = [f"{response.status_code} alike={answer.get('alike')} total={answer.get('total')}"]
        lines += [
            f"{result['rank']:>3} {result['score']:.6f} {result['match']} {result['sku']} photo {result['photo']}"
            for result in answer["results"]
        ]
        self.note("rankings", title, "\n".join(lines))
        return answer

    # As a shopper, and as staff ---------------------------------------------------------------------------

    def page(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        title: str = "",
        staff: bool = False,
        area: str = "pages",
        **options: Any,
    ) -> Any:
        """Open a page, or send it a form, and write down what a person reads; returns the response."""
        client = self.staff if staff else self._client()
        send = client.get if data is None else client.post
        response = send(path, data or {}, follow=True, **options)
        led = "".join(f"leads to {where} ({status})\n" for where, status in response.redirect_chain)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        kind = response.headers.get("Content-Type", "")
        text = content.decode() if kind.startswith(("text/", "application/")) else f"{len(content) > 0}"
        text = visible_text(text) if kind.startswith("text/html") else text
        self.note(area, title or path, f"{led}{_head(response)}\n\n{text}")
        return response

    def ask(self, method: str, path: str, data: Any = None, **options: Any) -> Any:
        """Send a request without writing it down; returns the response."""
        path = path.removeprefix("http://localhost")
        if isinstance(data, dict) and any(isinstance(value, bytes) for value in data.values()):
            form = {name: _upload(value) if isinstance(value, bytes) else value for name, value in data.items()}
            return self._client().generic(method, path, *_multipart(form), **options)
        if data is not None:
            content = data if isinstance(data, str | bytes) else json.dumps(data)
            options.setdefault("content_type", "application/json")
            return self._client().generic(method, path, content, **options)
        return self._client().generic(method, path, **options)

    def _client(self) -> Client:
        """Another client each time: none searches too often."""
        self._clients += 1
        address = f"198.51.{self._clients // 250}.{self._clients % 250 + 1}"
        return Client(raise_request_exception=False, SERVER_NAME="localhost", REMOTE_ADDR=address)


def _head(response: Any) -> str:
    headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
    headers |= {name: value for name, value in response.headers.items() if name.lower().startswith("ratelimit")}
    kind = response.headers.get("Content-Type", "no content type")
    return "\n".join([f"{response.status_code} {kind}", *(f"{name}: {value}" for name, value in headers.items())])


def _upload(data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("photo.jpg", data, "image/jpeg")


def _multipart(form: dict[str, Any]) -> tuple[bytes, str]:
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    return encode_multipart(BOUNDARY, form), MULTIPART_CONTENT
