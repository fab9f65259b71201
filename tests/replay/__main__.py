"""Record anew what the application answers: `python -m tests.replay [--opensearch]`.

The second form starts an OpenSearch of its own and writes only the sections that differ on it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.replay import records
from tests.replay.playing import PREFIX, played
from tests.servers.base import running
from tests.servers.opensearch import OpenSearch, remove


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("--opensearch", action="store_true", help="the sections that differ on OpenSearch")
    if not parser.parse_args().opensearch:
        with tempfile.TemporaryDirectory() as folder:
            for area, sections in played(Path(folder)).items():
                records.write(records.FOLDER / f"{area}.txt", sections)
        return
    with tempfile.TemporaryDirectory() as folder, running(OpenSearch) as (server,):
        url = server.variables["OPENSEARCH_URL"]
        try:
            answers = played(Path(folder), opensearch_url=url)
        finally:
            remove(url, f"{PREFIX}*")
    for area, sections in answers.items():
        shared = records.read(records.FOLDER / f"{area}.txt")
        own = {
            title: body
            for title, body in sections.items()
            if records.difference({title: shared.get(title, "")}, {title: body})
        }
        path = records.FOLDER / "opensearch" / f"{area}.txt"
        if own:
            records.write(path, own)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
