"""The project's own endpoint server, with a ResNet50 of random weights."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import ClassVar

from tests.servers.base import HOST, ROOT, Server, free_port, installed

NAME = "shop"
ARCHITECTURE = "resnet50"


class Endpoint(Server):
    """Started as in production; the package, made once, is kept among what servers need."""

    name: ClassVar[str] = "endpoint"
    note: ClassVar[str] = (
        "The endpoint's ResNet50 has random weights: what it finds means little. Without SAGEMAKER_ENDPOINT_NAME the "
        "site searches with its own model."
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @classmethod
    def package(cls) -> Path:
        return installed() / "models" / ARCHITECTURE / "model.tar.gz"

    @classmethod
    def missing(cls) -> list[str]:
        return [] if cls.package().exists() else ["a model package"]

    @classmethod
    def install(cls) -> None:
        export = ["endpoint.export", "--architecture", ARCHITECTURE, "--weights", "none"]
        folder = str(cls.package().parent)
        subprocess.run([sys.executable, "-m", *export, "--output", folder], cwd=ROOT, check=True)  # noqa: S603

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {"SAGEMAKER_ENDPOINT_NAME": NAME, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url}

    def command(self) -> list[str]:
        options = ["--model", str(self.package()), "--port", str(self.port), "--name", NAME]
        return [sys.executable, "-m", "endpoint.server", *options]

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/ping", timeout=5).close()  # noqa: S310
        except OSError:
            return False
        return True
