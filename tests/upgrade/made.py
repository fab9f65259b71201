"""Make a small data directory, with the answers that it gives, for the test beside this file.

    python -m tests.upgrade.made FOLDER

Run it at the release to be upgraded from. It leaves `data.zip` and `answers.json` in FOLDER. The data directory has
a dozen products with photos, an index, a search that somebody made, an account, and a rebuild that was stopped
half-way.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.test import Client

from tests.drawing import COLOURS, photo

KINDS = ("shirt", "dress", "hat", "trousers")
LEFT_OUT = {"secret_key", "static", "imports", "models"}


def answers() -> dict[str, Any]:
    """What the shop answers: the products like a picture and like each product, with their scores."""
    client = Client(SERVER_NAME="localhost")
    upload = {"base64img": _base64(photo("dress", COLOURS["blue"], seed=77)), "k": 12}
    like_picture = client.post("/postImage", json.dumps(upload), content_type="application/json").json()
    listed = client.get("/api/v1/products/?k=50").json()["results"]
    similar = {
        product["sku"]: [
            [found["sku"], found["score"], found["match"]]
            for found in client.get(f"/api/v1/products/{product['sku']}/similar/?k=12").json()["results"]
        ]
        for product in listed
    }
    return {
        "products": [[product["sku"], product["title"], product["price"]] for product in listed],
        "like a picture": [Path(address).stem[:16] for address in like_picture["images"]],
        "similar": similar,
        "searches": {path: client.get(path).status_code for path in _searches()},
    }


def _searches() -> list[str]:
    from search.models import Query

    return [query.get_absolute_url() for query in Query.objects.order_by("created")]


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def stock(folder: Path) -> None:
    """Fill an empty shop."""
    from django.contrib.auth import get_user_model

    for kind in KINDS:
        for name in ("red", "blue", "green"):
            path = folder / "stock" / kind / f"{kind}-{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo(kind, COLOURS[name]))
    call_command("import_catalogue", str(folder / "stock"), "--json", verbosity=0)
    get_user_model().objects.create_superuser("ada", "ada@example.com", "a long password of Ada's")
    searched = Client(SERVER_NAME="localhost").post(
        "/api/v1/search/",
        json.dumps({"image_base64": _base64(photo("shirt", COLOURS["red"], seed=5)), "k": 3}),
        content_type="application/json",
    )
    assert searched.status_code == 201, searched.content
    _stop_a_rebuild()


def _stop_a_rebuild() -> None:
    """Pause a rebuild while it indexes, where the release can; the names are those of the release at 70296a0."""
    building, runs = import_module("search.building"), import_module("search.runs")

    def pause(stage: str, _done: int, _total: int) -> None:
        if stage == "index":
            runs.pause()

    try:
        building.rebuild("default", pause)
    except import_module("search.exceptions").BuildPaused:
        return
    raise AssertionError("The rebuild was not paused.")


def _compact(path: Path) -> None:
    """Write the database anew, in one file and without the cache."""
    from django.db import connection, connections

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cache")
        cursor.execute("VACUUM INTO %s", [str(path.with_suffix(".new"))])
    connections.close_all()
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    path.with_suffix(".new").rename(path)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = folder / "data"
        data.mkdir()
        os.environ |= {
            "DATA_DIR": str(data),
            "DJANGO_SETTINGS_MODULE": "tests.replay.settings",
            "QUERY_LIFETIME_HOURS": "876000",
        }
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        stock(folder)
        given = answers()
        _compact(data / "db.sqlite3")
        target.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target / "data.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(data.rglob("*")):
                relative = path.relative_to(data)
                if path.is_file() and relative.parts[0] not in LEFT_OUT:
                    archive.write(path, relative)
        (target / "answers.json").write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
