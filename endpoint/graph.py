"""The graph of a package: decoding, preprocessing, network and pooling, with two signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from endpoint.architectures import Architecture
from modelarchive.pooling import Pooling, centre_weight

if TYPE_CHECKING:
    import keras

SERVING = "serving_default"
PIXELS = "pixels"
ROWS = "embeddings"
"""The one output of both signatures: float32 (n, dimensions), not of unit length."""


class Graph(tf.Module):
    """Signatures `serving_default`, encoded images (n,) -> rows, and `pixels`, uint8 (n, size, size, 3) -> rows.

    The size is that of the network's input.
    """

    def __init__(self, backbone: keras.Model, architecture: Architecture, pooling: Pooling) -> None:
        super().__init__()
        size = backbone.input_shape[1]
        # A plain list, while the model itself is no attribute: OpenVINO finds variables only by these names.
        self.weights = [variable.value for variable in backbone.weights]

        def from_pixels(pixels: Any) -> dict[str, Any]:
            features = backbone(architecture.preprocess(tf.cast(pixels, tf.float32)), training=False)
            return {ROWS: pooled(features, pooling)}

        def from_images(images: Any) -> Any:
            square = tf.TensorSpec([size, size, 3], tf.uint8)
            return self.from_pixels(tf.map_fn(lambda data: _square(data, size), images, fn_output_signature=square))

        encoded = tf.TensorSpec([None], tf.string, name="images")
        squares = tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")
        self.from_images = tf.function(from_images, input_signature=[encoded], autograph=False)
        self.from_pixels = tf.function(from_pixels, input_signature=[squares], autograph=False)

    @property
    def signatures(self) -> dict[str, Any]:
        return {SERVING: self.from_images, PIXELS: self.from_pixels}


def pooled(features: Any, pooling: Pooling) -> Any:
    """A feature map, float32 (n, h, w, d) -> rows, float32 (n, d), not of unit length."""
    if pooling == "mean":
        return tf.reduce_mean(features, axis=[1, 2])
    height, width = features.shape[1:3]
    weight = tf.constant(centre_weight(height, width)[None, :, :, None])
    squares = tf.reduce_sum(weight * tf.square(features), axis=[1, 2])
    # The root's slope is infinite at 0, the value of a channel that nothing excites: weights would become NaN.
    excited = squares > 0
    return tf.where(excited, tf.sqrt(tf.where(excited, squares, 1.0)), 0.0)


def _square(data: Any, size: int) -> Any:
    """An encoded image -> uint8 (size, size, 3); one of another size is squashed to it.

    JPEG, PNG, GIF (its first frame) and BMP of 24 bits, as TensorFlow decodes them (2.21 takes WebP as well, which
    `decoding` refuses): grey becomes RGB, 16 bits become 8, transparency is dropped and the colours beneath it stay,
    orientation and colour profile are ignored. Callers that want more decode first. An image that cannot
    be decoded fails the whole batch.
    """
    picture = tf.cond(
        tf.io.is_jpeg(data),
        # The transform that other decoders use too; TensorFlow's own choice is a faster, coarser one.
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    picture = tf.ensure_shape(picture, [None, None, 3])
    fits = tf.reduce_all(tf.shape(picture)[:2] == size)
    square = tf.cond(fits, lambda: picture, lambda: _resized(picture, size))
    return tf.ensure_shape(square, [size, size, 3])


def _resized(picture: Any, size: int) -> Any:
    resized = tf.image.resize(picture, [size, size], "bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
