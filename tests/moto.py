"""S3 as moto's server speaks it over HTTP, with a bucket; boto3 and django-storages are the real ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from django.core.files.storage import storages

from search.models import Query
from tests.aws import account

BUCKET = "pictures-of-a-shop"
REGION = "eu-west-1"


@dataclass(frozen=True)
class S3:
    """A server of moto's, and a client of the tests' own."""

    url: str
    client: Any

    def reset(self) -> None:
        """An account with nothing but a bucket."""
        urllib3.request("POST", f"{self.url}/moto-api/reset")
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def listed(self, prefix: str = "") -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in listed]


@contextmanager
def moto() -> Iterator[S3]:
    from moto.server import ThreadedMotoServer

    # Werkzeug writes its log to whatever stderr is at its first request: one test's, closed in the next.
    logging.getLogger("werkzeug").addHandler(logging.NullHandler())
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.Session("testing", "testing", region_name=REGION).client(
        "s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"})
    )
    try:
        yield S3(url, client)
    finally:
        client.close()
        server.stop()


def close() -> None:
    """End the connections of the storages that are configured."""
    for alias in ("default", "queries", "imports"):
        if alias not in storages.backends:
            continue
        kept = vars(storages[alias])
        clients = [kept[name] for name in ("_signer", "_unsigned") if name in kept]
        if kept.get("_shared"):
            clients.append(kept["_shared"].meta.client)
        for client in clients:
            client.close()


def use(url: str, settings: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Keep photos and shoppers' pictures there, as the settings would; `options` are those of photos."""
    close()
    account(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # botocore's pauses between its tries
    settings.AWS_S3_REGION_NAME = REGION
    settings.AWS_S3_ENDPOINT_URL = url
    settings.AWS_S3_ADDRESSING_STYLE = "path"
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "catalogue.buckets.PhotoBucket",
            "OPTIONS": {"bucket_name": BUCKET, "location": "media", "querystring_expire": 86_400} | options,
        },
        "queries": {
            "BACKEND": "catalogue.buckets.PrivateBucket",
            "OPTIONS": {"bucket_name": BUCKET, "location": "queries"},
        },
        "imports": {
            "BACKEND": "catalogue.buckets.UploadBucket",
            "OPTIONS": {"bucket_name": BUCKET, "location": "imports", "max_memory_size": 1_000},
        },
    }
    monkeypatch.setattr(Query._meta.get_field("picture"), "storage", storages["queries"])


def failing(status: int, code: str) -> AbstractContextManager[str]:
    """The address of an S3 that answers everything with one error."""
    return answering(
        status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    )


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of an S3 that answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            """For whichever method."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.send_header("x-amz-bucket-region", "eu-central-1")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Write no log."""

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
