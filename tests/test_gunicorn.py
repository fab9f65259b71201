"""What a web process does before its first heartbeat."""

from __future__ import annotations

import logging
import runpy
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.search import scripted

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "gunicorn.conf.py"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Any:
    with scripted.served() as served:
        scripted.use(served.url, monkeypatch)
        yield served


@pytest.mark.django_db
def test_a_web_process_does_not_wait_for_an_endpoint_that_hangs(endpoint: scripted.Endpoint, settings: Any) -> None:
    options = {"endpoint": scripted.NAME, "query_timeout": 60, "attempts": 1}
    settings.EMBEDDERS = {
        "default": {"BACKEND": "search.vision.embedders.sagemaker.SageMakerEmbedder", "OPTIONS": options}
    }
    endpoint.script.append(scripted.hanging)  # ten seconds
    began = time.monotonic()
    runpy.run_path(str(CONFIGURATION))["make_ready"](SimpleNamespace(log=logging.getLogger("gunicorn")))
    assert time.monotonic() - began < 5
    [warming] = [thread for thread in threading.enumerate() if thread.name == "warm"]
    endpoint.ended.set()
    warming.join(30)
    assert not warming.is_alive()
    assert endpoint.seen[0] == 0  # it was asked which model it has
