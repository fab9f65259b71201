"""S3, by moto's server: an account with one empty bucket, for the real boto3."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from typing import ClassVar, Self

from tests.servers.base import HOST, Server, free_port

BUCKET = "shop"
REGION = "eu-west-1"


class Moto(Server):
    """It keeps all in memory: one that is started again has an empty bucket."""

    name: ClassVar[str] = "moto"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_S3_ENDPOINT_URL": self.url,
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(self.port)]

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/data.json", timeout=5).close()  # noqa: S310
        except OSError:
            return False
        return True

    def wait(self) -> Self:
        """Return when it answers and has its bucket."""
        import boto3

        super().wait()
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        s3 = boto3.client("s3", endpoint_url=self.url, region_name=REGION, **keys)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        return self
