"""How well search does on a folder of photos, one folder a class, without a database.

    python -m benchmarks.quality FOLDER [--json]

FOLDER may also come from the environment variable CLOTHES. Embeddings are kept in DATA_DIR/benchmarks, by
model and by what the folder holds. Each photo stands for a product of its own. What search refuses is measured
by benchmarks.refusal.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import numpy as np

from benchmarks.folder import arguments, bar, files_of, originals_of, parser, photos_of
from benchmarks.machine import processor

if TYPE_CHECKING:
    from evaluation.metrics import Floats, Indices

SAMPLE = 200


def measure(folder: Path) -> dict[str, Any]:
    """All figures of the folder's photos, with the processor they were measured on."""
    from evaluation.acceptance import let_through
    from evaluation.colour import colour_differences
    from evaluation.feedback import feedback
    from evaluation.held_out import held_out
    from evaluation.originals import find_originals
    from evaluation.photos import split
    from evaluation.report import report
    from search.vision.embedders import embedders

    embedder = embedders["default"]
    files = files_of(folder)
    photos, lab = photos_of(files, embedder)
    with bar(len(photos), "Learning") as shown:
        parts = split(photos, progress=shown.update)
    found = held_out(photos, parts)
    with bar(len(photos), "Liking and disliking") as shown:
        judged = feedback(photos, parts, progress=shown.update)

    def dominant(rows: Indices) -> Floats:
        return lab[rows]

    everything = np.arange(len(photos))
    learnt, calibration = photos.fit(everything), photos.calibrate(everything)
    sample = np.random.default_rng(0).permutation(len(photos))[:SAMPLE]
    with bar(len(sample), "Finding originals") as shown:
        originals = find_originals(
            photos, originals_of(files, sample), embedder, learnt, calibration, progress=shown.update
        )
    differences = colour_differences(found, dominant)
    return {
        "processor": processor(),
        "model": embedder.fingerprint,
        **report(photos, found, differences, originals, judged=judged),
        "let_through": float(let_through(photos, parts).mean()),
    }


def main() -> None:
    options = arguments(parser(__doc__))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()
    from evaluation.report import tables
    from search.exceptions import SearchError

    try:
        figures = measure(options.folder)
    except SearchError as error:
        sys.exit(str(error))
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    print(f"{figures['processor']}; {figures['model']}")
    print(tables(figures))
    print(f"\nHeld-out photos taken for something the catalogue has: {100 * figures['let_through']:.1f} %.")


if __name__ == "__main__":
    main()
