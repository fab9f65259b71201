"""How soon a photo that somebody saves can be found, while the workers are idle and while all is indexed anew.

`python -m tests.servers postgresql redis -- python -m benchmarks.saves FOLDER [--json]` saves photos of a folder in a
new shop on PostgreSQL, one after another, with Celery's two workers on Redis as docs/settings.md starts them; then
again while one of them embeds the whole catalogue anew. Targets: p95 2 s and 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import processor
from benchmarks.server import ROOT

#: photos of the catalogue that is indexed anew
CATALOGUE = 1_500
PATIENCE = 120.0


def measure(folder: Path, number: int) -> dict[str, Any]:
    """Must run with Django set up on an empty shop whose workers run."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    photos = random.Random(1).sample(paths, min(len(paths), CATALOGUE + 2 * number + 1))
    _searchable(_save([photos.pop()])[0])  # the first waits for the model to be loaded
    idle = [_timed(photos.pop()) for _ in range(number)]
    while len(photos) > number:
        last = _save([photos.pop() for _ in range(min(64, len(photos) - number))])[-1]
    _searchable(last)
    from search import runs, tasks
    from search.models import Embedding, IndexRun

    Embedding.objects.all().delete()
    run, _new = runs.ask(IndexRun.Kind.REBUILD)
    tasks.serve.delay()
    while not IndexRun.objects.filter(pk=run.pk, state=IndexRun.State.RUNNING).exists():
        time.sleep(0.01)
    busy = [_timed(path) for path in photos]
    run.refresh_from_db()
    return {
        "processor": processor(),
        "idle": _figures(idle),
        "busy": _figures(busy),
        "still_busy": run.state == IndexRun.State.RUNNING,
    }


def _save(paths: list[Path]) -> list[int]:
    """Products with a photo each, in one transaction; the photos' keys."""
    from django.db import transaction

    from catalogue.models import Product, ProductImage

    made = []
    with transaction.atomic():
        for path in paths:
            photo = ProductImage(product=Product.objects.create(sku=str(path), title=path.stem))
            photo.set_content(path.read_bytes())
            photo.save()
            made.append(photo.pk)
    return made


def _searchable(photo: int) -> None:
    from search.models import IndexEntry

    until = time.monotonic() + PATIENCE
    while not IndexEntry.objects.filter(photo_id=photo, state="indexed").exists():
        if time.monotonic() > until:
            raise TimeoutError("No worker has come to a photo.")
        time.sleep(0.01)


def _timed(path: Path) -> float:
    start = time.perf_counter()
    _searchable(_save([path])[0])
    return time.perf_counter() - start


def _figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_s": round(statistics.median(ordered), 2),
        "p95_s": round(ordered[int(len(ordered) * 0.95)], 2),
        "longest_s": round(ordered[-1], 2),
    }


@contextmanager
def _workers() -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "visualsearch", "--quiet", "worker", "-c", "1", "-Q"]
    queues = ("interactive", "bulk")
    running = [subprocess.Popen([*command, queue, "-n", f"{queue}@%h"], cwd=ROOT) for queue in queues]
    try:
        yield
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=40, help="photos saved in each state (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not {"DATABASE_URL", "REDIS_URL"} <= os.environ.keys():
        parser.error("DATABASE_URL and REDIS_URL name no servers: see the first lines of this module.")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {
            "DATA_DIR": scratch,
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "visualsearch.settings",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        with _workers():
            result = measure(options.folder, options.number)
    if options.json:
        print(json.dumps(result))
        return
    print(result["processor"])
    for state, target in (("idle", 2), ("busy", 5)):
        figures = result[state]
        print(
            f"workers {state}: a photo is searchable after {figures['p50_s']} s (p50), {figures['p95_s']} s "
            f"(p95, target {target}), {figures['longest_s']} s at the longest"
        )
    if not result["still_busy"]:
        print("The rebuild had ended before the last photo was saved: save fewer (--number).")


if __name__ == "__main__":
    main()
