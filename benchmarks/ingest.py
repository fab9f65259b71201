"""How fast a folder of photos becomes a searchable catalogue, and in how much memory.

`python -m benchmarks.ingest FOLDER [--data-dir DIR] [--json]` runs `manage.py import_catalogue` on an empty shop in a
process of its own: files, thumbnails, embeddings, projection and index included. Target: 60 photos/s, 800 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import processor

MANAGE = [sys.executable, str(Path(__file__).resolve().parent.parent / "manage.py")]


def ingest(folder: Path, data_dir: Path) -> dict[str, object]:
    environment = os.environ | {"DATA_DIR": str(data_dir), "LOG_LEVEL": "WARNING"}
    for command in (["migrate", "-v0"], ["createcachetable"]):
        subprocess.run([*MANAGE, *command], env=environment, check=True)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*MANAGE, "import_catalogue", str(folder), "--json"], env=environment, check=True, stdout=subprocess.PIPE
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run([*MANAGE, "index_status", "--json"], env=environment, check=True, stdout=subprocess.PIPE)
    indexed = json.loads(status.stdout)["indexed"]
    return {
        "processor": processor(),
        "indexed": indexed,
        "seconds": round(seconds, 1),
        "photos_per_second": round(indexed / seconds, 1),
        "cpu_ms_per_photo": round(1_000 * (_cpu(after) - _cpu(before)) / indexed, 1),
        "peak_mb": round(after.ru_maxrss / 1024),
        "import": json.loads(done.stdout),
    }


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", type=Path, help="Keep the catalogue here (an empty or new folder).")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = ingest(options.folder, options.data_dir or Path(scratch))
    if options.json:
        print(json.dumps(result))
    else:
        print(result["processor"])
        print(
            f"{result['indexed']} photos in {result['seconds']} s: {result['photos_per_second']} photos/s "
            f"(target 60), {result['cpu_ms_per_photo']} ms of processor time each, "
            f"peak memory {result['peak_mb']} MB (target below 800)"
        )


if __name__ == "__main__":
    main()
