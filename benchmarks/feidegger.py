"""How long a data set of FEIDEGGER's size takes from its file to a catalogue that can be searched.

    python -m benchmarks.feidegger FOLDER [--dresses 8732] [--json]
    python -m tests.servers -- python -m benchmarks.feidegger FOLDER

The first line is the shop as it comes: files, SQLite, the model of the process and the embedded index. With the
test servers it is production: photos into S3 (moto), a ResNet50 behind the endpoint, OpenSearch and PostgreSQL. The
file has the release's form; its pictures, of the release's width, are made from FOLDER (one folder a class), each
photo as often as needed, closer each time and every other time mirrored, and a server of this machine gives them.
The clock runs for `import_catalogue`: downloads, thumbnails, embeddings, projection and index; not for making the
pictures. The sample took 24 to 25 minutes for the embeddings alone, on three ml.m5.xlarge.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks.folder import bar, files_of
from benchmarks.machine import processor
from benchmarks.server import ALONE, Site

DRESSES = 8_732
WIDTH = 762
"""Pixels across a picture of the release."""
CLOSER = 0.02
"""Of its width and height, what each further picture of a photo leaves out on every side."""


def picture(path: Path, turn: int, target: Path) -> None:
    """Write a photo's picture of that turn, as a JPEG."""
    image = Image.open(path).convert("RGB")
    across, down = (round(side * CLOSER * turn) for side in image.size)
    image = image.crop((across, down, image.width - across, image.height - down))
    if turn % 2:
        image = ImageOps.mirror(image)
    image.resize((WIDTH, round(image.height * WIDTH / image.width))).save(target, "JPEG", quality=85)


def pictures(files: list[Path], number: int, folder: Path) -> list[str]:
    """So many pictures of these photos in a folder; their names."""
    names = [f"{place}.jpg" for place in range(number)]

    def make(place: int) -> None:
        turn, photo = divmod(place, len(files))
        picture(files[photo], turn, folder / names[place])

    with ThreadPoolExecutor(os.cpu_count()) as pool, bar(number, "Making pictures") as shown:
        for _done in pool.map(make, range(number)):
            shown.update()
    return names


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_request(self, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address below which a folder's files are."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def release(addresses: list[str], path: Path) -> Path:
    """A file of the release's form."""
    texts = ["Ein Kleid.", "Ein Kleid mit Ärmeln.", "Kleid, knielang.", "Einfarbiges Kleid.", "Schlichtes Kleid."]
    dresses = [
        {"url": address, "split": str(place % 10), "descriptions": texts} for place, address in enumerate(addresses)
    ]
    path.write_text(json.dumps(dresses), encoding="utf-8")
    return path


def measure(files: list[Path], dresses: int, folder: Path) -> dict[str, Any]:
    servers = os.environ.get("SERVERS", "").split()
    variables = dict(ALONE) | {"FETCH_PRIVATE_ADDRESSES": "127.0.0.0/8"}
    if servers:
        del variables["DATABASE_URL"]  # one of the servers
        variables["SECRET_KEY"] = "for this benchmark alone, and long enough to be one"  # noqa: S105
    site = Site(folder / "data", variables)
    site.prepare()
    shown = folder / "pictures"
    shown.mkdir()
    names = pictures(files, dresses, shown)
    with served(shown) as address:
        path = release([f"{address}/{name}" for name in names], folder / "FEIDEGGER_release_1.2.json")
        start = time.perf_counter()
        site.run("manage.py", "import_catalogue", str(path), "--format", "feidegger", "-v0")
        seconds = time.perf_counter() - start
    status = json.loads(site.run("manage.py", "index_status", "--json"))
    return {
        "processor": processor(),
        "parts": "production" if servers else "default",
        "dresses": dresses,
        "indexed": status["indexed"],
        "seconds": round(seconds, 1),
        "photos_per_second": round(status["indexed"] / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dresses", type=int, default=DRESSES, help="entries of the file (8732)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = files_of(options.folder)
    if not files:
        parser.error("the folder holds no folder of photos.")
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(files, options.dresses, Path(scratch))
    if options.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['processor']}; {result['parts']}: {result['indexed']} of {result['dresses']} pictures fetched, "
            f"embedded and searchable in {result['seconds'] / 60:.1f} min, {result['photos_per_second']} photos/s"
        )
    sys.exit(result["indexed"] != options.dresses)


if __name__ == "__main__":
    main()
