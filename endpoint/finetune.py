"""Teach a network the kinds of goods that a shop has, and make a model package of it.

    python -m endpoint.finetune photos/ --architecture resnet50 --output models/shop
    python -m endpoint.finetune --catalogue --output models/shop

A folder holds one folder of photos for each class; --catalogue takes the photos of the site, and its categories as
classes. A new head learns to tell the classes apart on the network as it is, then the last block learns with it
(--unfreeze all: the whole network, which random weights need), until photos that it does not learn from are told
apart no better. The head is thrown away; models/shop/model.tar.gz has the network, and how well it found held-out
photos' kinds before and after.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from endpoint import photos, startup
from endpoint.architectures import ARCHITECTURES
from endpoint.export import SEED, ExportError, add_network, backbone, check_output, summary, write
from endpoint.photos import PhotosError
from endpoint.training import Plan, Unfreeze, finetune


def table(figures: dict[str, float]) -> str:
    """The figures as text: a line for each measure, with what it was and what it is."""
    lines = [f"{'held-out photos':<18}{'before':>8}{'after':>8}"]
    for name in ("P@1", "P@10", "mAP"):
        lines.append(f"{name:<18}{figures[f'{name} before']:>8.3f}{figures[f'{name} after']:>8.3f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if bool(options.folder) == options.catalogue:
        print("Give either a folder of photos or --catalogue.", file=sys.stderr)
        return 2
    try:
        _run(options)
    except (ExportError, PhotosError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. No package was written.", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    check_output(options.output)
    sources = photos.catalogue_sources() if options.catalogue else photos.folder_sources(options.folder)
    size = options.image_size or ARCHITECTURES[options.architecture].size
    unfreeze: Unfreeze = options.unfreeze or ("all" if options.weights == "none" else "last")
    plan = Plan(
        unfreeze=unfreeze,
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate or (1e-4 if unfreeze == "last" else 1e-3),
        seed=options.seed,
        multi_gpu=options.multi_gpu,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    startup.start()
    with (
        tqdm(total=len(sources), desc="Reading photos", unit=" photos", disable=not sys.stderr.isatty()) as bar,
        photos.prepared(sources, size, bar.update) as prepared,
    ):
        bar.close()
        _say_skipped(prepared.skipped)
        done = finetune(
            lambda: backbone(options.architecture, options.weights, options.seed, size),
            prepared,
            plan,
            architecture=options.architecture,
            pooling=options.pooling,
            report=lambda text: print(text, flush=True),
        )
    path = write(done.backbone, options.architecture, options.pooling, options.output, done.figures)
    print(f"\n{table(done.figures)}\n\n{summary(path)}")
    if done.figures["P@1 after"] < done.figures["P@1 before"]:
        print("It finds less well than the network that it started from: keep that one, or train with more photos.")


def _say_skipped(skipped: dict[str, str], most: int = 10) -> None:
    if not skipped:
        return
    print(f"{len(skipped)} photos cannot be read and are left out:", file=sys.stderr)
    for name, reason in list(skipped.items())[:most]:
        print(f"  {name}: {reason}", file=sys.stderr)
    if len(skipped) > most:
        print(f"  and {len(skipped) - most} more.", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m endpoint.finetune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="a folder that holds one folder of photos for each class"
    )
    parser.add_argument("--catalogue", action="store_true", help="learn from the site's photos and their categories")
    add_network(parser)
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="side of what the model sees (its own)")
    parser.add_argument(
        "--unfreeze",
        choices=get_args(Unfreeze),
        help="what learns with the head: the last block, or all (of random weights: all; otherwise the last block)",
    )
    parser.add_argument("--epochs", type=int, default=Plan.epochs, help=f"at most ({Plan.epochs})")
    parser.add_argument("--batch", type=int, default=Plan.batch, help=f"photos in a step ({Plan.batch})")
    parser.add_argument("--learning-rate", type=float, help="Adam's (0.0001; where all learns, 0.001)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of random weights, split and training ({SEED})")
    parser.add_argument("--multi-gpu", action="store_true", help="share each batch among all GPUs of this machine")
    return parser


if __name__ == "__main__":
    sys.exit(main())
