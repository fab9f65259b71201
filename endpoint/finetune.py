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
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from endpoint import photos, startup
from endpoint.architectures import ARCHITECTURES
from endpoint.export import SEED, ExportError, add_network, backbone, check_output, summary, write
from endpoint.photos import Photos, PhotosError
from modelarchive.pooling import Pooling

if TYPE_CHECKING:
    import keras

Unfreeze = Literal["last", "all"]
Rows = NDArray[np.float32]
Indices = NDArray[np.intp]

STOPPING, HELD_OUT = 0.15, 0.15
"""Shares of the products of each class: those that say when to stop, and those that the figures are of."""

HEAD_EPOCHS = 60
PATIENCE = 5
"""Epochs without a lower loss before training ends."""

_SCALE = 16.0
"""Cosine -> logit: of 1, a cosine of 1 against 0 would leave ten classes a quarter of the probability at the most.
F. Wang et al., "NormFace", ACM Multimedia 2017."""

_MOMENTUM = 0.9
"""Of batch normalisation's averages where the whole network learns: Keras's .99 and .999 are for many thousands of
steps, and a shop's photos make some hundred. Training alone is touched, not the network's form."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    unfreeze: Unfreeze = "last"
    epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-4
    seed: int = SEED
    multi_gpu: bool = False
    #: Keras's word: 0 nothing, 1 a bar, 2 a line for each epoch
    verbose: int = 0


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A trained network without its head, and what is known of it."""

    backbone: keras.Model
    #: P@1, P@10, mAP on held-out photos among all others, "before" and "after"; how many of each
    figures: dict[str, float]
    #: loss of each epoch, on what was learnt from and on what said when to stop
    losses: list[float] = field(default_factory=list)
    stopping_losses: list[float] = field(default_factory=list)


def finetune(
    start: Callable[[], keras.Model],
    taught: Photos,
    plan: Plan,
    *,
    architecture: str,
    pooling: Pooling = "mean",
    tell: Callable[[str], object] = lambda _text: None,
) -> Finetuned:
    """Train the network that `start` makes, on photos of its input size; `tell` hears what is being done.

    The figures are of held-out photos that look for their kind among all others, as shoppers' photos do in a
    catalogue that the network has learnt from. The same seed gives the same parts, start and order; how threads add
    up may still move the last digits.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(plan.seed)
    strategy = tf.distribute.MirroredStrategy() if plan.multi_gpu else tf.distribute.get_strategy()
    if plan.multi_gpu:
        tell(f"Training on {strategy.num_replicas_in_sync} device(s).")
    held_out, stopping, learnt = taught.parts((HELD_OUT, STOPPING), plan.seed)
    tell(
        f"{len(taught):,} photos of {len(taught.classes)} classes: {len(learnt):,} to learn from, "
        f"{len(stopping):,} to say when to stop, {len(held_out):,} held out."
    )
    with strategy.scope():
        network = start()
        embed, model = _models(network, architecture, pooling, len(taught.classes), plan.seed)
    tell("Rows of all photos, by the network as it is:")
    before = _rows(embed, taught, plan)
    tell("The head learns:")
    with strategy.scope():
        _fit_head(model.get_layer("head"), before, taught, plan, learnt=learnt, stopping=stopping)
        _unfreeze(network, architecture, plan.unfreeze)
        model.compile(
            keras.optimizers.Adam(_schedule(plan, max(1, len(learnt) // plan.batch))),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    tell("The last block learns:" if plan.unfreeze == "last" else "The whole network learns:")
    kept, kept_loss = model.get_weights(), model.evaluate(_batches(taught, stopping, plan), verbose=0)[0]
    history = model.fit(
        _batches(taught, learnt, plan, shuffled=True),
        validation_data=_batches(taught, stopping, plan),
        epochs=plan.epochs,
        callbacks=[_early_stopping()],
        shuffle=False,  # the batches are
        verbose=plan.verbose,
    ).history
    if not min(loss for loss in (*history["val_loss"], math.inf) if not math.isnan(loss)) < kept_loss:
        tell("That told photos apart no better than the head alone: the network is left as it was.")
        model.set_weights(kept)
    tell("Rows of all photos, by the network as it is now:")
    after = _rows(embed, taught, plan)
    figures: dict[str, float] = {"photos learnt from": len(learnt), "photos held out": len(held_out)}
    for when, rows in (("before", before), ("after", after)):
        found = _retrieval(rows, taught.labels, held_out, np.concatenate([learnt, stopping]))
        figures |= {f"{name} {when}": round(value, 4) for name, value in found.items()}
    # Out of the strategy: its variables are one for each device.
    plain = ARCHITECTURES[architecture].backbone(None, int(network.input_shape[1]))
    plain.set_weights(network.get_weights())
    return Finetuned(plain, figures, history["loss"], history["val_loss"])


def _models(
    network: keras.Model, architecture: str, pooling: Pooling, classes: int, seed: int
) -> tuple[keras.Model, keras.Model]:
    """Squares -> rows, as the package's graph makes them; and squares -> classes, with augmentation."""
    import keras

    from endpoint.graph import pooled

    layers = keras.layers
    size = int(network.input_shape[1])
    squares = keras.Input((size, size, 3), dtype="uint8")
    pixels = layers.Rescaling(1.0)(squares)  # uint8 -> float32, of 0 to 255
    varied = pixels
    # What photos of one thing differ by: sides, where the square was cut, light.
    for layer in (
        layers.RandomFlip("horizontal", seed=seed),
        layers.RandomTranslation(0.08, 0.08, fill_mode="nearest", seed=seed + 1),
        layers.RandomZoom((-0.15, 0.1), fill_mode="nearest", seed=seed + 2),
        layers.RandomBrightness(0.15, seed=seed + 3),
    ):
        varied = layer(varied)
    preprocess = layers.Lambda(ARCHITECTURES[architecture].preprocess)
    pool = layers.Lambda(lambda features: pooled(features, pooling), output_shape=(int(network.output_shape[-1]),))
    head = keras.Sequential(
        [
            keras.Input((int(network.output_shape[-1]),)),
            # Cosines with a direction for each class, since rows are compared by cosine: of real clothes, random
            # weights of MobileNetV2 tell .63 apart after twelve epochs; with a plain layer .41, after fourteen.
            layers.UnitNormalization(),
            layers.Dense(classes, use_bias=False, kernel_constraint=keras.constraints.UnitNorm(axis=0)),
            layers.Rescaling(_SCALE),
        ],
        name="head",
    )
    embed = keras.Model(squares, pool(network(preprocess(pixels))))
    model = keras.Model(squares, head(pool(network(preprocess(varied)))))
    return embed, model


def _unfreeze(network: keras.Model, architecture: str, which: Unfreeze) -> None:
    """Batch normalisation of a trained network keeps its averages: a few photos would spoil them."""
    import keras

    learning = network.layers if which == "all" else ARCHITECTURES[architecture].last_block(network)
    for layer in network.layers:
        normalising = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer in learning and (which == "all" or not normalising)
        if normalising and which == "all":
            layer.momentum = _MOMENTUM


def _fit_head(
    head: keras.Model, rows: Rows, taught: Photos, plan: Plan, *, learnt: Indices, stopping: Indices
) -> None:
    """On the rows of the photos as they are, which are known already: seconds instead of many passes."""
    import keras

    head.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    done = head.fit(
        rows[learnt],
        taught.labels[learnt],
        validation_data=(rows[stopping], taught.labels[stopping]),
        batch_size=plan.batch,
        epochs=HEAD_EPOCHS,
        callbacks=[_early_stopping()],
        verbose=0,
    ).history
    if plan.verbose:
        loss, accuracy = min(done["val_loss"]), max(done["val_accuracy"])
        print(f"{len(done['loss'])} epochs - val_accuracy: {accuracy:.4f} - val_loss: {loss:.4f}", flush=True)


def _schedule(plan: Plan, steps: int) -> Any:
    """Up to the learning rate in the first epoch, while averages settle, and down along a cosine in the others."""
    import keras

    return keras.optimizers.schedules.CosineDecay(
        0.0, steps * max(1, plan.epochs - 1), warmup_target=plan.learning_rate, warmup_steps=steps
    )


def _early_stopping() -> Any:
    import keras

    return keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)


def _batches(taught: Photos, rows: Indices, plan: Plan, *, shuffled: bool = False) -> Any:
    """Squares and labels of some photos, read from their file batch by batch."""
    import tensorflow as tf

    size = taught.squares.shape[1]

    def read(chosen: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return taught.squares[chosen], taught.labels[chosen].astype(np.int64)

    def batch(chosen: Any) -> tuple[Any, Any]:
        squares, labels = tf.numpy_function(read, [chosen], (tf.uint8, tf.int64))
        return tf.ensure_shape(squares, [None, size, size, 3]), tf.ensure_shape(labels, [None])

    data = tf.data.Dataset.from_tensor_slices(rows.astype(np.int64))
    if shuffled:
        data = data.shuffle(len(rows), plan.seed)
    # A last batch of one or two photos would unsettle batch normalisation.
    return data.batch(plan.batch, drop_remainder=shuffled and len(rows) > plan.batch).map(batch).prefetch(2)


def _rows(embed: keras.Model, taught: Photos, plan: Plan) -> Rows:
    """Rows of all photos, float32 (n, dimensions), of unit length."""
    everything = _batches(taught, np.arange(len(taught)), plan).map(lambda squares, _labels: squares)
    rows: Rows = embed.predict(everything, verbose=plan.verbose)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows


def _retrieval(rows: Rows, labels: NDArray[np.intp], queries: Indices, gallery: Indices) -> dict[str, float]:
    """P@1, P@10 and mAP of some photos' classes among others, by cosine."""
    from evaluation import metrics

    found = metrics.retrieval(metrics.similarities(rows[queries], rows[gallery]), labels[queries], labels[gallery])
    return {name: mean for name, (mean, _low, _high) in found.summary().items()}


def table(figures: dict[str, float]) -> str:
    """The figures as text: a line for each measure, with what it was and what it is."""
    lines = [f"{'held-out photos':<18}{'before':>8}{'after':>8}"]
    for name in ("P@1", "P@10", "mAP"):
        lines.append(f"{name:<18}{figures[f'{name} before']:>8.3f}{figures[f'{name} after']:>8.3f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if bool(options.folder) == options.catalogue:
        print("Say what to learn from: a folder of photos, or --catalogue.", file=sys.stderr)
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
        photos.prepared(sources, size, bar.update) as taught,
    ):
        bar.close()
        _say_skipped(taught.skipped)
        done = finetune(
            lambda: backbone(options.architecture, options.weights, options.seed, size),
            taught,
            plan,
            architecture=options.architecture,
            pooling=options.pooling,
            tell=lambda text: print(text, flush=True),
        )
    path = write(done.backbone, options.architecture, options.pooling, options.output, done.figures)
    print(f"\n{table(done.figures)}\n\n{summary(path)}")
    if done.figures["P@1 after"] < done.figures["P@1 before"]:
        print("It finds less well than the network that it was made of: keep to that one, or learn from more photos.")


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
