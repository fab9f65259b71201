"""Production on this machine: every part is the real one, but for Amazon's own services."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests

from benchmarks.server import ROOT, CommandFailed, Server, Site
from tests.browser.furnishing import PASSWORD, SUPERUSER
from tests.drawing import COLOURS, KINDS, photo
from tests.servers.kinds import KINDS as SERVERS
from tests.waiting import until

PATIENCE = 90.0
"""Seconds until something that workers do is seen, on a busy machine."""
PREFIX = "incoming"
PROCFILE = ROOT / "deploy" / "Procfile.production"


@dataclass(frozen=True)
class Stack:
    """A running shop, and what it runs on."""

    site: Site
    server: Server
    variables: dict[str, str]

    def url(self, path: str) -> str:
        return self.server.url + path

    def search(self, picture: bytes, **fields: Any) -> dict[str, Any]:
        answer = requests.post(self.url("/api/v1/search/"), files={"image": picture}, data=fields, timeout=60)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def best(self, picture: bytes) -> str:
        """The SKU of the product that is most like a picture; empty where nothing is found."""
        results = self.search(picture, k=1)["results"]
        return str(results[0]["sku"]) if results else ""

    def staff(self) -> requests.Session:
        """A session in the admin."""
        session = requests.Session()
        login = self.url("/admin/login/")
        session.get(login, timeout=60)
        self.post(session, login, {"username": SUPERUSER, "password": PASSWORD, "next": "/admin/"})
        return session

    def post(self, session: requests.Session, url: str, data: dict[str, Any], **files: Any) -> requests.Response:
        """Send a form of the admin; what it leads to."""
        token = session.cookies["csrftoken"]
        answer = session.post(
            url, {**data, "csrfmiddlewaretoken": token}, files=files or None, headers={"Referer": url}, timeout=60
        )
        answer.raise_for_status()
        errors = re.findall(r'class="[^"]*errorlist[^"]*".*?</ul>', answer.text, re.DOTALL)
        assert not errors, errors
        return answer

    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.variables["AWS_S3_ENDPOINT_URL"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def bucket(self) -> str:
        return self.variables["AWS_STORAGE_BUCKET_NAME"]

    def opensearch(self, path: str) -> Any:
        answer = requests.get(self.variables["OPENSEARCH_URL"] + path, timeout=30)
        answer.raise_for_status()
        return answer.json()


def photos() -> dict[str, bytes]:
    """Path below the prefix -> JPEG: two garments of each kind and colour."""
    return {
        f"{kind.title()}/{kind}-{name}-{seed}.jpg": photo(kind, colour, seed=seed)
        for kind in KINDS
        for name, colour in COLOURS.items()
        for seed in range(2)
    }


@contextmanager
def stack(folder: Path, source: Path | None = None) -> Iterator[Stack]:
    """Production from nothing: its database made, a catalogue imported, and all processes started.

    The catalogue is that of `photos`, from the bucket, or that of a folder or file.
    """
    started = os.environ.get("SERVERS", "").split()
    if missing := sorted(SERVERS.keys() - set(started)):
        raise CommandFailed(f"These tests need {', '.join(missing)}: run them with “make e2e”.")
    # What the servers' variables are, this process has from `python -m tests.servers`.
    variables = {
        "ALLOWED_HOSTS": "",
        "DEBUG": "",
        "HTTPS": "",
        "LANGUAGE_CODE": "",
        "SECRET_KEY": "for these tests alone, and long enough to be one",
        "LOG_LEVEL": "INFO",
        # Pictures that the tests serve to the site come from this machine.
        "FETCH_PRIVATE_ADDRESSES": "127.0.0.0/8",
    }
    site = Site(folder / "data", variables)
    whole = Stack(site, Server(0, {}, []), dict(os.environ))
    if source is None:
        client = whole.s3()
        for path, data in photos().items():
            client.put_object(Bucket=whole.bucket, Key=f"{PREFIX}/{path}", Body=data)
    site.run("manage.py", "migrate", "-v0")
    site.run("manage.py", "collectstatic", "--no-input", "-v0")
    site.run("-m", "tests.browser.furnishing", "superuser")
    site.run("manage.py", "import_catalogue", str(source or f"s3://{whole.bucket}/{PREFIX}"))
    logs = folder / "logs"
    logs.mkdir()
    with site.serve(worker=True, procfile=PROCFILE, logs=logs) as server:
        server.wait_until_ready()
        yield Stack(site, server, whole.variables)


def eventually(what: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Wait until something is so; the seconds that it took. Fails after `seconds`."""
    return until(what, seconds, pause=0.1)
