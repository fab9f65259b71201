"""“Nothing like this in the catalogue”: what search refuses and what it lets through.

    python -m benchmarks.refusal FOLDER [--json] [--curve FILE.svg]

FOLDER holds one folder of photos for each class. Five folds: each fold's photos stand for a shopper's, the others
are the catalogue, which calibrates itself; so every other thing is asked of five catalogues, and its share counts.
Distorted copies of held-out photos are asked in the same way, and smaller catalogues drawn from the same photos.
Where a score stands to its catalogue's own bound is the measure of the curve: the shop works at 0.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import numpy as np

from benchmarks import curve
from benchmarks.folder import arguments, bar, files_of, originals_of, parser, photos_of
from benchmarks.machine import processor
from benchmarks.other_things import other_things

if TYPE_CHECKING:
    from evaluation.metrics import Floats
    from evaluation.photos import Fold, Photos

DISTORTED = 300  # photos, each in every distortion
SIZES = (25, 50, 100, 400, 1_000)
DRAWS = 10  # catalogues of each size
BATCH = 64


def measure(folder: Path) -> dict[str, Any]:
    """All figures, with the processor they were measured on."""
    from evaluation.distortions import DISTORTIONS, encoded
    from evaluation.originals import see
    from evaluation.photos import split
    from search.vision.embedders import embedders

    embedder = embedders["default"]
    files = files_of(folder)
    photos, _lab = photos_of(files, embedder)
    with bar(len(photos), "Learning") as shown:
        parts = split(photos, progress=shown.update)

    things = list(other_things())
    kinds = np.array([thing.kind for thing in things])
    others = _seen((encoded(thing.image) for thing in things), embedder)
    rejected = np.stack([_margins(photos, part, others) for part in parts])  # (folds, pictures)
    kept = np.concatenate([_margins(photos, part, photos.embeddings[part.queries]) for part in parts])
    wrong, right = _curve(kept, rejected)

    sample = np.random.default_rng(0).permutation(len(photos))[:DISTORTED]
    copies = []
    with bar(len(sample), "Distorting") as shown:
        for _row, picture in originals_of(files, sample):
            copies.append(see([distort(picture) for distort in DISTORTIONS.values()], embedder)[0])
            shown.update(1)
    distorted = np.empty((len(sample), len(DISTORTIONS)))
    for part in parts:
        here = np.flatnonzero(np.isin(sample, part.queries))
        seen = np.concatenate([copies[number] for number in here])
        distorted[here] = _margins(photos, part, seen).reshape(len(here), -1)

    refused = rejected < 0
    return {
        "processor": processor(),
        "model": embedder.fingerprint,
        "photos": len(photos),
        "bound": [photos.calibrate(part.gallery).loosely_similar for part in parts],
        "let_through": _mean(kept >= 0),
        "refused": _mean(refused.mean(axis=0)),
        "area": _area(wrong, right),
        "curve": [wrong.round(5).tolist(), right.round(5).tolist()],
        "kinds": {
            str(kind): {
                "pictures": int((kinds == kind).sum()),
                "refused": float(refused[:, kinds == kind].mean()),
                "highest": float(rejected[:, kinds == kind].max()),
                "accepted": {
                    thing.name: int((~refused[:, column]).sum())
                    for column, thing in enumerate(things)
                    if thing.kind == kind and not refused[:, column].all()
                },
            }
            for kind in dict.fromkeys(kinds)
        },
        "distorted": {name: _mean(distorted[:, column] >= 0) for column, name in enumerate(DISTORTIONS)},
        "sizes": [_smaller(photos, others, size) for size in SIZES if size < len(photos)],
    }


def _curve(kept: Any, rejected: Any) -> tuple[Floats, Floats]:
    """The receiver operating characteristic: false and true positive rates at each threshold."""
    from sklearn.metrics import roc_curve

    scores = np.concatenate([np.ravel(kept), np.ravel(rejected)])
    belongs = np.arange(len(scores)) < np.size(kept)
    wrong, right, _thresholds = roc_curve(belongs, scores)
    return wrong, right


def _area(wrong: Floats, right: Floats) -> float:
    from sklearn.metrics import auc

    return float(auc(wrong, right))


def _margins(photos: Photos, part: Fold, embeddings: Any) -> Floats:
    """How far above the bound of the fold's catalogue each of `embeddings` (q, d) is: (q,)."""
    from evaluation.acceptance import best_cosines

    best = best_cosines(photos, part.gallery, part.learnt, embeddings)
    return np.asarray(best - photos.calibrate(part.gallery).loosely_similar, np.float64)


def _smaller(photos: Photos, others: Any, size: int) -> dict[str, Any]:
    """The same with catalogues of `size` photos, drawn from all; every other photo stands for a shopper's."""
    from evaluation.photos import Fold

    kept, rejected, bounds = [], [], []
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(photos))
        drawn = np.sort(order[:size])
        part = Fold(order[size:], drawn, photos.fit(drawn))
        kept.append(_margins(photos, part, photos.embeddings[part.queries]))
        rejected.append(_margins(photos, part, others))
        bounds.append(photos.calibrate(drawn).loosely_similar)
    through = [float((margins >= 0).mean()) for margins in kept]
    refused = [float((margins < 0).mean()) for margins in rejected]
    return {
        "photos": size,
        "bound": [min(bounds), max(bounds)],
        "let_through": [float(np.mean(through)), min(through), max(through)],
        "refused": [float(np.mean(refused)), min(refused), max(refused)],
        "area": float(np.mean([_area(*_curve(k, r)) for k, r in zip(kept, rejected, strict=True)])),
    }


def _seen(files: Iterator[bytes], embedder: Any) -> Any:
    """The embeddings of pictures (n, d), by the way of a shopper's picture."""
    from evaluation.originals import see

    held = list(files)
    return np.concatenate([see(held[start : start + BATCH], embedder)[0] for start in range(0, len(held), BATCH)])


def _mean(values: Any) -> list[float]:
    from evaluation.metrics import confidence_interval

    return [float(np.mean(values)), *confidence_interval(values)]


def _percent(mean: list[float]) -> str:
    middle, low, high = (f"{100 * value:.1f}" for value in mean)
    return f"{middle} % [{low}, {high}]"


def show(figures: dict[str, Any]) -> str:
    """The report for a person."""
    from evaluation.report import table

    pictures = sum(kind["pictures"] for kind in figures["kinds"].values())
    return "\n\n".join(
        [
            f"{figures['processor']}; {figures['model']}",
            f"Held-out photos let through, of {figures['photos']}: {_percent(figures['let_through'])}.\n"
            f"Other things refused, of {pictures}: {_percent(figures['refused'])}.\n"
            f"Area under the curve: {figures['area']:.4f}; bounds from {min(figures['bound']):.3f} to "
            f"{max(figures['bound']):.3f}. In brackets: 95 % confidence.",
            table(
                ["kind", "pictures", "refused", "highest score, from the bound"],
                [
                    [name, str(kind["pictures"]), f"{100 * kind['refused']:.1f} %", f"{kind['highest']:+.3f}"]
                    for name, kind in figures["kinds"].items()
                ],
            ),
            "Accepted, by how many of the five catalogues: "
            + (
                "; ".join(
                    f"{name} {one} ({times})"
                    for name, kind in figures["kinds"].items()
                    for one, times in kind["accepted"].items()
                )
                or "none"
            )
            + ".",
            table(
                ["distortion of a held-out photo", "let through"],
                [[name, _percent(share)] for name, share in figures["distorted"].items()],
            ),
            f"Smaller catalogues, {DRAWS} of each size: mean, lowest and highest.",
            table(
                ["photos", "bound", "let through", "refused", "area"],
                [
                    [
                        str(row["photos"]),
                        "{:.2f} to {:.2f}".format(*row["bound"]),
                        _percent(row["let_through"]),
                        _percent(row["refused"]),
                        f"{row['area']:.4f}",
                    ]
                    for row in figures["sizes"]
                ],
            ),
        ]
    )


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--curve", type=Path, metavar="FILE.svg", help="draw the curve into this file")
    options = arguments(made)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")
    django.setup()
    from search.exceptions import SearchError

    try:
        figures = measure(options.folder)
    except SearchError as error:
        sys.exit(str(error))
    if options.curve:
        wrong, right = figures["curve"]
        options.curve.write_text(
            curve.draw(
                wrong,
                right,
                point=(1 - figures["refused"][0], figures["let_through"][0]),
                area=figures["area"],
            ),
            encoding="utf-8",
        )
    print(json.dumps(figures, ensure_ascii=False) if options.json else show(figures))


if __name__ == "__main__":
    main()
