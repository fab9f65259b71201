"""The figures of an evaluation, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.feedback import Feedback
from evaluation.held_out import HeldOut
from evaluation.metrics import Bools, Floats, confidence_interval
from evaluation.originals import Originals
from evaluation.photos import Photos
from search.vision import vectors


def report(
    photos: Photos,
    found: Sequence[HeldOut],
    differences: Sequence[Floats],
    originals: Mapping[str, Originals],
    *,
    judged: Sequence[Feedback] = (),
    names: Mapping[Any, str] | None = None,
) -> dict[str, Any]:
    """All figures, ready for JSON. A mean comes with its 95 % confidence interval: [mean, low, high].

    A gain is the mean of the queries' differences. `names` are the categories' for a person; by default each is
    its own name.
    """
    names = names or {}
    categories = np.array([str(names.get(category, category)) for category in photos.categories])
    return {
        "photos": len(photos),
        "products": len(np.unique(photos.products)),
        "held_out": [
            {
                "colour_weight": one.weight,
                "queries": len(one.queries),
                **one.retrieval.summary(),
                "colour_difference": _mean(difference),
                "categories": {
                    str(name): {"queries": int(chosen.sum()), **one.of(chosen).summary()}
                    for name in np.unique(categories[one.queries])
                    for chosen in [categories[one.queries] == name]
                },
            }
            for one, difference in zip(found, differences, strict=True)
        ],
        "feedback": [
            {"colour_weight": one.weight, "judged": name, **_gains(one, chosen)}
            for one in judged
            for name, chosen in {
                "all queries": np.ones(len(one.before), bool),
                "two right, two wrong": one.full,
                "fewer of either": ~one.full,
            }.items()
        ],
        "originals": {
            name: {"queries": len(one.found), "R@1": _mean(one.found), "same_item": _mean(one.same_item)}
            for name, one in originals.items()
        },
    }


def tables(figures: Mapping[str, Any]) -> str:
    """A report for a person, in aligned columns."""
    held = figures["held_out"]
    measures = ("P@1", "P@10", "mAP")
    parts = [
        f"{figures['photos']} photos of {figures['products']} products. In brackets: 95 % confidence.",
        "Held-out photos, by weight of colour:",
        table(
            ["weight", "queries", *measures, "colour difference"],
            [
                [
                    f"{row['colour_weight']:g}",
                    str(row["queries"]),
                    *(_share(row[m]) for m in measures),
                    _interval(row["colour_difference"], 1),
                ]
                for row in held
            ],
        ),
    ]
    shown = min(held, key=lambda row: abs(row["colour_weight"] - vectors.DEFAULT_COLOUR_WEIGHT))
    parts += [
        f"By category, weight {shown['colour_weight']:g}:",
        table(
            ["category", "queries", *measures],
            [
                [name, str(row["queries"]), *(_share(row[m]) for m in measures)]
                for name, row in shown["categories"].items()
            ],
        ),
    ]
    if figures["feedback"]:
        parts += [
            "P@10 of the next ten, before and after two right results of ten are liked and two wrong ones disliked:",
            table(
                ["judged", "weight", "queries", "before", "after", "gain", "gain among those not seen yet"],
                [
                    [
                        row["judged"],
                        f"{row['colour_weight']:g}",
                        str(row["queries"]),
                        *(_share(row[measure]) for measure in ("before", "after", "gain", "unseen_gain")),
                    ]
                    for row in figures["feedback"]
                ],
            ),
        ]
    if figures["originals"]:
        parts += [
            "Distorted copies that find their original first, and that are called the same item:",
            table(
                ["distortion", "queries", "R@1", "same item"],
                [
                    [name, str(row["queries"]), _share(row["R@1"]), _share(row["same_item"])]
                    for name, row in figures["originals"].items()
                ],
            ),
        ]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    )


def _gains(one: Feedback, chosen: Bools) -> dict[str, Any]:
    return {
        "queries": int(chosen.sum()),
        "before": _mean(one.before[chosen]),
        "after": _mean(one.after[chosen]),
        "gain": _mean((one.after - one.before)[chosen]),
        "unseen_before": _mean(one.unseen_before[chosen]),
        "unseen_after": _mean(one.unseen_after[chosen]),
        "unseen_gain": _mean((one.unseen_after - one.unseen_before)[chosen]),
    }


def _mean(values: NDArray[Any]) -> tuple[float, float, float] | None:
    return (float(values.mean()), *confidence_interval(values)) if len(values) else None


def _interval(mean: tuple[float, float, float] | None, digits: int) -> str:
    if mean is None:
        return "-"
    middle, low, high = (f"{value:.{digits}f}" for value in mean)
    return f"{middle} [{low}, {high}]"


def _share(mean: tuple[float, float, float] | None) -> str:
    return _interval(mean, 3).replace("0.", ".")
