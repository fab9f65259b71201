"""The networks of Keras Applications that packages are made from, without their classifier."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """One network, with the input size that it was trained on and its own preprocessing."""

    #: its module in `keras.applications`, which has its `preprocess_input`
    module: str
    #: its function there
    function: str
    #: side of its input, in pixels
    size: int
    #: channels of its last feature map
    dimensions: int
    #: the layer before its last block: all blocks of the smallest feature map, or the last one and the top
    trunk: str

    def backbone(self, weights: str | None, size: int | None = None) -> keras.Model:
        """Build it: float32 (n, size, size, 3), preprocessed -> the last feature map (n, h, w, dimensions).

        weights: "imagenet" (downloaded by Keras), None (random, by Keras's seed), or the path of a file of weights.
        size: another side of the input, in pixels; the weights are the same.
        """
        side = size or self.size
        build = getattr(self._applications(), self.function)
        return build(include_top=False, weights=weights, pooling=None, input_shape=(side, side, 3))

    def preprocess(self, pixels: Any) -> Any:
        """RGB of 0 to 255, float32 (n, size, size, 3) -> what the network was trained on; in a graph as well."""
        return self._applications().preprocess_input(pixels)

    def last_block(self, backbone: keras.Model) -> list[keras.Layer]:
        """The layers of the last block, in order."""
        names = [layer.name for layer in backbone.layers]
        return list(backbone.layers[names.index(self.trunk) + 1 :])

    def _applications(self) -> Any:
        return importlib.import_module(f"keras.applications.{self.module}")


ARCHITECTURES = {
    "resnet50": Architecture("resnet50", "ResNet50", 224, 2048, "conv4_block6_out"),
    "resnet50v2": Architecture("resnet_v2", "ResNet50V2", 224, 2048, "conv4_block6_out"),
    "vgg16": Architecture("vgg16", "VGG16", 224, 512, "block4_pool"),
    "inceptionv3": Architecture("inception_v3", "InceptionV3", 299, 2048, "mixed8"),
    "mobilenetv2": Architecture("mobilenet_v2", "MobileNetV2", 224, 1280, "block_15_add"),
    "efficientnetv2-b0": Architecture("efficientnet_v2", "EfficientNetV2B0", 224, 1280, "block5e_add"),
}
