"""Fine-tuning: a network, and photos with classes -> the network that tells these classes apart better.

A new head learns to tell the classes apart on the network as it is. Then the last block, or the whole network, learns
with it until photos that it does not learn from are told apart no better. The head is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from endpoint.architectures import ARCHITECTURES
from endpoint.export import SEED
from endpoint.photos import Photos
from modelarchive.pooling import Pooling

if TYPE_CHECKING:
    import keras

Unfreeze = Literal["last", "all"]
Rows = NDArray[np.float32]
Indices = NDArray[np.intp]

STOPPING, HELD_OUT = 0.15, 0.15
"""Shares of each class's products: for early stopping, and for the figures."""

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
    #: Keras's `verbose`: 0 nothing, 1 a bar, 2 a line for each epoch
    verbose: int = 0


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A trained network without its head, and its measurements."""

    backbone: keras.Model
    #: P@1, P@10, mAP on held-out photos among all others, "before" and "after"; how many of each
    figures: dict[str, float]
    #: loss of each epoch, on the training photos and on those for early stopping
    losses: list[float] = field(default_factory=list)
    stopping_losses: list[float] = field(default_factory=list)


def finetune(
    start: Callable[[], keras.Model],
    photos: Photos,
    plan: Plan,
    *,
    architecture: str,
    pooling: Pooling = "mean",
    report: Callable[[str], object] = lambda _text: None,
) -> Finetuned:
    """Train the network that `start` makes, on photos of its input size; `report` is called with each step.

    The figures measure held-out photos as queries among all others, as shoppers' photos search a catalogue that the
    network has learned from. The same seed gives the same split, start and order; the order in which threads add may
    still change the last digits.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(plan.seed)
    strategy = tf.distribute.MirroredStrategy() if plan.multi_gpu else tf.distribute.get_strategy()
    if plan.multi_gpu:
        report(f"Training on {strategy.num_replicas_in_sync} device(s).")
    held_out, stopping, learned = photos.parts((HELD_OUT, STOPPING), plan.seed)
    report(
        f"{len(photos):,} photos of {len(photos.classes)} classes: {len(learned):,} to learn from, "
        f"{len(stopping):,} to say when to stop, {len(held_out):,} held out."
    )
    with strategy.scope():
        network = start()
        embed, model = _models(network, architecture, pooling, len(photos.classes), plan.seed)
    report("Rows of all photos, by the network as it is:")
    before = _rows(embed, photos, plan)
    report("The head learns:")
    with strategy.scope():
        _fit_head(model.get_layer("head"), before, photos, plan, learned=learned, stopping=stopping)
        _unfreeze(network, architecture, plan.unfreeze)
        model.compile(
            keras.optimizers.Adam(_schedule(plan, max(1, len(learned) // plan.batch))),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    report("The last block learns:" if plan.unfreeze == "last" else "The whole network learns:")
    kept, kept_loss = model.get_weights(), model.evaluate(_batches(photos, stopping, plan), verbose=0)[0]
    history = model.fit(
        _batches(photos, learned, plan, shuffled=True),
        validation_data=_batches(photos, stopping, plan),
        epochs=plan.epochs,
        callbacks=[_early_stopping()],
        shuffle=False,  # the batches are
        verbose=plan.verbose,
    ).history
    if not min(loss for loss in (*history["val_loss"], math.inf) if not math.isnan(loss)) < kept_loss:
        report("No better than the head alone: the network is left as it was.")
        model.set_weights(kept)
    report("Rows of all photos, by the new network:")
    after = _rows(embed, photos, plan)
    figures: dict[str, float] = {"photos learnt from": len(learned), "photos held out": len(held_out)}
    for when, rows in (("before", before), ("after", after)):
        found = _retrieval(rows, photos.labels, held_out, np.concatenate([learned, stopping]))
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
    # How photos of one item differ: mirrored, cut differently, lit differently.
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
    head: keras.Model, rows: Rows, photos: Photos, plan: Plan, *, learned: Indices, stopping: Indices
) -> None:
    """Train the head on the rows that are already known: seconds instead of many passes."""
    import keras

    head.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    done = head.fit(
        rows[learned],
        photos.labels[learned],
        validation_data=(rows[stopping], photos.labels[stopping]),
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


def _batches(photos: Photos, rows: Indices, plan: Plan, *, shuffled: bool = False) -> Any:
    """Squares and labels of some photos, read from their file batch by batch."""
    import tensorflow as tf

    size = photos.squares.shape[1]

    def read(chosen: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return photos.squares[chosen], photos.labels[chosen].astype(np.int64)

    def batch(chosen: Any) -> tuple[Any, Any]:
        squares, labels = tf.numpy_function(read, [chosen], (tf.uint8, tf.int64))
        return tf.ensure_shape(squares, [None, size, size, 3]), tf.ensure_shape(labels, [None])

    data = tf.data.Dataset.from_tensor_slices(rows.astype(np.int64))
    if shuffled:
        data = data.shuffle(len(rows), plan.seed)
    # A last batch of one or two photos would unsettle batch normalisation.
    return data.batch(plan.batch, drop_remainder=shuffled and len(rows) > plan.batch).map(batch).prefetch(2)


def _rows(embed: keras.Model, photos: Photos, plan: Plan) -> Rows:
    """Rows of all photos, float32 (n, dimensions), of unit length."""
    everything = _batches(photos, np.arange(len(photos)), plan).map(lambda squares, _labels: squares)
    rows: Rows = embed.predict(everything, verbose=plan.verbose)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows


def _retrieval(rows: Rows, labels: NDArray[np.intp], queries: Indices, gallery: Indices) -> dict[str, float]:
    """P@1, P@10 and mAP of some photos' classes among others, by cosine."""
    from evaluation import metrics

    found = metrics.retrieval(metrics.similarities(rows[queries], rows[gallery]), labels[queries], labels[gallery])
    return {name: mean for name, (mean, _low, _high) in found.summary().items()}
